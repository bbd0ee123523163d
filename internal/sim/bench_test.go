//go:build unix

package sim

import (
	"context"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkGrid is units claimed, run, sealed, revealed, agreed by two donors and collected, in
// a grid of ten nodes in one process: records really encoded and signed, the network a function
// call. One iteration is one unit.
func BenchmarkGrid(b *testing.B) {
	g := New()
	defer g.Close()
	for range 10 {
		g.Add(donor)
	}
	s := g.Add(Kind{})
	calls, bytes := g.Traffic()
	began, used := time.Now(), cpu()
	b.ResetTimer()
	job, err := s.Submit(context.Background(), Job{Inputs: b.N})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Collect(context.Background(), job); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	n := float64(b.N)
	c, by := g.Traffic()
	b.ReportMetric(n/time.Since(began).Seconds(), "units/s")
	b.ReportMetric(float64((cpu()-used).Microseconds())/n, "cpu-µs/unit")
	b.ReportMetric(float64(c-calls)/n, "calls/unit")
	b.ReportMetric(float64(by-bytes)/n, "B/unit")
}

// BenchmarkAlone is the same on one node, whose word is enough for its own job.
func BenchmarkAlone(b *testing.B) {
	g := New()
	defer g.Close()
	n := g.Add(Kind{Keeps: true, RunsOwn: true, Slots: 2})
	used := cpu()
	job, err := n.Submit(context.Background(), Job{Inputs: b.N})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := n.Collect(context.Background(), job); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/unit")
}
