package sim

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Every donor goes while most units are untouched, and some have one vote: the submitter ends the
// job alone.
func TestStrongRunsWhatNobodyClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Add(Kind{Keeps: true})
		slow := Kind{Donates: true, Takes: 3 * time.Second}
		gone := []*Node{g.Add(slow), g.Add(slow), g.Add(slow)}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 30, Policy: strong(10)})
		time.Sleep(10 * time.Second)
		for _, n := range gone {
			n.Kill()
		}
		began := time.Now()
		c := check(t, s, job, time.Hour)
		p := c.Progress(time.Now())
		if !p.Final || p.OwnRuns < 20 {
			t.Errorf("%d own runs of 30 units that were left alone: %+v", p.OwnRuns, p)
		}
		t.Logf("after %s: %d own runs, %d executions", time.Since(began), p.OwnRuns, p.Executions)
	})
}

// Those whom the submitter asks for votes go away after they were named; others, whom it comes to
// know only later, are named then.
func TestAskedVotersGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Add(Kind{Keeps: true})
		quick := Kind{Donates: true, Takes: 200 * time.Millisecond}
		first := []*Node{g.Add(quick), g.Add(quick), g.Add(quick)}
		s := g.Add(Kind{})
		check(t, s, submitTo(t, s, Job{Inputs: 20, Policy: strong(120)}), time.Hour) // the three are known now

		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		job := submitTo(t, s, Job{Inputs: 60, Policy: strong(120)})
		var collecting sync.WaitGroup
		collecting.Go(func() { _, _ = s.Collect(ctx, job) })
		time.Sleep(time.Second)
		for _, n := range first {
			n.Kill()
		}
		cancel()
		collecting.Wait()
		for range 4 {
			g.Add(quick)
		}
		began := time.Now()
		c := check(t, s, job, time.Hour)
		p := c.Progress(time.Now())
		if !p.Final || p.OwnRuns > 40 {
			t.Errorf("%d own runs of 60 units in a grid of four, %d executions", p.OwnRuns, p.Executions)
		}
		t.Logf("after %s: %d own runs, %d executions", time.Since(began), p.OwnRuns, p.Executions)
	})
}
