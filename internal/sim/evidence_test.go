package sim

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/evidence"
)

// evidenceOf is what a collector shows of its job, checked by nobody in particular.
func evidenceOf(t *testing.T, c *collect.Collector, o evidence.Options) *evidence.Report {
	t.Helper()
	var file bytes.Buffer
	if err := c.Evidence(context.Background(), &file); err != nil {
		t.Fatal(err)
	}
	r, err := evidence.Check(&file, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a collector accepted it can prove, though keepers and workers came and went meanwhile, and
// so can any other node that collects the job. Both give the donors the same credit.
func TestEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		slow := donor
		slow.Takes = 10 * time.Second
		for range 9 {
			g.Add(slow)
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 60, PerUnit: 3})
		time.Sleep(30 * time.Second)
		for _, n := range g.nodes[:2] { // of five keepers three must live to name others
			n.Kill()
		}
		c := check(t, s, job, time.Hour)
		mine := evidenceOf(t, c, evidence.Options{Submitter: s.ID()})
		if !mine.Valid() || mine.Proved != 20 || mine.Answers != 60 {
			t.Errorf("%d units proved: %v", mine.Proved, mine.Findings)
		}
		others := evidenceOf(t, check(t, g.nodes[5], job, time.Hour), evidence.Options{Submitter: s.ID()})
		if !others.Valid() || others.Proved != 20 {
			t.Errorf("%d units proved to another node: %v", others.Proved, others.Findings)
		}
		given := c.Credit()
		for id, share := range mine.Donors {
			if given[id] != *share {
				t.Errorf("credit of %s: %+v in evidence, %+v at the collector", id.Short(), *share, given[id])
			}
		}
	})
}

// A job that its submitter ran alone is proved by its word, and a file of a job that goes on is
// one only where that is asked for.
func TestEvidenceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		n := g.Add(Kind{Keeps: true, RunsOwn: true, Slots: 2})
		c := check(t, n, submitTo(t, n, Job{Inputs: 50, PerUnit: 7}), time.Minute)
		if r := evidenceOf(t, c, evidence.Options{}); !r.Valid() || r.Vouched != 8 || r.Answers != 50 {
			t.Errorf("%+v", r)
		}
		open, err := collect.New(collect.Config{Keepers: n.Client, Disk: newDisk().table('c'), Blobs: n.blob, Logger: g.Logger}, c.Job())
		if err != nil {
			t.Fatal(err)
		}
		if r := evidenceOf(t, open, evidence.Options{}); r.Valid() || r.Proved != 0 {
			t.Errorf("nothing accepted: %+v", r)
		}
		if r := evidenceOf(t, open, evidence.Options{Partial: true}); !r.Valid() {
			t.Errorf("nothing accepted, partial: %v", r.Findings)
		}
	})
}

// Each donor's own account says what became of its work, as far as its keepers tell it: who lies
// stands alone against the others.
func TestAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		slow := donor
		slow.Takes = 5 * time.Second // so that there is work for all
		for range 3 {
			g.Add(slow)
		}
		liar := slow
		liar.Run = func(in []byte) []byte { return append(in, '!') }
		g.Add(liar)
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 80, PerUnit: 2})
		c := check(t, s, job, time.Hour)
		time.Sleep(5 * time.Minute) // until every donor has heard
		given := c.Credit()
		for i, n := range g.nodes[:4] {
			rows, err := n.Worker.Account()
			if err != nil || len(rows) != 1 || rows[0].Submitter != s.ID() {
				t.Errorf("donor %d: %+v, %v", i, rows, err)
				continue
			}
			r := rows[0]
			if lied := i == 3; lied != (r.Accepted == 0) || lied != (r.Disagreed > 0) {
				t.Errorf("donor %d: %+v", i, r)
			}
			if uint64(r.Accepted) < given[n.ID()].Units {
				t.Errorf("donor %d: %d units accepted by its account, %d by its submitter", i, r.Accepted, given[n.ID()].Units)
			}
			if r.Units != r.Accepted+r.Disagreed+r.GaveUp+r.Unused || r.Inputs != 2*r.Units {
				t.Errorf("donor %d: does not add up: %+v", i, r)
			}
		}
	})
}

// A worker that was cut off finds its unit decided when it is back, and another answer agreed than
// its own: what it has to say is heard all the same, by whoever has not accepted yet.
func TestDissentIsHeardLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		for range 3 {
			g.Add(Kind{Keeps: true})
		}
		dissenter := g.Add(Kind{Donates: true, Takes: time.Minute, Run: func([]byte) []byte { return []byte("otherwise") }})
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 1})
		time.Sleep(30 * time.Second) // it is at work
		g.Cut(func(a, b *Node) bool { return a == dissenter || b == dissenter })
		g.Add(Kind{Donates: true})
		g.Add(Kind{Donates: true})
		early := evidenceOf(t, check(t, s, job, time.Hour), evidence.Options{})
		if !early.Valid() || early.Votes != 2 {
			t.Fatalf("%d votes before it was heard: %v", early.Votes, early.Findings)
		}
		g.Cut(nil)
		time.Sleep(5 * time.Minute)
		r := evidenceOf(t, check(t, g.Add(Kind{}), job, time.Minute), evidence.Options{})
		if !r.Valid() || r.Proved != 1 || r.Votes != 3 {
			t.Errorf("%d votes, %d units proved: %v", r.Votes, r.Proved, r.Findings)
		}
		if x := r.Donors[dissenter.ID()]; x == nil || x.Units+x.Late != 0 {
			t.Errorf("the dissenter has %+v", x)
		}
	})
}

// Where the submitter's node decides a unit itself, it names who had sealed by then: they have earned
// what they then reveal.
func TestVouchedVotesEarn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		for range 3 {
			g.Add(Kind{Keeps: true})
		}
		alone := g.Add(Kind{Donates: true, Slots: 4}) // waits for a partner in every unit
		s := g.Add(Kind{RunsOwn: true, Takes: time.Minute})
		job := submitTo(t, s, Job{Inputs: 4})
		check(t, s, job, time.Hour)
		time.Sleep(time.Minute)
		r := evidenceOf(t, check(t, g.Add(Kind{}), job, time.Minute), evidence.Options{})
		if !r.Valid() || r.Vouched != 4 {
			t.Errorf("%d of 4 vouched: %v", r.Vouched, r.Findings)
		}
		if x := r.Donors[alone.ID()]; x == nil || x.Units == 0 || x.Units != r.Votes-4 || x.Late != 0 {
			t.Errorf("who sealed before has %+v for %d votes", x, r.Votes-4)
		}
	})
}
