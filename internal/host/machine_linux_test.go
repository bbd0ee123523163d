package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// tree is a machine made of the given files.
func tree(t *testing.T, files map[string]string) *linux {
	root := t.TempDir()
	write(t, root, files)
	return &linux{root: root, home: root, self: 100}
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// supply is the files of one power supply.
func supply(name string, is ...string) map[string]string {
	files := map[string]string{}
	for _, pair := range is {
		key, value, _ := strings.Cut(pair, "=")
		files["sys/class/power_supply/"+name+"/"+key] = value + "\n"
	}
	return files
}

func TestPower(t *testing.T) {
	mains := func(online string) map[string]string { return supply("AC", "type=Mains", "online="+online) }
	battery := func(status string) map[string]string {
		return supply("BAT0", "type=Battery", "present=1", "capacity=37", "status="+status)
	}
	for _, c := range []struct {
		name  string
		files []map[string]string
		want  Power
	}{
		{"a desktop", nil, Power{Charge: 1}},
		{"at the mains", []map[string]string{mains("1"), battery("Charging")}, Power{Batteries: 1, Charge: 0.37}},
		{"on battery", []map[string]string{mains("0"), battery("Discharging")}, Power{OnBattery: true, Batteries: 1, Charge: 0.37}},
		{"at a dock that gives too little", []map[string]string{mains("1"), battery("Discharging")}, Power{Batteries: 1, Charge: 0.37}},
		{"no word of mains", []map[string]string{battery("Discharging")}, Power{OnBattery: true, Batteries: 1, Charge: 0.37}},
		{"full", []map[string]string{battery("Full")}, Power{Batteries: 1, Charge: 0.37}},
		{"a mouse's battery", []map[string]string{supply("hid", "type=Battery", "scope=Device", "status=Discharging", "capacity=5")}, Power{Charge: 1}},
		{"taken out", []map[string]string{supply("BAT0", "type=Battery", "present=0", "status=Discharging")}, Power{Charge: 1}},
		{"a UPS during an outage", []map[string]string{supply("ups", "type=UPS", "status=Discharging", "capacity=90")}, Power{OnBattery: true, Batteries: 1, Charge: 0.9}},
		{"nonsense", []map[string]string{supply("BAT0", "type=Battery", "capacity=many", "status=\x00")}, Power{Batteries: 1, Charge: 1}},
	} {
		l := tree(t, nil)
		for _, f := range c.files {
			write(t, l.root, f)
		}
		if got, err := l.power(t.Context()); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, not %+v", c.name, got, err, c.want)
		}
	}
}

func TestABatteryThatDisappears(t *testing.T) {
	l := tree(t, supply("BAT0", "type=Battery", "status=Discharging", "capacity=50"))
	if p, err := l.power(t.Context()); err != nil || !p.OnBattery {
		t.Fatalf("with it: %+v, %v", p, err)
	}
	// What sysfs gives while a supply is being taken away: its folder is listed, and empty.
	dir := filepath.Join(l.root, "sys/class/power_supply/BAT0")
	for _, gone := range []string{"status", "type"} {
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		if p, err := l.power(t.Context()); err != nil || p.OnBattery {
			t.Errorf("without its %s: %+v, %v", gone, p, err)
		}
	}
}

func TestHeat(t *testing.T) {
	l := tree(t, map[string]string{
		"sys/class/hwmon/hwmon0/name": "nvme\n", "sys/class/hwmon/hwmon0/temp1_input": "91000\n",
		"sys/class/hwmon/hwmon1/name": "coretemp\n", "sys/class/hwmon/hwmon1/temp1_input": "61000\n", "sys/class/hwmon/hwmon1/temp2_input": "67500\n",
		"sys/class/hwmon/hwmon1/temp3_input":      "255000\n", // broken
		"sys/class/thermal/thermal_zone0/type":    "x86_pkg_temp\n",
		"sys/class/thermal/thermal_zone0/temp":    "66000\n",
		"sys/class/thermal/thermal_zone1/type":    "iwlwifi_1\n",
		"sys/class/thermal/thermal_zone1/temp":    "99000\n",
		"sys/class/thermal/thermal_zone2/nothing": "",
	})
	want := Heat{Celsius: 67.5, Sensor: "coretemp"}
	if got, err := l.heat(t.Context()); err != nil || got != want {
		t.Errorf("%+v, %v, not %+v", got, err, want)
	}
	if _, err := tree(t, nil).heat(t.Context()); err == nil || err.Error() != "no sensor of the processor's temperature" {
		t.Errorf("without sensors: %v", err)
	}
}

