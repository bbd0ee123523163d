package node_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/gridtest"
	"github.com/shoalgrid/shoal/internal/node"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/worker/wishes"
)

// TestMain makes the test binary a guest's process where it is asked to be one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg {
		os.Exit(wasm.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// patience is for things that take a second or two on a machine that does nothing else.
const patience = 2 * time.Minute

// desk is a machine at which somebody sits, or does not.
type desk struct {
	mu      sync.Mutex
	left    time.Time // zero: somebody is there
	tells   wishes.Readings
	changed chan struct{}
}

func newDesk() *desk {
	return &desk{left: time.Now().Add(-time.Hour), changed: make(chan struct{}, 1)}
}

func (d *desk) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (d *desk) Changed() <-chan struct{}      { return d.changed }
func (d *desk) Calm(bool)                     {}

func (d *desk) Readings() wishes.Readings {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.tells
	r.Idle = wishes.Know(time.Duration(0))
	if !d.left.IsZero() {
		r.Idle = wishes.Know(time.Since(d.left))
	}
	return r
}

func (d *desk) set(left time.Time) { d.change(func() { d.left = left }) }

// tell changes what the machine tells of itself.
func (d *desk) tell(f func(*wishes.Readings)) { d.change(func() { f(&d.tells) }) }

func (d *desk) change(f func()) {
	d.mu.Lock()
	f()
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *desk) sitDown() { d.set(time.Time{}) }
func (d *desk) leave()   { d.set(time.Now()) }

// opened is a node that runs until the test ends.
func opened(t *testing.T, m node.Machine, donate bool, settings map[string]string) *node.Node {
	t.Helper()
	return openedIn(t, t.TempDir(), m, donate, settings)
}

func openedIn(t *testing.T, home string, m node.Machine, donate bool, settings map[string]string) *node.Node {
	t.Helper()
	flags := map[string]string{"listen": "127.0.0.1:0", "mdns": "false"}
	maps.Copy(flags, settings)
	c, err := config.Load(home, func(string) (string, bool) { return "", false }, flags)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(node.Options{Home: home, Config: c, Version: "test", Donate: donate, Machine: m, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the node: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// spinner is a program that counts so far.
func spinner(t *testing.T, steps int64) string {
	t.Helper()
	loop := append([]byte{0x01, 0x01, 0x7e, 0x03, 0x40, 0x20, 0x00, 0x42, 0x01, 0x7c, 0x22, 0x00, 0x42}, signed(steps)...)
	loop = append(loop, 0x54, 0x0d, 0x00, 0x0b, 0x0b)
	module := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x05\x03\x01\x00\x01\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00\x0a")
	module = append(module, byte(len(loop)+2), 1, byte(len(loop)))
	path := filepath.Join(t.TempDir(), "spinner.wasm")
	if err := os.WriteFile(path, append(module, loop...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signed is a number in LEB128.
func signed(n int64) (b []byte) {
	for ; n > 63; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// until waits for a condition and tells how long that took.
func until(t *testing.T, what string, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Since(began) > patience {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

// guests are the states of this process's guests that are on an input: "RT" is one that runs and
// one that stands still.
func guests(t *testing.T) string {
	t.Helper()
	var states strings.Builder
	for _, g := range gridtest.Guests(t, os.Getpid()) {
		if g.Begun() {
			states.WriteByte(g.State)
		}
	}
	return states.String()
}

// lending is a donor at a desk that works for a submitter on inputs that take long.
func lending(t *testing.T, settings map[string]string) (*node.Node, *desk) {
	t.Helper()
	d := newDesk()
	donor := opened(t, d, true, settings)
	id, err := donor.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	submitter := opened(t, newDesk(), false, map[string]string{"bootstrap": id.Addrs[0]})
	until(t, "they meet", func() bool {
		peers, err := submitter.Peers(t.Context())
		return err == nil && len(peers) > 0 && len(peers[0].Roles) > 0
	})
	_, err = submitter.Submit(t.Context(), api.Submission{
		Program: spinner(t, 1<<38), Range: &[2]int64{1, 64}, PerUnit: 1, Lease: 15 * time.Second, Level: "trusted", Trust: []string{id.Peer},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return donor, d
}

func donating(t *testing.T, n *node.Node) api.DonateStatus {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Donating
}

// A donor's machine is theirs again within a second of input, and the grid has the unit again
// when its lease is over; silence lets work go on. The bound is three times as wide: other
// tests run here too.
func TestInputStopsGuestsAndSilenceLetsThemGoOn(t *testing.T) {
	donor, d := lending(t, map[string]string{"idle-after": "1s", "cores": "2"})
	running := func() bool {
		return donating(t, donor).State == api.DonatingOn && strings.Count(guests(t), "R") == 2
	}
	until(t, "two guests run", running)

	d.sitDown()
	took := until(t, "they stand still", func() bool { return guests(t) == "TT" })
	t.Logf("stopped %s after input", took)
	if took > 3*time.Second {
		t.Errorf("guests were stopped after %s", took)
	}
	if s := donating(t, donor); s.State != api.DonatingPaused || !strings.HasPrefix(s.Why, "computer in use since ") || !strings.HasSuffix(s.Why, ", resumes after 1 s without input") {
		t.Errorf("status: %s: %q", s.State, s.Why)
	}

	d.leave()
	took = until(t, "they go on", running)
	t.Logf("went on %s after the last input", took)
	if took < time.Second {
		t.Errorf("guests went on after %s of silence, not 1 s", took)
	}

	d.sitDown() // for longer than the lease
	took = until(t, "their units are given back", func() bool {
		s, err := donor.Status(t.Context())
		return err == nil && len(s.Working) == 0
	})
	t.Logf("given back %s after input, with a lease of 15 s", took)
	until(t, "their guests are gone", func() bool { return guests(t) == "" })
	if took < 2*time.Second {
		t.Errorf("given back after %s: a short pause should cost nothing", took)
	}
	d.leave()
	until(t, "others are taken", running)
}

// Other programs keep at least 95 % of the processor time that they get alone: programs that want all
// there is lose what guests and this node take, and nothing else. That is measured, against all that
// the cores have, and not a time with guests against one without: third parties make the two differ
// by more than guests do.
func TestOthersKeepTheProcessor(t *testing.T) {
	lending(t, map[string]string{"when": "always", "cores-in-use": "4096"})
	cores := runtime.NumCPU()
	until(t, "guests run", func() bool { return strings.Count(guests(t), "R") >= cores })
	for range cores {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	running := gridtest.Guests(t, os.Getpid())
	const windows, window = 7, time.Second // the kernel may misplace a program once: the median counts
	var lost []float64
	for range windows {
		taken, began := used(t), time.Now()
		until(t, "a window is over", func() bool { return time.Since(began) >= window })
		lost = append(lost, float64(used(t)-taken)/float64(time.Since(began))/float64(cores))
	}
	slices.Sort(lost)
	middle := lost[windows/2]
	t.Logf("beside %d guests, %d busy programs keep %.1f %% of the CPU time that they get alone; by the second, of 1: %.3f is lost", len(running), cores, 100*(1-middle), lost)
	if middle > 0.05 {
		t.Errorf("others keep %.1f %% of the processor", 100*(1-middle))
	}
	if states := guests(t); len(states) < cores {
		t.Errorf("guests are gone: %q", states)
	}
}

// used is the CPU time of this node and of its guests.
func used(t *testing.T) time.Duration {
	t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, g := range gridtest.Guests(t, os.Getpid()) {
		sum += g.CPU
	}
	return sum
}
