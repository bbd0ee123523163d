package wasm_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// children lists the processes that have the given parent.
func children(t testing.TB, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && fields[1] == strconv.Itoa(parent) && fields[0] != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !is() {
		select {
		case <-deadline:
			t.Fatal("never happened: " + what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// doomedParent runs a guest that never ends, says so, and waits for its death.
func doomedParent() {
	s, err := wasm.New(wasm.Options{CacheDir: os.Args[2], AllowWeak: true})
	if err != nil {
		panic(err)
	}
	g, err := s.Start(context.Background(), wasm.Spec{Program: wasm.Program{Path: os.Args[3]}})
	if err != nil {
		panic(err)
	}
	fmt.Println("started")
	g.Run(context.Background(), wasm.Input{}, io.Discard)
}

// A guest dies with its parent, computing or paused, however that came to its end.
func TestGuestDiesWithItsParent(t *testing.T) {
	if len(prefix()) > 0 {
		t.Skip("an emulated parent cannot be started by itself")
	}
	p := module(t, spinning())
	parent := exec.Command(os.Args[0], "__doomed", t.TempDir(), p.Path)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatal(line, err)
	}
	var guests []int
	eventually(t, "a guest", func() bool { guests = children(t, parent.Process.Pid); return len(guests) == 1 })
	parent.Process.Kill()
	parent.Wait()
	eventually(t, "the guest's end", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", guests[0]))
		return err != nil
	})
}

// Thousands of inputs leave a child as they found it.
func TestChildStaysTheSame(t *testing.T) {
	g := start(t, wasm.Spec{Program: module(t, leaving(false)), Data: []wasm.File{{Name: "self", Path: os.Args[0]}}})
	input := &wasm.File{Name: "self", Path: os.Args[0]}
	some := func(n int) {
		for i := range n {
			if _, err := g.Run(t.Context(), wasm.Input{Args: make([]string, i%3), File: input}, io.Discard); err != nil {
				t.Fatal(err)
			}
		}
	}
	some(3000)
	kids := children(t, os.Getpid())
	if len(kids) != 1 {
		t.Fatalf("children: %v", kids)
	}
	size := func() (kib int) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", kids[0]))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				fmt.Sscan(value, &kib)
			}
		}
		return kib
	}
	before := size()
	some(3000)
	if after := size(); after > before+4<<10 {
		t.Errorf("the child grew from %d to %d KiB", before, after)
	}
	if now := children(t, os.Getpid()); len(now) != 1 || now[0] != kids[0] {
		t.Errorf("children: %v, then %v", kids, now)
	}
}

// A child that somebody else killed is replaced.
func TestKilledChildIsReplaced(t *testing.T) {
	g := start(t, wasm.Spec{Program: module(t, command{}.assemble())})
	run(t, g, wasm.Input{})
	for range 3 {
		kids := children(t, os.Getpid())
		if len(kids) != 1 {
			t.Fatalf("children: %v", kids)
		}
		victim, err := os.FindProcess(kids[0])
		if err != nil {
			t.Fatal(err)
		}
		victim.Kill()
		eventually(t, "death", func() bool { return len(children(t, os.Getpid())) == 0 })
		// The pipe may still look whole: then this input is given up, and not the next.
		run(t, g, wasm.Input{})
		if r, _ := run(t, g, wasm.Input{}); r.Outcome != jobs.OK {
			t.Errorf("%v: %s", r.Outcome, r.Reason)
		}
	}
}

// BenchmarkPause is the time from asking a computing guest to stop until it stands still, and
// from asking it to go on until it may. A stranger's stops when it would have its turn, which
// on a busy machine comes late: it does not compute before either.
func BenchmarkPause(b *testing.B) {
	b.Run("own", func(b *testing.B) { benchmarkPause(b, false) })
	b.Run("stranger's", func(b *testing.B) { benchmarkPause(b, true) })
}

func benchmarkPause(b *testing.B, idle bool) {
	g := start(b, wasm.Spec{Program: module(b, spinning()), Idle: idle})
	before := children(b, os.Getpid())
	ended := make(chan error, 1)
	go func() {
		_, err := g.Run(context.Background(), wasm.Input{}, io.Discard)
		ended <- err
	}()
	if len(before) != 1 {
		b.Fatalf("children: %v", before)
	}
	stopped := func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", before[0]))
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		return rest[0] == 'T'
	}
	var pausing, resuming, longest time.Duration
	for b.Loop() {
		began := time.Now()
		if err := g.Pause(); err != nil {
			b.Fatal(err)
		}
		for !stopped() {
			runtime.Gosched()
		}
		took := time.Since(began)
		pausing, longest = pausing+took, max(longest, took)
		began = time.Now()
		if err := g.Resume(); err != nil {
			b.Fatal(err)
		}
		for stopped() {
			runtime.Gosched()
		}
		resuming += time.Since(began)
	}
	b.ReportMetric(float64(pausing.Microseconds())/float64(b.N)/1000, "pause-ms")
	b.ReportMetric(float64(longest.Microseconds())/1000, "longest-pause-ms")
	b.ReportMetric(float64(resuming.Microseconds())/float64(b.N)/1000, "resume-ms")
	g.Close()
	<-ended
}