func TestMemoryAndPressure(t *testing.T) {
	l := tree(t, map[string]string{
		"proc/meminfo":         "MemTotal:        8000 kB\nMemFree:          100 kB\nMemAvailable:    3000 kB\nHugePages_Total:       0\n",
		"proc/pressure/cpu":    "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/pressure/memory": "some avg10=0.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/pressure/io":     "some avg10=99.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	})
	if m, err := l.memory(t.Context()); err != nil || m != (Memory{Total: 8000 << 10, Available: 3000 << 10}) {
		t.Errorf("%+v, %v", m, err)
	}
	if p, err := l.pressure(t.Context()); err != nil || p != (Pressure{CPU: 12.5, Memory: 0.25, IO: 99}) {
		t.Errorf("%+v, %v", p, err)
	}
	for name, text := range map[string]string{"empty": "", "other words": "MemTotal: lots kB\n", "too much": "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n"} {
		if m, err := tree(t, map[string]string{"proc/meminfo": text}).memory(t.Context()); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for _, text := range []string{"", "some", "some avg10=NaN", "some avg10=101.0", "full avg10=1.0"} {
		files := map[string]string{"proc/pressure/cpu": text, "proc/pressure/memory": text, "proc/pressure/io": text}
		if p, err := tree(t, files).pressure(t.Context()); err == nil {
			t.Errorf("%q: %+v", text, p)
		}
	}
}

// proc is one process of a made-up machine.
type proc struct {
	pid, parent          int
	name                 string
	user, system, reaped int // ticks
	nice, class          int
}

func (p proc) line() string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 0 0 0 0 0 %d %d 0 %d 20 %d 1 0 500 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 %d 0 0 0\n",
		p.pid, p.name, p.parent, p.user, p.system, p.reaped, p.nice, p.class)
}

// machine is the files of a machine with the given processes: what it says of its
// processors follows from them.
func machine(idle int, processes ...proc) map[string]string {
	files, user, nice, system := map[string]string{}, 0, 0, 0
	for _, p := range processes {
		files[fmt.Sprintf("proc/%d/stat", p.pid)] = p.line()
		system += p.system + p.reaped
		if p.nice > 0 {
			nice += p.user
		} else {
			user += p.user
		}
	}
	files["proc/stat"] = fmt.Sprintf("cpu  %d %d %d %d 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n", user, nice, system, idle)
	return files
}

func TestOthersAreTheOnesThatDoNotGiveWay(t *testing.T) {
	node := proc{pid: 100, parent: 1, name: "shoal"}
	for _, c := range []struct {
		name string
		then []proc
		want float64
	}{
		{"nothing runs", nil, 0},
		{"an editor", []proc{{pid: 7, name: "vim", user: 40, system: 10}}, 0.5},
		{"a niced build", []proc{{pid: 7, name: "make", user: 60, system: 30, nice: 10}}, 0},
		{"an idle-class indexer", []proc{{pid: 7, name: "tracker", user: 60, system: 30, class: schedIdle}}, 0},
		{"an urgent one", []proc{{pid: 7, name: "audio", user: 60, system: 30, nice: -11}}, 0.9},
		{"this node", []proc{{pid: 100, parent: 1, name: "shoal", user: 50, system: 20, reaped: 20}}, 0},
		{"its guests", []proc{{pid: 101, parent: 100, name: "shoal", user: 80, system: 10, nice: 19, class: schedIdle}}, 0},
		{"another node's guests", []proc{{pid: 201, parent: 200, name: "shoal", user: 80, system: 10, nice: 19, class: schedIdle}}, 0},
		{"a game beside guests", []proc{{pid: 7, name: "game", user: 30}, {pid: 101, parent: 100, name: "shoal", user: 50, nice: 19, class: schedIdle}}, 0.3},
	} {
		l := tree(t, machine(1000, node))
		a := newActivity(l)
		if _, err := a.look(t.Context()); err == nil {
			t.Errorf("%s: one look alone tells a share", c.name)
		}
		used := 0
		all := map[int]proc{node.pid: node}
		for _, p := range c.then {
			used += p.user + p.system + p.reaped
			all[p.pid] = p
		}
		var list []proc
		for _, p := range all {
			list = append(list, p)
		}
		write(t, l.root, machine(1000+100-used, list...))
		got, err := a.look(t.Context())
		if err != nil || got.Others != c.want {
			t.Errorf("%s: others use %v, %v, not %v", c.name, got.Others, err, c.want)
		}
	}
}

func TestProgramsAreNamedInFull(t *testing.T) {
	files := machine(1, proc{pid: 1, name: "init"}, proc{pid: 2, name: "Web Content)"}, proc{pid: 3, name: "gnome-control-c"}, proc{pid: 4, name: "0123456789abcde"}, proc{pid: 5, name: "init"})
	files["proc/3/cmdline"] = "/usr/bin/gnome-control-center\x00--verbose\x00"
	files["proc/4/cmdline"] = "something else\x00"
	files["proc/6/stat"] = "6 (half"
	files["proc/self"] = ""
	c, err := newActivity(tree(t, files)).count()
	want := []string{"0123456789abcde", "gnome-control-center", "init", "web content)"}
	if err != nil || !slices.Equal(c.running, want) {
		t.Errorf("%q, %v, not %q", c.running, err, want)
	}
}

func TestAnUnreadableProc(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":     nil,
		"empty":    {"proc/stat": ""},
		"nonsense": {"proc/stat": "cpu a b c d e f g h\n"},
		"negative": {"proc/stat": "cpu -1 0 0 0 0 0 0 0\n"},
	} {
		if b, err := newActivity(tree(t, files)).look(t.Context()); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// Whatever the counters do, also going back as they may, a share is one.
func TestOthersIsAlwaysAShare(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := &linux{root: "/nowhere", self: 100}
		a := newActivity(l)
		ticks := rapid.Uint64Range(0, 1<<40)
		census := func() *census {
			return &census{
				total: ticks.Draw(r, "total"), busy: ticks.Draw(r, "busy"), own: ticks.Draw(r, "own"),
				polite: rapid.MapOfN(rapid.Custom(func(r *rapid.T) procID { return procID{rapid.Uint64Range(1, 3).Draw(r, "pid"), 1} }), ticks, 0, 3).Draw(r, "polite"),
			}
		}
		for range 5 {
			if b, err := a.judge(census()); err == nil && !(b.Others >= 0 && b.Others <= 1) {
				r.Fatalf("others use %v", b.Others)
			}
		}
	})
}

