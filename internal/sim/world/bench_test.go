package world

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var large = flag.Bool("large", false, "BenchmarkScale also with 10,000 nodes and 20,000 units: minutes")

// BenchmarkScale is what a unit costs as the grid grows, while volunteers' machines come and go: of one
// or two jobs of 40 units together, so that all but a few donors are idle, and of two units for each
// node, that all are busy with. A unit takes up to a minute. An iteration is some worlds, of 120 units at
// least.
func BenchmarkScale(b *testing.B) {
	for _, nodes := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("few/%d", nodes), func(b *testing.B) { scale(b, nodes, 40) })
		if nodes <= 1_000 || *large {
			b.Run(fmt.Sprintf("many/%d", nodes), func(b *testing.B) { scale(b, nodes, max(40, 2*nodes)) })
		}
	}
}

func scale(b *testing.B, nodes, units int) {
	var sum Report
	var took time.Duration
	worlds := 0
	for b.Loop() {
		for range max(1, 120/units) {
			r := Run(Options{Seed: uint64(worlds), Nodes: nodes, Units: units, Takes: time.Minute, Calm: true, Churn: true, Fast: true})
			if len(r.Broken) > 0 {
				b.Fatalf("seed %d: %v", r.Seed, r.Broken)
			}
			sum.Add(r)
			took += r.Ended
			worlds++
		}
	}
	costs(b, &sum)
	b.ReportMetric(took.Minutes()/float64(worlds), "grid-min")
}

// costs prints what a unit took of messages, by what they were about, and of executions, by their
// cause.
func costs(b *testing.B, r *Report) {
	n := float64(r.Accepted)
	b.ReportMetric(float64(r.Messages)/n, "messages/unit")
	b.ReportMetric(float64(r.Bytes)/n/1000, "kB/unit")
	b.ReportMetric(float64(r.Lookups)/n, "lookups/unit")
	for name, c := range r.Kinds {
		b.ReportMetric(float64(c.Messages)/n, name+"/unit")
	}
	b.ReportMetric(float64(r.Executions)/n, "executions/unit")
	for _, c := range []struct {
		cause string
		count int
	}{
		{"dispute", r.Causes.Dispute}, {"liar", r.Causes.Hostile}, {"crash", r.Causes.Crash}, {"contact", r.Causes.Contact},
		{"race", r.Causes.Race}, {"unexplained", r.Causes.Unexplained},
	} {
		b.ReportMetric(float64(c.count)/n, "after-"+c.cause+"/unit")
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
	costs(b, &sum)
}

// BenchmarkVanish is how long it takes, in the grid's time, until every shard has its keepers again
// after three nodes of ten have gone at once: killed, so that their connections close, or without a
// word.
func BenchmarkVanish(b *testing.B) {
	for _, silent := range []bool{false, true} {
		b.Run(map[bool]string{false: "killed", true: "silent"}[silent], func(b *testing.B) {
			var took, longest, ended time.Duration
			worlds := 0
			for b.Loop() {
				for range 4 {
					r := Run(Options{Seed: uint64(worlds), Nodes: 50, Units: 200, Calm: true, Fast: true, Vanish: time.Minute, Silent: silent})
					if r.Recovered == 0 || len(r.Broken) > 0 {
						b.Fatalf("seed %d: not recovered, or %v", r.Seed, r.Broken)
					}
					took += r.Recovered
					ended += r.Ended
					longest = max(longest, r.Recovered)
					worlds++
				}
			}
			b.ReportMetric(took.Seconds()/float64(worlds), "grid-s")
			b.ReportMetric(longest.Seconds(), "longest-grid-s")
			b.ReportMetric(ended.Seconds()/float64(worlds), "job-grid-s")
		})
	}
}
