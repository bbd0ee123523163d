package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// givesWay: macOS counts niceness as other Unixes do.
func givesWay(nice int32) bool { return nice > 0 }

// secondsSinceInput is CGEventSourceSecondsSinceLastEventType. Asking through a program,
// as ioreg, would cost a hundred times as much, twice a second.
var secondsSinceInput = sync.OnceValues(func() (func(state int32, kind uint32) float64, error) {
	lib, err := purego.Dlopen("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("cannot see input: %w", err)
	}
	symbol, err := purego.Dlsym(lib, "CGEventSourceSecondsSinceLastEventType")
	if err != nil {
		return nil, fmt.Errorf("cannot see input: %w", err)
	}
	var ask func(state int32, kind uint32) float64
	purego.RegisterFunc(&ask, symbol)
	return ask, nil
})

func idleTime(context.Context) (Idle, error) {
	ask, err := secondsSinceInput()
	if err != nil {
		return Idle{}, err
	}
	const hidState, anyInput = 1, ^uint32(0)
	s := ask(hidState, anyInput)
	if !(s >= 0 && s < 1e9) {
		return Idle{}, errors.New("the system does not tell of input")
	}
	return Idle{For: time.Duration(s * float64(time.Second)), Source: "macOS"}, nil
}

// power is what pmset says, as "Now drawing from 'Battery Power'" and "87%; discharging".
func power(ctx context.Context) (Power, error) {
	out, err := exec.CommandContext(ctx, "/usr/bin/pmset", "-g", "batt").Output()
	if err != nil {
		return Power{}, fmt.Errorf("cannot ask pmset: %w", err)
	}
	p := Power{Charge: 1, OnBattery: bytes.Contains(out, []byte("'Battery Power'"))}
	for _, m := range regexp.MustCompile(`(\d{1,3})%`).FindAllSubmatch(out, maxBatteries) {
		percent, err := strconv.Atoi(string(m[1]))
		if err == nil {
			p.Batteries++
			p.Charge = min(p.Charge, float64(percent)/100)
		}
	}
	return p, nil
}

const maxBatteries = 16

func readClocks() (clocks, error) {
	// Of macOS' clocks the monotonic one goes on while it sleeps, the raw uptime does not.
	const uptimeRaw = 8
	var boot, awake, wall unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &boot), unix.ClockGettime(uptimeRaw, &awake), unix.ClockGettime(unix.CLOCK_REALTIME, &wall)); err != nil {
		return clocks{}, fmt.Errorf("read the clocks: %w", err)
	}
	return clocks{time.Duration(boot.Nano()), time.Duration(awake.Nano()), time.Unix(wall.Unix())}, nil
}
