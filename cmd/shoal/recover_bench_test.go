//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// BenchmarkRecover is how long a grid of ten real nodes on this machine takes, after three of them go
// at once amid five jobs, until each shard is held by its five nearest nodes again, and until the jobs
// end: killed, so that their connections close; or stopped, so that these stand and nobody answers, as
// when a machine loses its power. A lease is 30 s here, for what they held comes free with it.
func BenchmarkRecover(b *testing.B) {
	exe := gridtest.Build(b)
	for _, c := range []struct {
		how    string
		signal syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"silent", syscall.SIGSTOP}} {
		b.Run(c.how, func(b *testing.B) {
			var held, ended time.Duration
			runs := 0
			for b.Loop() {
				h, e := recovers(b, gridtest.New(b, exe), c.signal)
				held, ended, runs = held+h, ended+e, runs+1
			}
			b.ReportMetric(held.Seconds()/float64(runs), "s-to-keepers")
			b.ReportMetric(ended.Seconds()/float64(runs), "s-to-end")
		})
	}
}

// recovers gives the times of one grid, from the signal on.
func recovers(b *testing.B, g *gridtest.Grid, signal syscall.Signal) (held, ended time.Duration) {
	const jobs, inputs, patience = 5, 40, 5 * time.Minute
	submitter := g.Found("submitter", "up")
	donors := g.Donors(9)
	g.Meet(9, append(slices.Clone(donors), submitter)...)
	rand.Shuffle(len(donors), func(i, j int) { donors[i], donors[j] = donors[j], donors[i] })
	victims, rest := donors[:3], append(donors[3:], submitter)
	probe := gridtest.NewProbe(b, rest...)
	program := writeBurner(b, burn)
	var open []string
	for i := range jobs {
		job, _ := submitter.Submit(program, "--range", fmt.Sprintf("%d..%d", i*inputs+1, (i+1)*inputs), "--per-unit", "1", "--lease", "30s")
		open = append(open, job)
	}
	submitter.AwaitInputs(open[0], inputs/5)

	began := time.Now()
	for _, v := range victims {
		if err := syscall.Kill(v.PID(), signal); err != nil {
			b.Fatal(err)
		}
	}
	lacking := slices.Clone(open)
	if !g.UntilWithin(patience, func() bool {
		lacking = slices.DeleteFunc(lacking, func(job string) bool { return slices.Equal(probe.Holders(job, 0), probe.Nearest(job, 0)) })
		return len(lacking) == 0
	}) {
		b.Fatalf("after %s the nearest nodes do not hold %v", patience, lacking)
	}
	held = time.Since(began)
	if !g.UntilWithin(patience, func() bool {
		open = slices.DeleteFunc(open, func(job string) bool { j := submitter.Job(job); return j != nil && j.Final })
		return len(open) == 0
	}) {
		b.Fatalf("after %s the jobs have not ended: %v", patience, open)
	}
	return held, time.Since(began)
}
