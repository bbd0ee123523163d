package wasm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

func TestCPULimitGivesUp(t *testing.T) {
	g := start(t, wasm.Spec{Program: module(t, spinning()), Limits: wasm.Limits{CPU: 100 * time.Millisecond}})
	for range 2 { // also in the child that comes after the one that was killed
		r, _ := run(t, g, wasm.Input{})
		if r.Outcome != jobs.GaveUp || r.Reason != "used more than 100ms of CPU time" {
			t.Errorf("%v: %s", r.Outcome, r.Reason)
		}
		if r.CPU < 100*time.Millisecond {
			t.Errorf("used only %v", r.CPU)
		}
	}
}

func TestEndOfContextEndsTheRun(t *testing.T) {
	g := start(t, wasm.Spec{Program: module(t, spinning())})
	why := errors.New("user is back")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	if _, err := g.Run(ctx, wasm.Input{}, io.Discard); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if _, err := g.Run(ctx, wasm.Input{}, io.Discard); !errors.Is(err, why) {
		t.Errorf("with an ended context: error %v", err)
	}
}

func TestCloseEndsTheRun(t *testing.T) {
	g := start(t, wasm.Spec{Program: module(t, spinning())})
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := g.Run(context.Background(), wasm.Input{}, io.Discard)
		if err == nil && r.Outcome != jobs.GaveUp {
			t.Errorf("%v: %s", r.Outcome, r.Reason)
		}
	}()
	time.AfterFunc(50*time.Millisecond, func() { g.Close() })
	<-done
	if _, err := g.Run(t.Context(), wasm.Input{}, io.Discard); !errors.Is(err, wasm.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// pattern is n bytes that do not repeat soon, given in odd pieces.
type pattern struct{ at, n int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	k := min(int64(len(b)), p.n-p.at, 1+p.at%70_001)
	for i := range b[:k] {
		x := p.at + int64(i)
		b[i] = byte(x ^ x>>8 ^ x>>16)
	}
	p.at += k
	return int(k), nil
}

func TestLargeInputAndOutputInBoundedMemory(t *testing.T) {
	const size = 100 << 20
	g := start(t, wasm.Spec{Program: program(t, goGuest(t, "tool")), Limits: wasm.Limits{Output: size}})
	want, got := sha256.New(), sha256.New()
	if _, err := io.Copy(want, &pattern{n: size}); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := g.Run(t.Context(), wasm.Input{Args: []string{"cat"}, Stdin: &pattern{n: size}}, got)
	runtime.ReadMemStats(&after)
	if err != nil || r.Outcome != jobs.OK {
		t.Fatal(r, err)
	}
	if !bytes.Equal(want.Sum(nil), got.Sum(nil)) || r.Size != size {
		t.Errorf("output of %d bytes differs from the input", r.Size)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated to pass on %d", used, size)
	}
	if r.PeakMemory > 64<<20 {
		t.Errorf("the guest was given %d bytes", r.PeakMemory)
	}
	t.Logf("%v of CPU time for %d MiB", r.CPU, size>>20)
}

func TestSizesAroundFrames(t *testing.T) {
	g := start(t, wasm.Spec{Program: program(t, goGuest(t, "tool"))})
	for _, size := range []int64{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 320 << 10, 320<<10 + 1} {
		want, err := io.ReadAll(&pattern{n: size})
		if err != nil {
			t.Fatal(err)
		}
		r, out := run(t, g, wasm.Input{Args: []string{"cat"}, Stdin: &pattern{n: size}})
		if r.Outcome != jobs.OK || out != string(want) {
			t.Errorf("%d bytes: %v, %d bytes came back", size, r.Outcome, len(out))
		}
		if blob := jobs.BlobOf(want); r.Output != blob.Digest || r.Size != blob.Size {
			t.Errorf("%d bytes: named %v", size, r.Output)
		}
	}
}

// A guest that does not read its input, or an output that is not wanted, must not stop
// anything.
func TestInputLeftUnread(t *testing.T) {
	g := start(t, wasm.Spec{Program: program(t, goGuest(t, "tool"))})
	if r, _ := run(t, g, wasm.Input{Args: []string{"nothing"}, Stdin: &pattern{n: 10 << 20}}); r.Outcome != jobs.OK {
		t.Errorf("%v: %s", r.Outcome, r.Reason)
	}
	full := errors.New("disk full")
	_, err := g.Run(t.Context(), wasm.Input{Args: []string{"cat"}, Stdin: &pattern{n: 1 << 20}}, failing{full})
	if !errors.Is(err, full) {
		t.Errorf("a failing output: %v", err)
	}
	_, err = g.Run(t.Context(), wasm.Input{Args: []string{"cat"}, Stdin: failing{full}}, io.Discard)
	if !errors.Is(err, full) {
		t.Errorf("a failing input: %v", err)
	}
	if r, out := run(t, g, wasm.Input{Args: []string{"upper"}, Stdin: strings.NewReader("fine")}); out != "FINE" {
		t.Errorf("afterwards: %v %q", r.Outcome, out)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }

func TestNothingIsLeftForTheNextInput(t *testing.T) {
	for name, starts := range map[string]bool{"in _start": false, "in the start function": true} {
		for profile := range uint8(wasm.MaxProfile + 1) {
			t.Run(fmt.Sprintf("%s, profile %d", name, profile), func(t *testing.T) {
				testNothingIsLeft(t, start(t, wasm.Spec{Program: module(t, leaving(starts)), Profile: profile}))
			})
		}
	}
}

func testNothingIsLeft(t *testing.T, g *wasm.Guest) {
	for i, c := range []struct {
		args    int
		outcome jobs.Outcome
	}{{0, jobs.OK}, {0, jobs.OK}, {1, jobs.Trap}, {0, jobs.OK}, {2, jobs.Exit}, {0, jobs.OK}, {2, jobs.Exit}, {1, jobs.Trap}} {
		r, _ := run(t, g, wasm.Input{Args: make([]string, c.args)})
		if r.Outcome != c.outcome {
			t.Errorf("input %d: %v (%s), want %v", i, r.Outcome, r.Reason, c.outcome)
		}
		if r.PeakMemory != 14<<16 {
			t.Errorf("input %d: %d bytes of memory", i, r.PeakMemory)
		}
	}
}

func TestRandomnessIsOfSeedAndNumber(t *testing.T) {
	dice := module(t, command{imports: []imported{randomGet, fdWrite}, code: join(
		constant(64), constant(24), []byte{call, 0, drop},
		constant(1), constant(0), constant(1), constant(16), []byte{call, 1, drop},
	), data: "\x40\x00\x00\x00\x18\x00\x00\x00"}.assemble())
	seen := make(map[string]bool)
	for _, c := range []struct{ seed, number uint64 }{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1 << 40, 3}} {
		g := start(t, wasm.Spec{Program: dice, Seed: c.seed})
		for range 2 {
			_, out := run(t, g, wasm.Input{Number: c.number})
			seed := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte("shoal/seed/1"), c.seed), c.number)
			want := make([]byte, 24)
			rand.NewChaCha8(sha256.Sum256(seed)).Read(want)
			if out != string(want) {
				t.Errorf("seed %d, input %d: %x, want %x", c.seed, c.number, out, want)
			}
			seen[out] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d different streams of 5", len(seen))
	}
}

