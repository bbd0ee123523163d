package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// TestDesks: a person comes back to the machine that lends, and leaves it again, as two kinds of
// desktop tell it to a donor's real process: its programs stand still within a second of the
// input, go on after silence, and the job of another process ends. The bound is three times as
// wide: other tests run here too.
func TestDesks(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes for each desktop")
	}
	exe := gridtest.Build(t)
	for name, sit := range map[string]func(*testing.T) desk{"GNOME": gnomeDesk, "X11": x11Desk} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lendAtDesk(t, gridtest.New(t, exe), sit(t))
		})
	}
}

// desk is a desktop of the test's own.
type desk struct {
	env   []string // what a process is told of it
	touch func()   // somebody does something there
}

func lendAtDesk(t *testing.T, g *gridtest.Grid, d desk) {
	const inputs, steps = 1, 48 * burn // some seconds each: a program is in the midst of one when it is to stand still
	submitter := g.Found("submitter", "up")
	donor := g.Node("donor")
	for _, pair := range append(noDesk(t), d.env...) {
		donor.Setenv(pair)
	}
	donor.Start("donate", "--when", "idle", "--idle-after", "3s", "--cores", "1", "--others-cpu", "100", "--on-battery")
	g.Meet(1, submitter, donor)
	job, _ := submitter.Submit(writeBurner(t, steps), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "1m", "--verify", "trusted", "--trust", donor.Peer())
	does := func(state byte) func() bool {
		return func() bool {
			guests := gridtest.Guests(t, donor.PID())
			return len(guests) == 1 && guests[0].Begun() && guests[0].State == state
		}
	}
	g.Until("a program runs", does('R'))

	d.touch()
	touched := time.Now()
	g.Until("it stands still", does('T'))
	took := time.Since(touched)
	t.Logf("stopped %s after input", took)
	if took > 3*time.Second {
		t.Errorf("stopped %s after input", took)
	}
	g.Until("status says why", func() bool {
		s := donor.Status()
		return s != nil && strings.HasPrefix(s.Donating.Why, "computer in use since ") && strings.HasSuffix(s.Donating.Why, ", resumes after 3 s without input")
	})
	g.Until("it goes on", does('R'))
	t.Logf("went on %s after input", time.Since(touched))
	if silence := time.Since(touched); silence < 3*time.Second {
		t.Errorf("went on after %s of silence, not 3 s", silence)
	}
	if j := submitter.AwaitEnd(job); j.Inputs.Done != inputs {
		t.Errorf("the job ended otherwise: %+v", j)
	}
	wantResults(t, submitter, job, burntRange(steps, inputs))
}

// noDesk takes away the desktop that the tests may run in.
func noDesk(t *testing.T) []string {
	dir := t.TempDir()
	return []string{
		"DISPLAY=", "WAYLAND_DISPLAY=", "XAUTHORITY=", "KDE_FULL_SESSION=", "XDG_RUNTIME_DIR=" + dir,
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no-session"),
		"DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no-system"),
	}
}

// stays starts a program of a desktop, which ends with the test, and reads the first line that it
// writes into its descriptor 3.
func stays(t *testing.T, path string, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var said bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stderr, cmd.ExtraFiles = &said, []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if err := r.SetReadDeadline(time.Now().Add(gridtest.Patience)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("%s does not start: %v\n%s", path, err, said.Bytes())
	}
	return strings.TrimSpace(line)
}

// needs skips a test where an optional program is not installed; .ci/run installs it.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
}

// idleMonitor answers as GNOME's compositor does.
type idleMonitor struct{ touched atomic.Int64 } // Unix nanoseconds

func (m *idleMonitor) GetIdletime() (uint64, *dbus.Error) {
	return uint64(time.Since(time.Unix(0, m.touched.Load())).Milliseconds()), nil
}

