package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

func press(v *watchView, keys ...string) (quit bool) {
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		switch k {
		case "enter":
			msg = tea.KeyMsg{Type: tea.KeyEnter}
		case "esc":
			msg = tea.KeyMsg{Type: tea.KeyEsc}
		case "down":
			msg = tea.KeyMsg{Type: tea.KeyDown}
		case "end":
			msg = tea.KeyMsg{Type: tea.KeyEnd}
		case "backspace":
			msg = tea.KeyMsg{Type: tea.KeyBackspace}
		}
		_, cmd := v.Update(msg)
		quit = quit || cmd != nil
	}
	return quit
}

func watching(n int) *watchView {
	v := newWatchView("", false)
	v.Update(tea.WindowSizeMsg{Width: 100, Height: 16})
	s := &api.Status{Node: api.NodeStatus{Peer: alice, Version: "0.1.0", Engine: "compiler"}}
	for i := range n {
		j := *openJob()
		j.Job, j.Name = fmt.Sprintf("job%c%c%s", 'a'+i/26, 'a'+i%26, j.Job), fmt.Sprintf("program %d", i)
		j.Created, j.Inputs.Done = time.Now().Add(time.Duration(i-n)*time.Hour), int64(i)
		s.Jobs = append(s.Jobs, j)
	}
	v.Update(reading{status: s})
	return v
}

func TestWatchKeys(t *testing.T) {
	v := watching(30)
	first := func() string { return v.listed()[v.chosen(v.listed())].Name }
	for _, step := range []struct {
		keys []string
		want string
	}{
		{nil, "program 29"},
		{[]string{"down", "j"}, "program 27"},
		{[]string{"s"}, "program 27"}, // sorted anew, the same one stays chosen
		{[]string{"g"}, "program 0"},
		{[]string{"end"}, "program 9"},
		{[]string{"/", "1", "2"}, "program 12"},
		{[]string{"backspace", "enter", "g"}, "program 1"},
		{[]string{"esc", "s", "g"}, "program 0"},
	} {
		if press(v, step.keys...) || first() != step.want {
			t.Fatalf("after %v %q is chosen, not %q", step.keys, first(), step.want)
		}
	}
	press(v, "enter")
	if j := v.shown(); j == nil || j.Name != "program 0" {
		t.Fatalf("enter shows %v", v.shown())
	}
	press(v, "esc")
	if v.shown() != nil {
		t.Fatal("esc does not go back to the list")
	}
	if !press(v, "q") {
		t.Fatal("q does not leave")
	}
}

// detailOf is what is read of a job's units: one of each state, and many that are done.
func detailOf(j *api.Job, cells int) *api.Detail {
	d := &api.Detail{
		Job: *j, Map: api.UnitMap{PerCell: 1},
		Shares:   []api.Share{{Peer: bob, Units: 7}, {Peer: alice, Units: 1}},
		Failures: []api.Result{{N: 17, Outcome: "exit", Exit: 2}},
	}
	d.Job.Units = api.Units{Total: int64(cells)}
	for i := range cells {
		u := api.Units{Total: 1}
		*[]*int64{&u.Agreed, &u.Failed, &u.Running, &u.Sealed, &u.Open, &u.Stuck, &u.Disputed, &u.Agreed}[min(i, 7)] = 1
		d.Map.Cells = append(d.Map.Cells, u)
	}
	return d
}

