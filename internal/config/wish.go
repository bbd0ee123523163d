package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/worker/wishes"
)

// Limits that wishes are held to.
const (
	minIdleAfter   = time.Second
	maxIdleAfter   = 24 * time.Hour
	maxTemperature = 120
	maxText        = 4096 // bytes of the hours
)

// wishSettings say what of the machine is lent, and when. A change counts at once.
func wishSettings() []setting {
	list := []setting{
		{
			name: "when", about: "work while the machine is idle, always (beside its user, on fewer cores), or never", wants: `"idle", "always" or "never"`,
			set: func(c *Config, text string) error { c.Wishes.When = wishes.When(text); return nil },
			get: func(c *Config) string { return string(c.Wishes.When) }, check: checkWhen,
		},
		{
			name: "idle-after", about: "time without input after which the machine is idle", wants: `a time from 1 s to 24 h, such as "3m"`,
			set: setIdleAfter, get: func(c *Config) string { return shortSpan(c.Wishes.IdleAfter) }, check: checkIdleAfter,
		},
		{
			name: "hours", about: "hours of the week to work in, by this machine's clock; nothing is all", wants: `days and times, such as "mon-fri 19:00-08:00, sat-sun"`,
			set: setHours, get: func(c *Config) string { return c.Wishes.Hours.String() }, check: fine,
		},
		cores("cores", "programs at a time, while idle; 0 is one for each core", func(c *Config) *int { return &c.Wishes.Cores }),
		cores("cores-in-use", "programs at a time beside the user, with when = always; 0 is half of the cores", func(c *Config) *int { return &c.Wishes.CoresInUse }),
		bytes("memory", "memory for all of them; 0 is half of the machine's", minMemory, func(c *Config) *uint64 { return &c.Wishes.Memory }),
		bytes("memory-in-use", "the same beside the user; 0 is a quarter", minMemory, func(c *Config) *uint64 { return &c.Wishes.MemoryInUse }),
		{
			name: "disk", about: "disk for what is kept here", wants: `a size of at least 1 MiB, such as "10 GiB"`,
			set: func(c *Config, text string) (err error) { c.Disk, err = ParseSize(text); return err },
			get: func(c *Config) string { return c.Disk.String() }, check: checkDisk,
		},
		{
			name: "disk-free", about: "disk to leave free: with less, nothing new is taken or kept", wants: `a share or a size, such as "10%" or "20 GiB"`,
			set: setDiskFree, get: diskFreeText, check: checkDiskFree,
		},
		onOff("on-battery", "work on battery too", func(c *Config) *bool { return &c.Wishes.OnBattery }),
		{
			name: "others-cpu", about: "percent of the CPU above which other programs' use pauses, unless when = always; 100 is never", wants: "a percentage from 1 to 100, such as 25",
			kind: plain, set: setOthers, get: func(c *Config) string { return number(100 * c.Wishes.OthersCPU) }, check: checkOthers,
		},
		{
			name: "pause-for", about: "programs beside which nothing runs", wants: `names of programs, such as "steam,zoom"`, kind: listed,
			set: func(c *Config, text string) error { c.Wishes.PauseFor = items(text); return nil },
			get: func(c *Config) string { return strings.Join(c.Wishes.PauseFor, ",") }, check: checkPrograms,
		},
		onOff("metered", "move large files of others' jobs over a metered connection too", func(c *Config) *bool { return &c.Wishes.Metered }),
		bytes("transfer-rate", "large files move at so much a second, each way; 0 is any", minRate, func(c *Config) *uint64 { return (*uint64)(&c.Rate) }),
		bytes("transfer-monthly", "large files may be so much in a calendar month, and then only your own jobs' move; 0 is any", minDisk, func(c *Config) *uint64 { return (*uint64)(&c.Monthly) }),
		{
			name: "temperature", about: "°C of the processor from which fewer programs run; 0 is any", wants: "a temperature from 40 to 120, such as 90, or 0",
			kind: plain, set: setTemperature, get: func(c *Config) string { return number(c.Wishes.Temperature) }, check: checkTemperature,
		},
		onOff("keep-while-paused", "go on keeping for others while paused", func(c *Config) *bool { return &c.KeepWhilePaused }),
	}
	list = append(list, whoseSettings()...)
	for i := range list {
		list[i].wish = true
	}
	return list
}

func checkWhen(c *Config) string {
	switch c.Wishes.When {
	case wishes.Idle, wishes.Always, wishes.Never:
		return ""
	}
	return fmt.Sprintf("%q is none of idle, always and never", c.Wishes.When)
}

// ParseSpan reads a time such as "90s", "3m", "3 min" or "1h30m".
func ParseSpan(text string) (time.Duration, error) {
	plain := strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), "min", "m")
	d, err := time.ParseDuration(plain)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time", text)
	}
	return d, nil
}

