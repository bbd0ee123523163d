package service

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func userService() Service { return Service{Program: "/usr/bin/shoal", Args: []string{"donate"}} }

func systemService() Service {
	return Service{Program: "/usr/local/bin/shoal", Args: []string{"donate", "--when", "always"}, System: true, Home: SystemHome(Linux, "")}
}

func text(t *testing.T, s Service, system string) string {
	t.Helper()
	got, err := s.Text(system)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTexts(t *testing.T) {
	golden(t, "user.service", text(t, userService(), Linux))
	golden(t, "system.service", text(t, systemService(), Linux))
	mac := Service{Program: "/opt/shoal & co/shoal", Args: []string{"donate"}, Home: "/Users/ada/Library/Application Support/shoal"}
	golden(t, "agent.plist", text(t, mac, Darwin))
	win := Service{Program: `C:\Program Files\shoal\shoal.exe`, Args: []string{"donate"}, System: true, Home: SystemHome(Windows, `D:\Data`)}
	golden(t, "windows.txt", text(t, win, Windows))
}

func TestNoUnitTurnsTheCompilerOff(t *testing.T) {
	for _, s := range []Service{userService(), systemService()} {
		for line := range strings.Lines(text(t, s, Linux)) {
			for _, bad := range []string{"MemoryDenyWriteExecute", "SystemCallFilter", "ProcSubset", "PrivateDevices=yes", "ProtectProc=invisible"} {
				if strings.HasPrefix(line, bad) {
					t.Errorf("a unit says %s", line)
				}
			}
		}
	}
}

func TestPlistIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(text(t, Service{Program: "/a<b>&c", Args: []string{"donate", "-->"}, Home: "/h"}, Darwin)))
	d.Strict = true
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWordsThatNoServiceCanHave(t *testing.T) {
	for _, s := range []Service{{Program: "/a\nExecStartPre=/bin/evil"}, {Program: "/a", Args: []string{"x\x00"}}, {Program: "/a", Home: "/h\r"}} {
		if got, err := s.Text(Linux); err == nil {
			t.Errorf("%+v is written as %s", s, got)
		}
	}
	if _, err := userService().Text("plan9"); err == nil {
		t.Error("there is a service for plan9")
	}
}

func TestQuotes(t *testing.T) {
	for _, c := range []struct{ word, systemd, windows string }{
		{"plain", "plain", "plain"},
		{"a b", `"a b"`, `"a b"`},
		{`a"b`, `"a\"b"`, `"a\"b"`},
		{"50%", "50%%", "50%"},
		{"$HOME", "$$HOME", "$HOME"},
		{`C:\a b\`, `"C:\\a b\\"`, `"C:\a b\\"`},
		{"", `""`, `""`},
	} {
		if got := systemdQuote(c.word); got != c.systemd {
			t.Errorf("%q for systemd is %s, not %s", c.word, got, c.systemd)
		}
		if got := windowsQuote(c.word); got != c.windows {
			t.Errorf("%q for Windows is %s, not %s", c.word, got, c.windows)
		}
	}
}

// TestUnitsAreAsSystemdLikesThem has systemd itself judge them.
func TestUnitsAreAsSystemdLikesThem(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	odd := Service{Program: "/bin/true", Args: []string{"donate", "--network", `a "b" 50% $HOME \n;`}, Home: "/home/a b"}
	for name, s := range map[string]Service{"--user": odd, "--system": {Program: "/bin/true", Args: []string{"donate"}, System: true, Home: "/var/lib/shoal"}} {
		path := filepath.Join(t.TempDir(), unitFile)
		if err := os.WriteFile(path, []byte(text(t, s, Linux)), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("systemd-analyze", name, "verify", "--man=no", "--recursive-errors=no", path)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), unitFile) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

const unitFile = "shoal.service"

func TestOnlyOursIsTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", unitFile)
	ours := text(t, userService(), Linux)
	if err := remove(path); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("taking away nothing: %v", err)
	}
	if err := write(path, ours); err != nil {
		t.Fatal(err)
	}
	if err := write(path, text(t, systemService(), Linux)); err != nil {
		t.Errorf("replacing our own: %v", err)
	}
	if err := write(path, ours); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		changed    bool
	}{
		{"another's", "[Service]\nExecStart=/bin/true\n", false},
		{"empty", "", false},
		{"changed", strings.Replace(ours, "CPUWeight=1", "CPUWeight=9", 1), true},
		{"added to", ours + "Nice=1\n", true},
		{"cut", ours[:len(ours)-2], true},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"replaced": write(path, ours), "taken away": remove(path)} {
			var foreign *ForeignError
			if !errors.As(err, &foreign) || foreign.Changed != c.changed {
				t.Errorf("%s, %s: %v", c.name, what, err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.text {
			t.Errorf("%s is now %q, %v", c.name, got, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".shoal-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if err := os.WriteFile(path, []byte(ours), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := remove(path); err != nil {
		t.Errorf("taking away our own: %v", err)
	}
}

// manager listens as systemd does.
func manager(t *testing.T) (path string, heard func() string) {
	path = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("no such sockets here: ", err)
	}
	t.Cleanup(func() { conn.Close() })
	return path, func() string {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 1000)
		n, err := conn.Read(b)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
}

func TestManager(t *testing.T) {
	path, heard := manager(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", "")
	m := TheManager()
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("children would get %s=%s", name, v)
		}
	}
	start := time.Now()
	for _, c := range []struct {
		say  func() error
		want []string
	}{
		{m.Ready, []string{"READY=1"}},
		{func() error { return m.Alive(start, "waiting: no\njob") }, []string{"STATUS=waiting: no job", "WATCHDOG=1"}},
		{func() error { return m.Alive(start.Add(19*time.Second), "waiting: no job") }, nil},
		{func() error { return m.Alive(start.Add(20*time.Second), "waiting: no job") }, []string{"WATCHDOG=1"}},
		{func() error { return m.Alive(start.Add(21*time.Second), "working") }, []string{"STATUS=working"}},
		{m.Stopping, []string{"STOPPING=1"}},
	} {
		if err := c.say(); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if got := heard(); got != want {
				t.Errorf("heard %q, not %q", got, want)
			}
		}
	}
}

func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "nonsense")
	m := TheManager()
	if err := errors.Join(m.Ready(), m.Alive(time.Now(), "x"), m.Stopping()); err != nil {
		t.Error(err)
	}
	gone := &Manager{socket: filepath.Join(t.TempDir(), "gone")}
	if err := gone.Ready(); err == nil {
		t.Error("a manager that is gone hears")
	}
}

func TestWatchdogOfAnother(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", "1")
	if m := TheManager(); m.watchdog != 0 {
		t.Errorf("speaks for process 1 each %s", m.watchdog)
	}
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "shoal.log")
	l, err := openLog(path, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{"1111\n", "2222\n", "3333\n", "4444\n", "5555\n", "6666\n", "7777\n", "longer than a file\n"} {
		if n, err := l.Write([]byte(record)); err != nil || n != len(record) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "longer than a file\n", ".1": "7777\n", ".2": "5555\n6666\n"} {
		if got, err := os.ReadFile(path + name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, not %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(path + ".3"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an old one too many: %v", err)
	}
	again, err := openLog(path, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Write([]byte("on\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "longer than a file\non\n" {
		t.Errorf("going on gives %q, %v", got, err)
	}
}