func TestManyGuestsOfOneProgram(t *testing.T) {
	s := sandbox(t)
	spec := wasm.Spec{Program: program(t, goGuest(t, "tool"))}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			g, err := s.Start(t.Context(), spec)
			if err != nil {
				t.Error(err)
				return
			}
			defer g.Close()
			var out bytes.Buffer
			if _, err := g.Run(t.Context(), wasm.Input{Args: []string{"upper"}, Stdin: strings.NewReader("a")}, &out); err != nil || out.String() != "A" {
				t.Error(out.String(), err)
			}
		})
	}
	all.Wait()
}

func TestMissingFiles(t *testing.T) {
	tool := program(t, goGuest(t, "tool"))
	s := sandbox(t)
	if _, err := s.Start(t.Context(), wasm.Spec{Program: tool, Data: []wasm.File{{Name: "x", Path: "/no/such/file"}}}); err == nil {
		t.Error("started with missing data")
	}
	if _, err := s.Start(t.Context(), wasm.Spec{Program: tool, Data: []wasm.File{{Name: "../x", Path: tool.Path}}}); err == nil {
		t.Error("started with data named ../x")
	}
	if _, err := s.Start(t.Context(), wasm.Spec{Program: wasm.Program{Path: "/no/such/file"}}); !errors.Is(err, os.ErrNotExist) {
		t.Error("started with a missing program:", err)
	}
	g := start(t, wasm.Spec{Program: tool})
	if _, err := g.Run(t.Context(), wasm.Input{File: &wasm.File{Name: "x", Path: "/no/such/file"}}, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Error("ran with a missing input:", err)
	}
	if _, out := run(t, g, wasm.Input{Args: []string{"upper"}, Stdin: strings.NewReader("fine")}); out != "FINE" {
		t.Errorf("afterwards: %q", out)
	}
}
