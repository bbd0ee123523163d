//go:build unix

package wasm_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// BenchmarkInput is the price of one trivial input in a warm child, all in: cpu-us/op is
// the CPU time of the child, to which that of this process comes.
func BenchmarkInput(b *testing.B) {
	for _, c := range []struct {
		name    string
		program func(testing.TB) wasm.Program
		args    []string
	}{
		{"empty", func(t testing.TB) wasm.Program { return module(t, command{}.assemble()) }, nil},
		{"go", func(t testing.TB) wasm.Program { return program(t, goGuest(t, "tool")) }, []string{"upper"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := start(b, wasm.Spec{Program: c.program(b)})
			var guest time.Duration
			began := ownCPU(b)
			for b.Loop() {
				r, err := g.Run(b.Context(), wasm.Input{Args: c.args, Stdin: strings.NewReader("hello")}, io.Discard)
				if err != nil || r.Outcome != jobs.OK {
					b.Fatal(r, err)
				}
				guest += r.CPU
			}
			b.ReportMetric(float64(guest.Microseconds())/float64(b.N), "child-us/op")
			b.ReportMetric(float64((ownCPU(b)-began).Microseconds())/float64(b.N), "parent-us/op")
		})
	}
}

// ownCPU is the CPU time that the test's own process has used.
func ownCPU(t testing.TB) time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
