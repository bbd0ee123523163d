package sim

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// drawsOf are the draws that a shard's keepers know, by number.
func drawsOf(t *testing.T, at *Node, ref protocol.ShardRef) (out map[uint16]*jobs.Draw) {
	t.Helper()
	out = map[uint16]*jobs.Draw{}
	set, err := at.Client.Keepers(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set {
		rs, err := at.Client.Read(context.Background(), ref, k, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if d, ok := r.Body.(*jobs.Draw); ok && r.Author == at.ID() {
				if old := out[d.Number]; old != nil && *old != *d {
					t.Fatalf("two secrets for draw %d", d.Number)
				}
				out[d.Number] = d
			}
		}
	}
	return out
}

// In a crowd a submitter that is present draws a fresh secret for the next units when their turn
// comes, the same one after a restart; where it is away the keepers' secrets are all there is.
func TestAPresentSubmitterDraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		g.Latency = 5 * time.Millisecond
		for range 3 {
			g.Add(Kind{Keeps: true})
		}
		slow := Kind{Donates: true, Takes: 5 * time.Second}
		for range scheduler.Crowd + 10 {
			g.Add(slow)
		}
		s, away := g.Add(Kind{}), g.Add(Kind{})
		time.Sleep(time.Second) // they ask for work now and then, and so are known
		left := submitTo(t, away, Job{Inputs: 4})
		job := submitTo(t, s, Job{Inputs: 2*jobs.DrawUnits + 1})
		ref := protocol.ShardRef{Job: job.ID}

		ctx, cancel := context.WithCancel(context.Background())
		var collecting sync.WaitGroup
		collecting.Go(func() { _, _ = s.Collect(ctx, job) })
		time.Sleep(6 * time.Second)
		early := drawsOf(t, s, ref)
		if early[0] == nil || early[2] != nil {
			t.Errorf("soon after it was submitted there are draws %v", numbers(early))
		}
		cancel()
		collecting.Wait()
		check(t, s, job, time.Hour)
		late := drawsOf(t, s, ref)
		if got := numbers(late); !slices.Equal(got, []uint16{0, 1, 2}) {
			t.Errorf("in the end there are draws %v", got)
		}
		for n, d := range early {
			if *late[n] != *d {
				t.Errorf("draw %d is another after a restart", n)
			}
		}
		if got := drawsOf(t, away, protocol.ShardRef{Job: left.ID}); len(got) > 0 {
			t.Errorf("a submitter that is away drew %v", numbers(got))
		}
	})
}

func numbers(draws map[uint16]*jobs.Draw) (out []uint16) {
	for n := range draws {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
