package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// What keepers have of finished shards goes back to disk, stays there while they go on comparing
// it, and is there again for who asks and for a keeper that comes.
func TestFinishedShardsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		var keepers []*Node
		for range 3 {
			keepers = append(keepers, g.Add(donor))
		}
		s := g.Add(Kind{})
		const shards = 2
		job := submitTo(t, s, Job{Inputs: shards*jobs.UnitsPerShard - 1000, PerUnit: 1})
		check(t, s, job, time.Hour)

		time.Sleep(time.Minute)
		before, _ := g.Traffic()
		loaded, looks := 0, 0
		for range 600 {
			time.Sleep(time.Second)
			for _, k := range keepers {
				c := k.Keeper.Counts()
				loaded, looks = loaded+c.Loaded, looks+c.Shards
				if c.Shards != shards || c.Units[scheduler.Agreed] != uint64(job.Head.Units) {
					t.Fatalf("a keeper counts %d shards and %v", c.Shards, c.Units)
				}
			}
		}
		if t.Logf("in memory at %d of %d looks", loaded, looks); loaded > looks/10 {
			t.Errorf("finished shards were in memory at %d of %d looks", loaded, looks)
		}
		if after, _ := g.Traffic(); after == before {
			t.Error("the keepers do not compare what they have any more")
		}

		keepers[0].Kill()
		g.Add(donor)
		time.Sleep(5 * time.Minute)
		ref := protocol.ShardRef{Job: job.ID}
		if n := len(g.KeepersOf(ref)); n != 3 {
			t.Errorf("after one keeper died and another came %d keep the shard", n)
		}
		check(t, g.Add(Kind{}), job, time.Minute)
	})
}

// A node works its own job off a few shards at a time, from the first: however many small units it
// has, few shards are begun and not finished, and only those cost their keeper memory.
func TestOwnJobIsWorkedOffInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		n := g.Add(Kind{Keeps: true, RunsOwn: true, Slots: 2, Takes: 5 * time.Millisecond})
		const shards, few = 24, 16
		job := submitTo(t, n, Job{Inputs: shards * jobs.UnitsPerShard, PerUnit: 1, Unknown: true})
		for range 10 {
			time.Sleep(300 * time.Millisecond)
			begun := []uint32{}
			for shard := range job.Head.Shards() {
				sum, err := n.Client.Summary(t.Context(), protocol.ShardRef{Job: job.ID, Shard: shard})
				if err != nil {
					t.Fatal(err)
				}
				for u := range sum.Len() {
					if sum.Unit(u).State != scheduler.Open {
						begun = append(begun, shard)
						break
					}
				}
			}
			if len(begun) == 0 || len(begun) > few || begun[0] != 0 || begun[len(begun)-1] != uint32(len(begun)-1) {
				t.Fatalf("begun are shards %v", begun)
			}
		}
	})
}
