package sim

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

var donor = Kind{Donates: true, Keeps: true, Slots: 2}

// check collects a job at a node and compares every answer with the program's.
func check(t *testing.T, n *Node, job *jobs.Job, within time.Duration) *collect.Collector {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	c, err := n.Collect(ctx, job)
	if err != nil {
		p := c.Progress(time.Now())
		t.Fatalf("after %s: %v; units %v, %d of %d inputs, keepers: %v", within, err, p.Units, p.Done, p.Inputs, p.Error)
	}
	next := uint64(0)
	err = c.Each(ctx, collect.Which{}, func(a collect.Answer, out io.Reader) error {
		got, err := io.ReadAll(out)
		if want := fmt.Sprint(next); string(got) != want || a.Number != next || a.Open || err != nil {
			return fmt.Errorf("input %d: answer %q, number %d, open %v, error %w", next, got, a.Number, a.Open, err)
		}
		next++
		return nil
	})
	if err != nil || next != job.Head.Inputs {
		t.Fatalf("%d answers of %d: %v", next, job.Head.Inputs, err)
	}
	return c
}

func submitTo(t *testing.T, n *Node, j Job) *jobs.Job {
	t.Helper()
	job, err := n.Submit(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestSmallGrids(t *testing.T) {
	for donors := 2; donors <= 7; donors++ {
		for _, inputs := range []int{1, 2, 100} {
			t.Run(fmt.Sprintf("%d donors, %d inputs", donors, inputs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := New()
					defer g.Close()
					g.Latency = 10 * time.Millisecond
					for range donors {
						g.Add(donor)
					}
					s := g.Add(Kind{})
					job := submitTo(t, s, Job{Inputs: inputs})
					c := check(t, s, job, time.Hour)
					if p := c.Progress(time.Now()); p.Executions != 2*uint64(job.Head.Units) {
						t.Errorf("%d executions of %d units with 2 votes each and nobody failing", p.Executions, job.Head.Units)
					}
				})
			})
		}
	}
}

// A node alone is its own grid: its word is enough for its own job.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		n := g.Add(Kind{Keeps: true, RunsOwn: true, Slots: 2})
		check(t, n, submitTo(t, n, Job{Inputs: 50, PerUnit: 7}), time.Minute)
	})
}

// With one donor a job of two votes waits, and goes on when another comes.
func TestWaitsForASecondDonor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Add(donor)
		s := g.Add(Kind{Keeps: true})
		job := submitTo(t, s, Job{Inputs: 5})
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if c, err := s.Collect(ctx, job); err == nil {
			t.Fatalf("done with one donor: %+v", c.Progress(time.Now()))
		}
		g.Add(donor)
		check(t, s, job, time.Minute)
	})
}

// Everyone who kept a shard dies, one after the other, and the submitter with them.
func TestKeepersDieOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		slow := donor
		slow.Takes = 20 * time.Second
		for range 12 {
			g.Add(slow)
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 200})
		s.Kill()
		ref := protocol.ShardRef{Job: job.ID}
		first := g.KeepersOf(ref)
		if len(first) != 5 {
			t.Fatalf("%d keepers", len(first))
		}
		for _, k := range first {
			time.Sleep(time.Minute)
			k.Kill()
		}
		check(t, g.Add(Kind{}), job, 3*time.Hour)
		time.Sleep(2 * time.Minute)
		if n := len(g.KeepersOf(ref)); n != 5 {
			t.Errorf("%d keepers in the end", n)
		}
	})
}

// Most keepers of a shard die at the same moment, for good, while the submitter is away: the nodes
// that they named as heirs go on with it.
func TestMostKeepersDieAtOnce(t *testing.T) {
	for _, dead := range []int{3, 4} {
		synctest.Test(t, func(t *testing.T) {
			g := New()
			defer g.Close()
			g.Latency = 5 * time.Millisecond
			slow := donor
			slow.Takes = 20 * time.Second
			for range 12 {
				g.Add(slow)
			}
			s := g.Add(Kind{})
			job := submitTo(t, s, Job{Inputs: 200})
			time.Sleep(time.Minute)
			s.Kill()
			for _, k := range g.KeepersOf(protocol.ShardRef{Job: job.ID})[:dead] {
				k.Kill()
			}
			check(t, g.Add(Kind{}), job, time.Hour)
		})
	}
}

// A partition makes two quorums; after it heals the records merge and nothing is lost.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		slow := donor
		slow.Takes = 5 * time.Second
		side := map[*Node]bool{}
		for i := range 10 {
			side[g.Add(slow)] = i%2 == 0
		}
		s := g.Add(Kind{})
		side[s] = true
		job := submitTo(t, s, Job{Inputs: 300})
		time.Sleep(20 * time.Second)
		g.Cut(func(a, b *Node) bool { return side[a] != side[b] })
		time.Sleep(5 * time.Minute)
		g.Cut(nil)
		check(t, s, job, 3*time.Hour)
	})
}