// gnomeDesk is what a donor sees of GNOME, on a real message bus.
func gnomeDesk(t *testing.T) desk {
	needs(t, "dbus-daemon")
	address := stays(t, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=3", "--address=unix:path="+filepath.Join(t.TempDir(), "bus"))
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &idleMonitor{} // nobody since 1970
	if err := conn.Export(m, "/org/gnome/Mutter/IdleMonitor/Core", "org.gnome.Mutter.IdleMonitor"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.gnome.Mutter.IdleMonitor", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return desk{[]string{"DBUS_SESSION_BUS_ADDRESS=" + address}, func() { m.touched.Store(time.Now().UnixNano()) }}
}

// x11Desk is a screen that nobody sees, with a hand that moves its pointer.
func x11Desk(t *testing.T) desk {
	needs(t, "Xvfb", "xdotool")
	display := "DISPLAY=:" + stays(t, "Xvfb", "-displayfd", "3", "-nolisten", "tcp", "-ac", "-screen", "0", "64x64x8")
	return desk{[]string{display}, func() {
		hand := exec.Command("xdotool", "mousemove_relative", "5", "5")
		hand.Env = append(os.Environ(), display)
		if out, err := hand.CombinedOutput(); err != nil {
			t.Fatalf("xdotool: %v\n%s", err, out)
		}
	}}
}

// TestDonateInATerminal is what a person sees who lends a machine from one half of a terminal and
// types in the other half: that typing is the input.
func TestDonateInATerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for silence")
	}
	needs(t, "tmux")
	exe := gridtest.Build(t)
	g := gridtest.New(t, exe)
	submitter := g.Found("submitter", "up")
	donor := g.Node("donor")
	term := newTerminal(t, g, 110, 44)
	term.keys("export "+strings.Join(noDesk(t), " ")+" SHOAL_HOME="+donor.Home+" && clear", "Enter")
	term.tmux("split-window", "-v", "-l", "5", "env PS1='$ ' SHOAL_HOME="+donor.Home+" sh")
	lower := func(keys ...string) { term.keys(append([]string{"-t", ".1"}, keys...)...) }
	lower(exe+" id", "Enter") // somebody is there
	upper := &half{term, ".0"}
	term.keys("-t", ".0", exe+" donate --idle-after 3s --cores 1 --others-cpu 100 --on-battery --no-mdns --listen 127.0.0.1:0 --bootstrap "+submitter.Addr(), "Enter")
	seen := `(?s)lending 1 of .*starts after 3 s without input; --when always to start now.*`
	upper.until(seen)
	seen += `\d\d:\d\d:\d\d · waiting: .*`
	upper.until(seen)

	job, _ := submitter.Submit(writeBurner(t, burn), "--range", "1..400", "--per-unit", "4", "--lease", "1m", "--verify", "trusted", "--trust", donor.Peer())
	seen += `· working on burn\.wasm for .*`
	upper.until(seen)
	seen += `· paused: computer in use since \d\d:\d\d, resumes after 3 s without input.*`
	upper.untilWhile(seen, func() { lower("Enter") })
	seen += `· working on .*`
	upper.until(seen)
	lower(exe+" pause 1h", "Enter")
	seen += `· paused: paused by you, resumes at \d\d:\d\d, or with: shoal resume.*`
	upper.until(seen)
	lower(exe+" resume", "Enter")
	seen += `· (working on|waiting: ) .*`
	upper.until(seen)
	if s := submitter.Shoal("cancel", job); s.Code != 0 {
		t.Fatalf("cancel: %s", s.Err)
	}
	lower(exe+" finish", "Enter")
	upper.until(seen + `finished: all that was begun is done; shoal donate begins again\n\$$`)
}

// half is one pane of a terminal.
type half struct {
	*terminal
	pane string
}

// until waits for what was said in the pane, also what has moved out of sight.
func (h *half) until(pattern string) { h.t.Helper(); h.untilWhile(pattern, func() {}) }

// untilWhile waits for that and does something between looks.
func (h *half) untilWhile(pattern string, do func()) {
	h.t.Helper()
	want := regexp.MustCompile(pattern)
	said := func() string {
		return strings.TrimRight(h.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", h.pane), "\n ")
	}
	if !h.g.UntilWithin(gridtest.Patience, func() bool { do(); return want.MatchString(said()) }) {
		h.t.Fatalf("the terminal never said %q:\n%s", pattern, said())
	}
}
