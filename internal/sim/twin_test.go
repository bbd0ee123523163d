package sim

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
)

// crew is a grid of some usual donors, two liars who lie together, and nobody else.
func crew(g *Grid, honest int) {
	g.Latency = 5 * time.Millisecond
	usual := donor
	usual.Takes = 2 * time.Second
	for range honest {
		g.Add(usual)
	}
	usual.Run = lie
	g.Add(usual)
	g.Add(usual)
}

// collectAll collects a job at several nodes at once.
func collectAll(t *testing.T, job *jobs.Job, within time.Duration, at ...*Node) (out []*collect.Collector) {
	t.Helper()
	out = make([]*collect.Collector, len(at))
	var all sync.WaitGroup
	for i, n := range at {
		all.Go(func() { out[i] = check(t, n, job, within) })
	}
	all.Wait()
	return out
}

// sameWord holds that two machines of one key have said the same, and that a stranger finds it right.
func sameWord(t *testing.T, a, b *collect.Collector) {
	t.Helper()
	var words [2][]*jobs.Record
	for i, c := range []*collect.Collector{a, b} {
		if p := c.Progress(time.Now()); !p.Final || p.Provisional > 0 {
			t.Errorf("machine %d: not final: %+v", i, p)
		}
		if wrong := findings(t, proofOf(t, c)); wrong != "" {
			t.Errorf("the evidence of machine %d:\n%s", i, wrong)
		}
		var err error
		if words[i], err = c.LastWord(0); err != nil || len(words[i]) == 0 {
			t.Fatalf("machine %d has no last word: %v", i, err)
		}
	}
	if !bytes.Equal(jobs.Encode(words[0][0].Body), jobs.Encode(words[1][0].Body)) {
		t.Error("two machines with one key have two last words")
	}
}

// In the middle of a strong job its submitter's machine is lost; another with its key, which knows
// nothing of what the first has learnt and asked for, goes on and finishes. When the first is back
// it takes up what was said, and says nothing else.
func TestAnotherMachineOfTheKeyFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		crew(g, 6)
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 30, Policy: strong(120)})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c, _ := s.Collect(ctx, job) // it says that the time was over
		if p := c.Progress(time.Now()); p.Done == 0 || p.Final {
			t.Fatalf("it was not lost in the middle: %+v", p)
		}
		s.Kill()

		other := g.Twin(s, Kind{})
		there := check(t, other, job, 2*time.Hour)
		s.Start(Kind{})
		sameWord(t, check(t, s, job, 10*time.Minute), there)
	})
}

// Two machines with the submitter's key judge one job at the same time: each asks for votes and runs
// units by what it knows, and both end with the same right answers.
func TestTwoMachinesOfTheKeyJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		crew(g, 6)
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 30, Policy: strong(120)})
		other := g.Twin(s, Kind{})
		both := collectAll(t, job, 2*time.Hour, s, other)
		sameWord(t, both[0], both[1])
		p := both[0].Progress(time.Now())
		t.Logf("%d executions, %d own runs of %d units", p.Executions, p.OwnRuns, job.Head.Units)
	})
}