// Donors that are killed and started again go on with what they had sealed.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		slow := donor
		slow.Takes = 3 * time.Second
		var ns []*Node
		for range 6 {
			ns = append(ns, g.Add(slow))
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 300})
		for i := range 30 {
			time.Sleep(7 * time.Second)
			n := ns[i%len(ns)]
			n.Kill()
			time.Sleep(time.Second)
			n.Start(slow)
		}
		check(t, s, job, 3*time.Hour)
	})
}

// One of five lies about everything: no wrong answer is delivered.
func TestLiar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		liar := donor
		liar.Run = func(in []byte) []byte { return append([]byte("not "), in...) }
		g.Add(liar)
		for range 4 {
			g.Add(donor)
		}
		s := g.Add(Kind{})
		check(t, s, submitTo(t, s, Job{Inputs: 300}), time.Hour)
	})
}

func TestManyShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		for range 3 {
			g.Add(donor)
		}
		s := g.Add(Kind{})
		check(t, s, submitTo(t, s, Job{Inputs: 5000}), 24*time.Hour)
	})
}

// A million units end, in bounded rounds of everything: 977 shards, placed, run and collected.
func TestMillionUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("a million units take a minute of CPU")
	}
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		n := g.Add(Kind{Keeps: true, RunsOwn: true, Slots: 2})
		job := submitTo(t, n, Job{Inputs: 1_000_000})
		c := check(t, n, job, 24*time.Hour)
		if p := c.Progress(time.Now()); p.Executions != 1_000_000 {
			t.Errorf("%d executions", p.Executions)
		}
	})
}

// Grants that a keeper gave while it saw no other are no assignment. What was sealed under them
// is sealed again under grants that count, and the job ends.
func TestSealsAgainUnderGrantsThatCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		slow := donor
		slow.Takes = 30 * time.Second
		var ns []*Node
		for range 6 {
			ns = append(ns, g.Add(slow))
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 40})
		time.Sleep(10 * time.Second) // all have claimed; each is then cut off in turn, and back
		for i := range 12 {
			lone := ns[i%len(ns)]
			g.Cut(func(a, b *Node) bool { return a != b && (a == lone || b == lone) })
			time.Sleep(45 * time.Second)
			g.Cut(nil)
			time.Sleep(5 * time.Second)
		}
		check(t, s, job, 2*time.Hour)
	})
}

// A worker that is killed in the middle of a unit goes on after the inputs it had finished.
func TestFinishedInputsSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		var runs atomic.Int32
		own := Kind{Keeps: true, RunsOwn: true, Takes: 5 * time.Second}
		own.Run = func(in []byte) []byte { runs.Add(1); return in }
		n := g.Add(own)
		job := submitTo(t, n, Job{Inputs: 10, PerUnit: 10})
		for range 3 {
			time.Sleep(12 * time.Second)
			n.Kill()
			n.Start(own)
		}
		check(t, n, job, time.Hour)
		if got := runs.Load(); got > 10 {
			t.Errorf("%d runs of 10 inputs", got)
		}
	})
}

// A donor that is killed goes on with the unit that it held: nobody waits for its lease, and what
// it had finished is not run again.
func TestGoesOnWithWhatItHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		var runs atomic.Int32
		slow := donor
		slow.Takes = 20 * time.Second
		slow.Run = func(in []byte) []byte { runs.Add(1); return in }
		s := g.Add(Kind{Keeps: true})
		a, _ := g.Add(slow), g.Add(slow)
		job := submitTo(t, s, Job{Inputs: 4, PerUnit: 4})
		time.Sleep(50 * time.Second) // both have two of four
		a.Kill()
		a.Start(slow)
		check(t, s, job, time.Minute) // a lease is two minutes
		if got := runs.Load(); got > 9 {
			t.Errorf("%d runs of 4 inputs by two donors", got)
		}
	})
}

// Who pauses for longer than a lease holds nothing, and the grid goes on without them.
func TestPausedDonorGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		slow := donor
		slow.Takes = time.Hour
		s := g.Add(Kind{Keeps: true})
		sleepy := g.Add(slow)
		g.Add(donor)
		job := submitTo(t, s, Job{Inputs: 1})
		time.Sleep(30 * time.Second)
		if held, _ := sleepy.Worker.Working(); len(held) != 1 {
			t.Fatalf("the slow donor holds %v", held)
		}
		sleepy.Worker.Allow(worker.Paused, 0, 0)
		time.Sleep(10 * time.Second)
		if held, _ := sleepy.Worker.Working(); len(held) != 1 {
			t.Error("given back at once: a short pause costs nothing")
		}
		time.Sleep(2 * time.Minute)
		if held, why := sleepy.Worker.Working(); len(held) != 0 {
			t.Errorf("holds %v after its lease (%s)", held, why)
		}
		g.Add(donor)
		check(t, s, job, time.Minute)
	})
}
