package sim

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
)

// lie is an answer that liars agree on.
func lie(input []byte) []byte { return append([]byte("not "), input...) }

func strong(lease uint32) jobs.Policy {
	return jobs.Policy{Level: jobs.Strong, Votes: 2, Lease: lease}
}

// A grid of eight in which two lie together: at strong only right answers come out, also of a
// submitter that knows nobody yet and donates nothing.
func TestStrongAgainstColluders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		usual := donor
		usual.Takes = 2 * time.Second
		for range 6 {
			g.Add(usual)
		}
		liar := usual
		liar.Run = lie
		g.Add(liar)
		g.Add(liar)
		s := g.Add(Kind{})
		began := time.Now()
		job := submitTo(t, s, Job{Inputs: 40, Policy: strong(120)})
		c := check(t, s, job, 2*time.Hour)
		p := c.Progress(time.Now())
		if !p.Final || p.Provisional != 0 {
			t.Errorf("all is accepted, and not final: %+v", p)
		}
		if p.OwnRuns == 0 {
			t.Errorf("nobody is known, and all are believed")
		}
		t.Logf("after %s: %d units, %d executions, %d own runs", time.Since(began), job.Head.Units, p.Executions, p.OwnRuns)

		again := submitTo(t, s, Job{Inputs: 40, Policy: strong(120)})
		q := check(t, s, again, 2*time.Hour).Progress(time.Now())
		t.Logf("again: %d executions, %d own runs", q.Executions, q.OwnRuns)
		if q.OwnRuns > p.OwnRuns {
			t.Errorf("donors are known now: %d own runs, then %d", p.OwnRuns, q.OwnRuns)
		}
	})
}

// While the submitter is away its units stand at "agreed, not final"; when it is back it finishes.
func TestStrongWaitsForItsSubmitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		for range 5 {
			g.Add(donor)
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 20, Policy: strong(120)})
		s.Kill()
		reader := g.Add(Kind{})
		time.Sleep(time.Hour)

		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c, err := reader.Collect(ctx, job)
		if err == nil {
			t.Fatalf("a stranger finished it: %+v", c.Progress(time.Now()))
		}
		final := 0
		err = c.Each(context.Background(), collect.Which{}, func(a collect.Answer, _ io.Reader) error {
			if !a.Open {
				final++
			}
			return nil
		})
		if err != nil || final > 0 {
			t.Errorf("%d answers are final without the submitter, %v", final, err)
		}
		s.Start(Kind{})
		check(t, s, job, 2*time.Hour)
	})
}

// Nobody comes: the submitter runs at strong what nobody else does.
func TestStrongRunsWhatNobodyRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Add(donor)
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 3, Policy: strong(120)})
		c := check(t, s, job, time.Hour)
		if p := c.Progress(time.Now()); p.OwnRuns != 3 {
			t.Errorf("%d own runs of 3 units with one donor in the grid", p.OwnRuns)
		}
	})
}