// shortSpan is a time without the zeros that time.Duration writes: "3m", not "3m0s".
func shortSpan(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func setIdleAfter(c *Config, text string) (err error) {
	c.Wishes.IdleAfter, err = ParseSpan(text)
	return err
}

func checkIdleAfter(c *Config) string {
	if d := c.Wishes.IdleAfter; d < minIdleAfter || d > maxIdleAfter {
		return fmt.Sprintf("%s is not between 1 s and 24 h", shortSpan(d))
	}
	return ""
}

func setHours(c *Config, text string) (err error) {
	if len(text) > maxText {
		return fmt.Errorf("%d bytes are more than %d", len(text), maxText)
	}
	c.Wishes.Hours, err = wishes.ParseHours(text)
	return err
}

// cores is a setting that is a number of guests.
func cores(name, about string, field func(*Config) *int) setting {
	return setting{
		name: name, about: about, wants: "a number of cores from 0 to 4096, such as 4", kind: plain,
		set: func(c *Config, text string) (err error) {
			if *field(c), err = strconv.Atoi(text); err != nil {
				return fmt.Errorf("%q is not a number", text)
			}
			return nil
		},
		get: func(c *Config) string { return strconv.Itoa(*field(c)) },
		check: func(c *Config) string {
			if n := *field(c); n < 0 || n > maxCores {
				return fmt.Sprintf("%d is not between 0 and %d", n, maxCores)
			}
			return ""
		},
	}
}

// bytes is a setting that is a size, or 0.
func bytes(name, about string, least Size, field func(*Config) *uint64) setting {
	return setting{
		name: name, about: about, wants: fmt.Sprintf(`a size of at least %s, such as "4 GiB", or 0`, least),
		set: func(c *Config, text string) error {
			n, err := ParseSize(text)
			*field(c) = uint64(n)
			return err
		},
		get: func(c *Config) string { return sizeText(Size(*field(c))) },
		check: func(c *Config) string {
			if n := Size(*field(c)); n != 0 && n < least {
				return fmt.Sprintf("%s is too little", n)
			}
			return ""
		},
	}
}

func sizeText(s Size) string {
	if s == 0 {
		return "0"
	}
	return s.String()
}

func checkDisk(c *Config) string {
	if c.Disk < minDisk {
		return fmt.Sprintf("%s is too little to keep anything", c.Disk)
	}
	return ""
}

func setDiskFree(c *Config, text string) error {
	if share, ok := strings.CutSuffix(strings.TrimSpace(text), "%"); ok {
		percent, err := parseNumber(strings.TrimSpace(share))
		c.Wishes.DiskFree = wishes.Space{Percent: percent}
		return err
	}
	size, err := ParseSize(text)
	c.Wishes.DiskFree = wishes.Space{Bytes: uint64(size)}
	return err
}

func diskFreeText(c *Config) string {
	if free := c.Wishes.DiskFree; free.Percent > 0 {
		return number(free.Percent) + "%"
	}
	return sizeText(Size(c.Wishes.DiskFree.Bytes))
}

func checkDiskFree(c *Config) string {
	if p := c.Wishes.DiskFree.Percent; p < 0 || p > 99 {
		return fmt.Sprintf("%s%% is not between 0%% and 99%%", number(p))
	}
	return ""
}

func setOthers(c *Config, text string) error {
	percent, err := parseNumber(strings.TrimSuffix(text, "%"))
	c.Wishes.OthersCPU = percent / 100
	return err
}

func checkOthers(c *Config) string {
	if p := 100 * c.Wishes.OthersCPU; p < 1 || p > 100 {
		return fmt.Sprintf("%s is not between 1 and 100", number(p))
	}
	return ""
}

func checkPrograms(c *Config) string {
	if len(c.Wishes.PauseFor) > maxPrograms {
		return fmt.Sprintf("%d programs are more than %d", len(c.Wishes.PauseFor), maxPrograms)
	}
	for _, name := range c.Wishes.PauseFor {
		if strings.ContainsAny(name, `/\`) {
			return fmt.Sprintf("%q is a path, not the name of a program", name)
		}
	}
	return ""
}

func setTemperature(c *Config, text string) (err error) {
	c.Wishes.Temperature, err = parseNumber(text)
	return err
}

func checkTemperature(c *Config) string {
	if t := c.Wishes.Temperature; t != 0 && (t < 40 || t > maxTemperature) {
		return fmt.Sprintf("%s is not between 40 and %d", number(t), maxTemperature)
	}
	return ""
}

func parseNumber(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}

func number(n float64) string { return strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64) }
