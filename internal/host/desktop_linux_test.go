package host

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// noDesktop takes away the desktop that the tests may run in.
func noDesktop(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "KDE_FULL_SESSION"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "no-session"))
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "no-system"))
}

// startBus starts a real message bus of the test's own and gives its address.
func startBus(t *testing.T) string {
	path, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("dbus-daemon is not installed")
	}
	cmd := exec.Command(path, "--session", "--nofork", "--nopidfile", "--print-address=1", "--address=unix:path="+filepath.Join(t.TempDir(), "bus"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// service is a connection that offers something on a bus.
func service(t *testing.T, address string) *dbus.Conn {
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func own(t *testing.T, conn *dbus.Conn, name string) {
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// fakeMutter answers as GNOME's compositor does.
type fakeMutter struct{ last atomic.Int64 } // when there was input

func (m *fakeMutter) GetIdletime() (uint64, *dbus.Error) {
	return uint64(time.Since(time.Unix(0, m.last.Load())).Milliseconds()), nil
}

func (m *fakeMutter) touch(ago time.Duration) { m.last.Store(time.Now().Add(-ago).UnixNano()) }

func exportMutter(t *testing.T, address string) (*fakeMutter, *dbus.Conn) {
	m := &fakeMutter{}
	conn := service(t, address)
	if err := conn.Export(m, "/org/gnome/Mutter/IdleMonitor/Core", "org.gnome.Mutter.IdleMonitor"); err != nil {
		t.Fatal(err)
	}
	own(t, conn, "org.gnome.Mutter.IdleMonitor")
	return m, conn
}

// TestGNOME lets a real sampler hear of input through a real bus.
func TestGNOME(t *testing.T) {
	noDesktop(t)
	address := startBus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	m, _ := exportMutter(t, address)
	m.touch(10 * time.Minute)
	signals := System(t.TempDir())
	signals = Signals{Idle: signals.Idle, Close: signals.Close}
	s := New(signals, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	idle := until(t, s, func(i Reading[Idle]) bool { return i.Known && strings.HasPrefix(i.Value.Source, "GNOME") })
	t.Logf("%+v", idle.Value)
	m.touch(0)
	touched := time.Now()
	until(t, s, func(i Reading[Idle]) bool { return i.Known && i.Value.For < 5*time.Second })
	t.Logf("input was seen after %s", time.Since(touched)) // below 500 ms on a machine that is not overloaded
}

// until waits for a reading of user idle.
func until(t *testing.T, s *Sampler, ok func(Reading[Idle]) bool) Reading[Idle] {
	t.Helper()
	late := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if r := s.Readings().Idle; ok(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("still %+v", s.Readings().Idle)
		}
	}
}

func TestNetworkManager(t *testing.T) {
	noDesktop(t)
	address := startBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	b := newBus(systemBusAddress)
	defer b.close()
	look := networkManager{b}.look
	if n, err := look(t.Context()); err == nil || err.Error() != "NetworkManager does not run" {
		t.Errorf("without it: %+v, %v", n, err)
	}
	const name = "org.freedesktop.NetworkManager"
	conn := service(t, address)
	properties, err := prop.Export(conn, "/org/freedesktop/NetworkManager", prop.Map{name: {"Metered": {Value: uint32(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	own(t, conn, name)
	for _, c := range []struct {
		metered uint32
		want    string
	}{{0, "unknown"}, {1, "metered"}, {2, "free"}, {3, "metered"}, {4, "free"}, {77, "unknown"}} {
		properties.SetMust(name, "Metered", c.metered)
		got := "unknown"
		if n, err := look(t.Context()); err == nil {
			got = map[bool]string{true: "metered", false: "free"}[n.Metered]
		}
		if got != c.want {
			t.Errorf("Metered %d is %s, not %s", c.metered, got, c.want)
		}
	}
	conn.Close()
	if n, err := look(t.Context()); err == nil {
		t.Errorf("after it ended: %+v", n)
	}
}

// fakeLogind has one session.
type fakeLogind struct{}

func (fakeLogind) ListSessions() ([]session, *dbus.Error) {
	return []session{{"1", 1000, "a", "seat0", "/org/freedesktop/login1/session/_1"}}, nil
}

func TestLogind(t *testing.T) {
	noDesktop(t)
	address := startBus(t)
	conn := service(t, address)
	if err := conn.Export(fakeLogind{}, "/org/freedesktop/login1", logindService+".Manager"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	properties, err := prop.Export(conn, "/org/freedesktop/login1/session/_1", prop.Map{logindService + ".Session": {
		"Type": {Value: "wayland"}, "Class": {Value: "user"}, "State": {Value: "active"},
		"IdleHint": {Value: false}, "IdleSinceHint": {Value: uint64(now.Add(-time.Hour).UnixMicro())},
	}})
	if err != nil {
		t.Fatal(err)
	}
	own(t, conn, logindService)
	b := newBus(func() (string, error) { return address, nil })
	defer b.close()
	l := logind{b, func() time.Time { return now }}
	for _, c := range []struct {
		set  string
		to   any
		want string
	}{
		{"IdleHint", false, "0s"},
		{"IdleHint", true, "1h0m0s"},
		{"IdleSinceHint", uint64(now.Add(time.Hour).UnixMicro()), "0s"},
		{"State", "online", "absent"},
		{"State", "active", "0s"},
		{"Type", "tty", "absent"},
	} {
		properties.SetMust(logindService+".Session", c.set, c.to)
		d, err := l.idle(t.Context())
		got := d.Round(time.Second).String()
		if errors.Is(err, errAbsent) {
			got = "absent"
		} else if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("with %s %v: %s, not %s", c.set, c.to, got, c.want)
		}
	}
}

// TestABusThatHangs: it takes the connection and never says a word.
func TestABusThatHangs(t *testing.T) {
	noDesktop(t)
	l, address := listen(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+address)
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	b := newBus(sessionBusAddress)
	defer b.close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := mutter{b}.idle(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
	// The connection was given up, and no second one is tried at once.
	c := <-accepted
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for err = nil; err == nil; {
		_, err = c.Read(make([]byte, 100))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	if _, err := (mutter{b}).idle(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the next call says %v", err)
	}
}

// TestABusThatDies and comes back is connected to again.
func TestABusThatDies(t *testing.T) {
	noDesktop(t)
	address := startBus(t)
	b := newBus(func() (string, error) { return address, nil })
	defer b.close()
	m, conn := exportMutter(t, address)
	m.touch(time.Minute)
	if d, err := (mutter{b}).idle(t.Context()); err != nil || d < time.Minute {
		t.Fatalf("%v, %v", d, err)
	}
	conn.Close()
	if _, err := (mutter{b}).idle(t.Context()); !errors.Is(err, errAbsent) {
		t.Errorf("without its service: %v", err)
	}
	b.conn.Close() // as when the daemon ends
	if _, err := (mutter{b}).idle(t.Context()); err == nil {
		t.Error("a closed bus answers")
	}
	b.failed = time.Time{} // the wait is over
	exportMutter(t, address)
	if _, err := (mutter{b}).idle(t.Context()); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

func listen(t *testing.T) (net.Listener, string) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// compositor is a Wayland server with just what a client of the idle notifier needs.
func compositor(t *testing.T, offers ...string) (path string, say func(opcode uint16)) {
	l, path := listen(t)
	ready := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		for {
			object, opcode, body, err := wlRead(conn)
			switch {
			case err != nil:
				return
			case object == wlDisplay && opcode == 1:
				for i, o := range offers {
					conn.Write(wlMessage(wlRegistry, 0, wlUint(uint32(i+40)), wlString(o), wlUint(1)))
				}
			case object == wlDisplay && opcode == 0:
				conn.Write(wlMessage(wlCallback, 0, wlUint(0)))
			case object == wlRegistry: // bind
				kind := string(body[8 : 8+binary.NativeEndian.Uint32(body[4:])-1])
				if want := offers[binary.NativeEndian.Uint32(body)-40]; kind != want {
					t.Errorf("binds %q as %q", want, kind)
				}
			case object == wlNotifier && opcode == 1:
				if rest := binary.NativeEndian.Uint32(body[4:]); rest != 5000 {
					t.Errorf("asks for word after %d ms", rest)
				}
				ready <- conn
			}
		}
	}()
	return path, func(opcode uint16) {
		conn := <-ready
		ready <- conn
		conn.Write(wlMessage(wlNotification, opcode))
	}
}

func TestWayland(t *testing.T) {
	noDesktop(t)
	path, say := compositor(t, "wl_compositor", "wl_seat", "ext_idle_notifier_v1")
	t.Setenv("WAYLAND_DISPLAY", path)
	w := &wayland{env: sessionEnv{newBus(sessionBusAddress)}}
	defer w.close()
	eventually := func(what string, ok func(time.Duration) bool) {
		t.Helper()
		for late := time.Now().Add(10 * time.Second); ; {
			d, err := w.idle(t.Context())
			if err == nil && ok(d) {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("%s: still %v, %v", what, d, err)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	eventually("at first", func(d time.Duration) bool { return d == 0 })
	say(0)
	eventually("left alone", func(d time.Duration) bool { return d >= waylandRest })
	say(1)
	eventually("touched", func(d time.Duration) bool { return d == 0 })
}

func TestWaylandWithoutTheProtocol(t *testing.T) {
	noDesktop(t)
	path, _ := compositor(t, "wl_seat")
	t.Setenv("WAYLAND_DISPLAY", path)
	l := tree(t, map[string]string{"dev/pts/0": ""})
	session := newBus(sessionBusAddress)
	c := newIdleChain(l, newBus(systemBusAddress), session)
	defer c.close()
	// Somebody may be at that desktop: terminals alone do not make the machine idle.
	if i, err := c.look(t.Context()); err == nil || !strings.Contains(err.Error(), "does not tell of input") {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestX11 has a real X server hear real input.
func TestX11(t *testing.T) {
	noDesktop(t)
	for _, tool := range []string{"Xvfb", "xdotool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	display := startX(t)
	t.Setenv("DISPLAY", display)
	c := newIdleChain(tree(t, nil), newBus(systemBusAddress), newBus(sessionBusAddress))
	defer c.close()
	look := func() Idle {
		i, err := c.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if i := look(); i.Source != "X11" {
		t.Fatalf("the source is %q", i.Source)
	}
	for late := time.Now().Add(20 * time.Second); look().For < time.Second && time.Now().Before(late); {
		<-time.After(20 * time.Millisecond)
	}
	before := look().For
	if before < time.Second {
		t.Fatalf("idle for %s only", before)
	}
	if out, err := exec.Command("xdotool", "mousemove_relative", "5", "5").CombinedOutput(); err != nil {
		t.Fatalf("xdotool: %v: %s", err, out)
	}
	if after := look().For; after >= before {
		t.Errorf("idle for %s, and after input for %s", before, after)
	}
}

// startX starts an X server that only its cookie opens.
func startX(t *testing.T) (display string) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := []byte("0123456789abcdef")
	field := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	entry := []byte{0xff, 0xff} // of any family
	for _, b := range [][]byte{nil, nil, []byte(cookieKind), key} {
		entry = append(entry, field(b)...)
	}
	authority := filepath.Join(dir, "authority")
	if err := os.WriteFile(authority, entry, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XAUTHORITY", authority)
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-auth", authority, "-nolisten", "tcp", "-screen", "0", "64x64x8")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	w.Close()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal("Xvfb does not start: ", err)
	}
	return ":" + strings.TrimSpace(number)
}

func TestLocalDisplay(t *testing.T) {
	for display, want := range map[string]string{":0": "0", ":12.1": "12", "unix:3": "3", "localhost:10.0": "", "far:0": "", "": "", ":": "", ":../x": "", ":123456": ""} {
		if got, ok := localDisplay(display); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", display, got, ok)
		}
	}
}

func FuzzCookie(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x01a\x00\x010\x00\x12MIT-MAGIC-COOKIE-1\x00\x02xy"))
	f.Add([]byte{0, 0, 255, 255})
	name := filepath.Join(f.TempDir(), "authority")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if key := cookie(name, "0"); len(key) > len(data) {
			t.Error("a cookie longer than its file")
		}
	})
}