func FuzzParseProcess(f *testing.F) {
	f.Add([]byte(proc{pid: 7, name: "a) (b", user: 3, nice: -5}.line()))
	f.Add([]byte("1 (x) S"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, ok := parseProcess(text)
		if ok && !strings.Contains(string(text), p.name) {
			t.Errorf("%q gives the name %q", text, p.name)
		}
	})
}

func TestTerminals(t *testing.T) {
	l := tree(t, map[string]string{"dev/pts/0": "", "dev/pts/ptmx": "", "dev/tty1": "", "dev/tty2": "", "dev/ttyS0": "", "sys/class/tty/tty0/active": "tty1\n"})
	now := time.Now()
	for name, ago := range map[string]time.Duration{"pts/0": 10 * time.Minute, "tty1": time.Hour, "pts/ptmx": 0, "tty2": 0, "ttyS0": 0} {
		at := now.Add(-ago)
		if err := os.Chtimes(filepath.Join(l.root, "dev", name), at, now); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := l.terminals(now); err != nil || d.Round(time.Minute) != 10*time.Minute {
		t.Errorf("%v, %v", d, err)
	}
	if d, err := l.terminals(now.Add(-time.Hour)); err != nil || d != 0 {
		t.Errorf("with a clock that was set back: %v, %v", d, err)
	}
	write(t, l.root, map[string]string{"sys/class/tty/tty0/active": "tty2\n"})
	if d, err := l.terminals(now); err != nil || d.Round(time.Minute) != 0 {
		t.Errorf("with another console in front: %v, %v", d, err)
	}
	if _, err := tree(t, nil).terminals(now); err == nil {
		t.Error("no terminals, and yet idle")
	}
}

// TestThisMachine asks the real one: what it must have is known, and what it has not is
// unknown for a reason.
func TestThisMachine(t *testing.T) {
	signals := System(t.TempDir())
	defer signals.Close()
	ctx := t.Context()
	if m, err := signals.Memory(ctx); err != nil || m.Available > m.Total {
		t.Errorf("memory: %+v, %v", m, err)
	}
	if d, err := signals.Disk(ctx); err != nil || d.Total == 0 || d.Free > d.Total {
		t.Errorf("disk: %+v, %v", d, err)
	}
	if c, err := signals.Clock(ctx); err != nil || c.Sleeps != 0 {
		t.Errorf("clock: %+v, %v", c, err)
	}
	idle, err := signals.Idle(ctx)
	t.Logf("idle: %+v, %v", idle, err)
	power, err := signals.Power(ctx)
	t.Logf("power: %+v, %v", power, err)
	_, err = signals.Heat(ctx)
	t.Logf("heat: %v", err)
	_, err = signals.Network(ctx)
	t.Logf("network: %v", err)
	c, err := newActivity(&linux{root: "/", self: os.Getpid()}).count()
	if err != nil || len(c.running) == 0 || c.total == 0 {
		t.Errorf("processes: %+v, %v", c, err)
	}
}

// BenchmarkSampler is what watching this machine costs while something of others' runs, and while
// nothing does, in microseconds of CPU time a second: 10,000 are a hundredth of a core.
func BenchmarkSampler(b *testing.B) {
	for _, calm := range []bool{false, true} {
		b.Run(map[bool]string{false: "lending", true: "calm"}[calm], func(b *testing.B) {
			for b.Loop() {
				s := New(System(b.TempDir()), slog.New(slog.DiscardHandler))
				s.Calm(calm)
				const span = 40 * time.Second
				ctx, cancel := context.WithTimeout(b.Context(), span)
				before := processorTime(b)
				if err := s.Run(ctx); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64((processorTime(b)-before).Microseconds())/span.Seconds(), "µs-CPU/s")
				cancel()
			}
		})
	}
}

// processorTime is what this process has used.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSignals(b *testing.B) {
	signals := System(b.TempDir())
	defer signals.Close()
	l := &linux{root: "/"}
	for name, ask := range map[string]func() error{
		"idle":      func() error { _, err := signals.Idle(b.Context()); return err },
		"terminals": func() error { _, err := l.terminals(time.Now()); return err },
		"busy":      func() error { _, err := newActivity(l).count(); return err },
		"memory":    func() error { _, err := signals.Memory(b.Context()); return err },
		"pressure":  func() error { _, err := signals.Pressure(b.Context()); return err },
		"clock":     func() error { _, err := signals.Clock(b.Context()); return err },
	} {
		b.Run(name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if err := ask(); err != nil {
					b.Skip(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "µs-CPU/op")
		})
	}
}