// The units of a job are chosen with the arrows, and read only while they are shown.
func TestWatchUnits(t *testing.T) {
	v := watching(3)
	if job, _ := v.wants.get(); job != "" {
		t.Errorf("reads units of %s before they are shown", job)
	}
	press(v, "enter", "enter")
	job, cells := v.wants.get()
	if job != v.open || cells < 50 {
		t.Fatalf("wants %d units of %q", cells, job)
	}
	v.Update(reading{detail: detailOf(v.shown(), 120)})
	for _, step := range []struct {
		keys []string
		want string
	}{
		{nil, "unit 1 of 120 · agreed: its answers are here"},
		{[]string{"l", "l"}, "unit 3 of 120 · running: a donor is at it"},
		{[]string{"down"}, "unit 53 of 120"},
		{[]string{"end"}, "unit 120 of 120"},
		{[]string{"down"}, "unit 120 of 120"},
		{[]string{"g", "l", "l", "l", "l", "l", "l"}, "unit 7 of 120 · disputed"},
	} {
		press(v, step.keys...)
		if !strings.Contains(v.View(), step.want) {
			t.Fatalf("after %v not %q:\n%s", step.keys, step.want, v.View())
		}
	}
	if !strings.Contains(v.View(), "failed  input 17: exit code 2") || !strings.Contains(v.View(), "7 units") {
		t.Errorf("who worked and what failed is not shown:\n%s", v.View())
	}
	many := detailOf(v.shown(), 2)
	many.Map.PerCell, many.Job.Units.Total = 10, 15
	many.Map.Cells[1] = api.Units{Total: 5, Agreed: 3, Open: 2}
	v.Update(reading{detail: many})
	press(v, "end")
	if !strings.Contains(v.View(), "units 11 to 15 of 15 · 2 open, 3 agreed") {
		t.Errorf("cells of several units:\n%s", v.View())
	}
	press(v, "esc")
	if job, _ := v.wants.get(); job != "" || v.open == "" {
		t.Errorf("after esc it reads %q, shows %q", job, v.open)
	}
}

// TestWatchFits holds every picture to its screen, however small and whatever it shows.
func TestWatchFits(t *testing.T) {
	for _, size := range []tea.WindowSizeMsg{{Width: 1, Height: 1}, {Width: 20, Height: 3}, {Width: 80, Height: 24}, {Width: 200, Height: 60}} {
		for _, keys := range [][]string{nil, {"?"}, {"enter"}, {"/", "x"}, {"end"}, {"enter", "enter"}} {
			v := watching(30)
			v.Update(size)
			press(v, keys...)
			if j := v.shown(); j != nil {
				v.Update(reading{detail: detailOf(j, 1000)})
			}
			lines := strings.Split(v.View(), "\n")
			if len(lines) > size.Height {
				t.Errorf("%v after %v: %d lines", size, keys, len(lines))
			}
			for _, line := range lines {
				if n := len([]rune(line)); n > size.Width {
					t.Errorf("%v after %v: a line of %d: %q", size, keys, n, line)
				}
			}
		}
	}
}

func TestWatchPictures(t *testing.T) { synctest.Test(t, watchPictures) } // for its clock

func watchPictures(t *testing.T) {
	v := watching(3)
	var text strings.Builder
	for _, keys := range [][]string{nil, {"enter"}, {"enter", "l"}, {"esc", "esc", "/", "m 1"}, {"esc", "?"}} {
		press(v, keys...)
		if j := v.shown(); j != nil && v.units {
			v.Update(reading{detail: detailOf(j, 60)})
			press(v, "l")
		}
		lines := strings.Split(v.View(), "\n")
		text.WriteString(strings.Join(lines[:len(lines)-1], "\n") + "\n~~~\n") // but for the clock
	}
	golden(t, "watch.txt", trimmed(text.String()))
}

func trimmed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

