package sim

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/worker/shares"
)

// Two donors, two submitters: eight jobs win no more than one, also over a restart; then one of the
// submitters is followed with weight 3, and gets three quarters.
func TestFairShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 10 * time.Millisecond
		one, many := g.Add(Kind{}), g.Add(Kind{})
		var mu sync.Mutex
		ran := map[jobs.NodeID]float64{}
		kind := donor
		kind.Takes = 10 * time.Second
		kind.Ran = func(j *jobs.Job) {
			mu.Lock()
			defer mu.Unlock()
			ran[j.Head.Submitter]++
		}
		d1, d2 := g.Add(kind), g.Add(kind)
		for range 8 {
			submitTo(t, many, Job{Inputs: 100})
		}
		submitTo(t, one, Job{Inputs: 800})
		share := func(name string, want float64) {
			t.Helper()
			time.Sleep(30 * time.Minute)
			mu.Lock()
			defer mu.Unlock()
			all := ran[one.ID()] + ran[many.ID()]
			if got := ran[one.ID()] / all; got < want-0.03 || got > want+0.03 || all < 700 {
				t.Errorf("%s: %.3f, not %.2f of %.0f units", name, got, want, all)
			}
			clear(ran)
		}
		share("equals", 0.5)
		d1.Kill()
		d1.Start(kind)
		share("after a restart", 0.5)
		for _, d := range []*Node{d1, d2} {
			d.Worker.Choose(shares.Choice{Followed: map[jobs.NodeID]uint32{one.ID(): 3}})
		}
		share("followed with weight 3", 0.75)
	})
}

// What a donor's owner does not want any more is given back within a second, and not taken again.
func TestBlockedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		kind := donor
		kind.Takes = time.Minute
		d := g.Add(kind)
		wanted, blocked := g.Add(Kind{}), g.Add(Kind{})
		submitTo(t, blocked, Job{Inputs: 100})
		time.Sleep(10 * time.Second)
		works := func(submitter *Node) bool {
			list, _ := d.Worker.Working()
			for _, w := range list {
				if w.Job.Head.Submitter == submitter.ID() {
					return true
				}
			}
			return false
		}
		if !works(blocked) {
			t.Fatal("nothing runs yet")
		}
		d.Worker.Choose(shares.Choice{Peers: map[jobs.NodeID]bool{blocked.ID(): true}})
		time.Sleep(time.Second)
		if works(blocked) {
			t.Error("a blocked submitter's unit still runs")
		}
		submitTo(t, wanted, Job{Inputs: 100})
		time.Sleep(5 * time.Minute)
		if works(blocked) || !works(wanted) {
			t.Error("a blocked submitter's unit was taken again, or nobody else's")
		}
		d.Worker.Choose(shares.Choice{OnlyFollowed: true})
		time.Sleep(time.Second)
		if list, why := d.Worker.Working(); len(list) > 0 || why == "" {
			t.Errorf("only followed submitters' work, and none is followed: %d jobs, %q", len(list), why)
		}
	})
}
