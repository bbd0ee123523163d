package world

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkScale is what a unit costs in messages as the grid grows, while nodes come and go: one
// job of 40 units, everyone idle otherwise. An iteration is a whole world.
func BenchmarkScale(b *testing.B) {
	for _, nodes := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			var sum Report
			worlds := 0
			for b.Loop() {
				r := Run(Options{Seed: uint64(worlds), Nodes: nodes, Units: 40, Calm: true, Churn: true, Fast: true})
				if len(r.Broken) > 0 {
					b.Fatalf("seed %d: %v", r.Seed, r.Broken)
				}
				sum.Add(r)
				worlds++
			}
			n := float64(sum.Accepted)
			b.ReportMetric(float64(sum.Messages)/n, "messages/unit")
			b.ReportMetric(float64(sum.Bytes)/n, "B/unit")
			b.ReportMetric(float64(sum.Executions)/n, "executions/unit")
		})
	}
}

// BenchmarkDuplicates is how many executions there are beyond the votes needed, by their cause,
// under all faults and with a quarter of the nodes lying.
func BenchmarkDuplicates(b *testing.B) {
	var sum Report
	worlds := 0
	for b.Loop() {
		sum.Add(Run(Options{Seed: uint64(worlds), Nodes: 12, Liars: 3, Fast: true}))
		worlds++
	}
	n := float64(sum.Accepted)
	for _, c := range []struct {
		cause string
		count int
	}{
		{"dispute", sum.Causes.Dispute}, {"liar", sum.Causes.Hostile}, {"crash", sum.Causes.Crash}, {"contact", sum.Causes.Contact},
		{"race", sum.Causes.Race}, {"unexplained", sum.Causes.Unexplained},
	} {
		b.ReportMetric(float64(c.count)/n, c.cause+"/unit")
	}
	b.ReportMetric(float64(sum.Executions)/n, "executions/unit")
}

// BenchmarkVanish is how long it takes, in the grid's time, until every shard has its keepers again
// after three nodes of ten have gone at once.
func BenchmarkVanish(b *testing.B) {
	var took, longest time.Duration
	worlds := 0
	for b.Loop() {
		r := Run(Options{Seed: uint64(worlds), Nodes: 50, Units: 200, Calm: true, Fast: true, Vanish: time.Minute})
		took += r.Recovered
		longest = max(longest, r.Recovered)
		worlds++
	}
	b.ReportMetric(took.Seconds()/float64(worlds), "grid-s")
	b.ReportMetric(longest.Seconds(), "longest-grid-s")
}
