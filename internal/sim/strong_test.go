package sim

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/protocol"
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

// In the middle of a job a donor seals two answers to one unit. Its submitter hears of it with the
// records of that unit: whatever was accepted on that donor's word is voted on again, and in the end
// every answer has two voters beside it, or the submitter's own run.
func TestStrongBurnsTheConvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		slow := donor
		slow.Takes = time.Second
		for range 6 {
			g.Add(slow)
		}
		s := g.Add(Kind{})
		check(t, s, submitTo(t, s, Job{Inputs: 24, Policy: strong(120)}), 2*time.Hour) // it knows them now

		job := submitTo(t, s, Job{Inputs: 60, Policy: strong(120)})
		var eve *Node
		var open []uint16
		for wait := time.Second; eve == nil && wait < time.Minute; wait += time.Second {
			eve, open = leantOn(t, g, s, job, wait)
		}
		if eve == nil || len(open) == 0 {
			t.Fatalf("nothing stands on any donor's word yet, or all does: %d units are open", len(open))
		}
		at := open[len(open)-1]
		two, err := jobs.SignBatch(eve, Network, job.ID, 0, &jobs.Seal{Unit: at, Commitment: jobs.Digest{1}}, &jobs.Seal{Unit: at, Commitment: jobs.Digest{2}})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := eve.Client.Offer(context.Background(), protocol.ShardRef{Job: job.ID}, two); err != nil || !o.Majority() {
			t.Fatalf("the keepers did not take two seals: %+v, %v", o, err)
		}
		c := check(t, s, job, 4*time.Hour)
		judge, err := collect.NewJudge(s.disk.table('c'), Network, s)
		if err != nil {
			t.Fatal(err)
		}
		if d := judge.Known([]jobs.NodeID{eve.ID()})[0]; !d.Burned {
			t.Errorf("two signed seals, and nothing came of it: %+v", d)
		}
		p, votes := c.Progress(time.Now()), c.Credit()[eve.ID()].Units
		if least := 2*uint64(job.Head.Units) - p.OwnRuns + votes; p.Executions < least || votes == 0 {
			t.Errorf("%d executions of %d units, %d of them own runs: %d votes of the convicted count", p.Executions, job.Head.Units, p.OwnRuns, votes)
		}
		t.Logf("%d units were open; %d executions of %d units, %d own runs, %d votes of the convicted", len(open), p.Executions, job.Head.Units, p.OwnRuns, votes)
	})
}

// leantOn collects for a while, and gives the donor on whom most of the accepted units lean, if any
// does, and the units that are not accepted.
func leantOn(t *testing.T, g *Grid, n *Node, job *jobs.Job, within time.Duration) (donor *Node, open []uint16) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	c, _ := n.Collect(ctx, job) // it says that the time was over
	err := c.Each(context.Background(), collect.Which{Provisional: true}, func(a collect.Answer, _ io.Reader) error {
		if a.Open {
			open = append(open, uint16(a.Number))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	most := uint64(0)
	for _, x := range g.nodes {
		if units := c.Credit()[x.ID()].Units; units > most {
			donor, most = x, units
		}
	}
	return donor, open
}