// TestWatchInATerminal presses the keys of a real process in a real terminal, and finds the
// terminal as it was afterwards.
func TestWatchInATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux, which gives a terminal")
	}
	exe := gridtest.Build(t)
	g := gridtest.New(t, exe)
	node := g.Start("watched", "up")
	dir := t.TempDir()
	for _, name := range []string{"nothing.wasm", "echo.wasm"} {
		if err := os.WriteFile(filepath.Join(dir, name), guests()[name], 0o644); err != nil {
			t.Fatal(err)
		}
		if s := node.Shoal("submit", filepath.Join(dir, name), "--range", "1..9", "--local"); s.Code != 0 {
			t.Fatalf("submit: %s", s.Err)
		}
	}
	term := newTerminal(t, g, 100, 24)
	term.keys("SHOAL_HOME="+node.Home+" "+exe+" watch", "Enter")
	term.until("2 jobs · newest first")
	term.keys("s")
	term.until("2 jobs · name")
	term.keys("/", "noth", "Enter")
	term.until("1 job · name · /noth")
	term.keys("Enter")
	term.until("9 of 9 agreed|1 of 1 agreed")
	term.keys("Enter")
	term.until("unit 1 of (1|9) · agreed: its answers are here")
	term.keys("q")
	term.until(`(?m)\$ ?$`)
	if screen := term.screen(); strings.Contains(screen, "newest first") || !strings.Contains(screen, " watch") {
		t.Errorf("the terminal was not given back as it was:\n%s", screen)
	}
	term.keys("stty -a | tr ' ' '\\n' | grep -E '^-?(icanon|echo);?$' | sort", "Enter")
	term.until("(?m)^echo$\n^icanon$")
}

// TestBarsInATerminal runs a job in a real terminal: its bar is there and goes, and nothing is
// coloured for who wants no colours.
func TestBarsInATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux, which gives a terminal")
	}
	exe := gridtest.Build(t)
	g := gridtest.New(t, exe)
	dir := t.TempDir()
	program := filepath.Join(dir, "burner.wasm")
	if err := os.WriteFile(program, burner(100_000_000), 0o644); err != nil {
		t.Fatal(err)
	}
	run := exe + " run " + program + " --range 10000000..10000399 --local --home " + filepath.Join(dir, "home")
	for i, env := range []string{"", "NO_COLOR=1 "} {
		term := newTerminal(t, g, 100, 24)
		term.keys(env+run+fmt.Sprintf(" --seed %d > %s; echo ended", i, filepath.Join(dir, "out")), "Enter")
		term.until(`run     \[#*\.*\] \d+/400 inputs`)
		term.keys("C-c")
		term.until("stopped: what is done is kept")
		term.until("(?m)^ended$")
		if screen := term.screen(); strings.Contains(screen, "run     [") {
			t.Errorf("the bar stays:\n%s", screen)
		}
		term.keys(env+exe+" run nosuch.wasm", "Enter")
		term.until("error: program nosuch.wasm")
		if coloured := strings.Contains(term.tmux("capture-pane", "-p", "-e"), "\x1b[31m"); coloured != (env == "") {
			t.Errorf("%scoloured: %v", env, coloured)
		}
	}
}

// terminal is a shell in a tmux session of its own.
type terminal struct {
	t      *testing.T
	g      *gridtest.Grid
	socket string
}

func newTerminal(t *testing.T, g *gridtest.Grid, width, height int) *terminal {
	t.Helper()
	term := &terminal{t, g, filepath.Join(t.TempDir(), "tmux")}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "env PS1='$ ' TERM=screen sh")
	t.Cleanup(func() { term.tmux("kill-server") })
	term.until(`^\$ ?$`) // typed before the shell is ready, keys stand before its prompt
	return term
}

func (c *terminal) tmux(args ...string) string {
	c.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", c.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM="+cmp.Or(os.Getenv("TERM"), "xterm"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c *terminal) keys(keys ...string) {
	c.t.Helper()
	c.tmux(append([]string{"send-keys"}, keys...)...)
}

func (c *terminal) screen() string { return c.tmux("capture-pane", "-p") }

// until waits for the screen to show what the pattern says.
func (c *terminal) until(pattern string) {
	c.t.Helper()
	want := regexp.MustCompile(pattern)
	if !c.g.UntilWithin(gridtest.Patience, func() bool { return want.MatchString(strings.TrimRight(c.screen(), "\n")) }) {
		c.t.Fatalf("the screen does not show %q:\n%s", pattern, c.screen())
	}
}
