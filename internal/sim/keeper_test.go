package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// crowd is names of nodes that there need not be.
func crowd(n int) []jobs.NodeID {
	out := make([]jobs.NodeID, n)
	for i := range out {
		binary.BigEndian.PutUint32(out[i][:], uint32(i+1))
	}
	return out
}

// askAs asks a keeper under a name.
func askAs(k *Node, as jobs.NodeID, v protocol.Verb, q, a any) error {
	return protocol.DecodeAnswer(k.Keeper.Handle(context.Background(), as, protocol.EncodeRequest(v, q)), a)
}

// Whom a keeper first met when, it knows again after a restart: keys made since the draw wait, those
// that were there before do not, though they come back later.
func TestARestartMakesNobodyYounger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, _, job := keptJob(t)
		defer g.Close()
		ref := protocol.ShardRef{Job: job.ID}
		known := crowd(scheduler.Crowd)
		claims := func(who []jobs.NodeID) {
			for _, id := range who {
				if err := askAs(keeper, id, protocol.Claim, &protocol.ClaimRequest{Shard: ref, Holds: []jobs.Hold{{Unit: 9}}}, &protocol.ClaimAnswer{}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second) // donors are counted now and then
		}
		late := func(id jobs.NodeID) uint64 {
			var a protocol.SummaryAnswer
			if err := askAs(keeper, id, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, &a); err != nil || a.Summary == nil || a.Summary.Lottery == nil {
				t.Fatalf("no lottery: %+v, %v", a.Summary, err)
			}
			return a.Summary.Lottery.Late
		}
		// The next job's draw is younger than those who were there.
		claims(known)
		time.Sleep(time.Hour)
		again, err := g.nodes[1].Submit(t.Context(), Job{Inputs: 4})
		if err != nil {
			t.Fatal(err)
		}
		ref.Job = again.ID
		time.Sleep(time.Minute)
		claims(known)
		if late(known[0]) != 0 {
			t.Error("one that was there before the draw is late")
		}
		for range 3 {
			keeper.Kill()
			time.Sleep(10 * time.Minute)
			keeper.Start(Kind{Keeps: true})
			newcomer := crowd(scheduler.Crowd + 1)[scheduler.Crowd]
			claims([]jobs.NodeID{newcomer}) // is the first whom it hears of
			time.Sleep(time.Minute)
			claims(known)
			if n := late(known[0]); n != 0 {
				t.Errorf("after a restart one that was there before the draw is late: %b", n)
			}
			if late(newcomer) != 1 {
				t.Error("after a restart one that came since the draw is not late")
			}
		}
	})
}

// Who seals two things of a unit loses, at the keeper that hears of it, what it holds and may have
// nothing more: at once, in every job, and also after the keeper was killed.
func TestTheConvictedGetsNothingAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, eve, job := keptJob(t)
		defer g.Close()
		here, elsewhere := protocol.ShardRef{Job: job.ID}, protocol.ShardRef{Job: submitTo(t, g.nodes[1], Job{Inputs: 4}).ID}
		granted := func(ref protocol.ShardRef, unit uint16) bool {
			var a protocol.ClaimAnswer
			err := ask(keeper, eve, protocol.Claim, &protocol.ClaimRequest{Shard: ref, Holds: []jobs.Hold{{Unit: unit}}}, &a)
			if err != nil && !protocol.Refused(err, protocol.Busy) {
				t.Fatal(err)
			}
			return len(a.Granted) > 0
		}
		if !granted(here, 0) || !granted(elsewhere, 0) {
			t.Fatal("an honest stranger gets no work")
		}
		two, err := jobs.SignBatch(eve, Network, job.ID, 0, &jobs.Seal{Unit: 2, Commitment: jobs.Digest{1}}, &jobs.Seal{Unit: 2, Commitment: jobs.Digest{2}})
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(keeper, eve, protocol.Offer, &protocol.OfferRequest{Shard: here, Batches: jobs.Batches(two)}, &protocol.OfferAnswer{}); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []protocol.ShardRef{here, elsewhere} {
			var a protocol.RenewAnswer
			hold := []jobs.Hold{{Unit: 0}}
			if err := ask(keeper, eve, protocol.Renew, &protocol.RenewRequest{Shard: ref, Holds: hold}, &a); err != nil || !slices.Equal(a.Lost, hold) {
				t.Errorf("the convicted goes on holding what it held: lost %v, %v", a.Lost, err)
			}
			if granted(ref, 1) {
				t.Error("the convicted gets work")
			}
		}
		time.Sleep(2 * time.Second) // much less than what is known of workers is otherwise kept after
		keeper.Kill()
		keeper.Start(Kind{Keeps: true})
		if granted(elsewhere, 1) {
			t.Error("once the keeper was killed it gives the convicted work")
		}
	})
}

// What is published is the shard of a job that its submitter signed, or is refused and leaves
// nothing.
func TestOnlyShardsArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, stranger, _ := keptJob(t)
		defer g.Close()
		head := func(inputs, perUnit int) (*jobs.Job, [][]byte, []jobs.Digest) {
			h := jobs.Head{
				Version: jobs.HeadVersion, Network: Network, Submitter: stranger.ID(), Created: time.Now().Unix(), Expires: time.Now().Unix() + 1e6,
				Program: jobs.BlobOf([]byte("program")), Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: 1000},
				Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60}, Name: fmt.Sprint(inputs),
			}
			var manifests [][]byte
			split := jobs.Splitter{PerUnit: perUnit, PutManifest: func(_ uint32, m []byte) error { manifests = append(manifests, m); return nil }}
			if err := split.AddRange(0, int64(inputs)-1); err != nil {
				t.Fatal(err)
			}
			leaves, err := split.Finish(&h)
			if err != nil {
				t.Fatal(err)
			}
			job, err := jobs.SignHead(h, stranger)
			if err != nil {
				t.Fatal(err)
			}
			return job, manifests, leaves
		}
		job, manifests, leaves := head(2000, 1)
		good := protocol.PublishRequest{Head: jobs.Encode(job.Signed), Shard: 1, Manifest: manifests[1], Proof: jobs.Path(leaves, 1)}
		for name, bend := range map[string]func(*protocol.PublishRequest){
			"a manifest of another shard":    func(q *protocol.PublishRequest) { q.Shard = 0 },
			"a shard that there is not":      func(q *protocol.PublishRequest) { q.Shard = 2 },
			"no manifest":                    func(q *protocol.PublishRequest) { q.Manifest = nil },
			"a manifest that was changed":    func(q *protocol.PublishRequest) { q.Manifest = append(slices.Clip(q.Manifest), 0) },
			"no path":                        func(q *protocol.PublishRequest) { q.Proof = nil },
			"a longer path":                  func(q *protocol.PublishRequest) { q.Proof = append(slices.Clip(q.Proof), jobs.Digest{}) },
			"a head that nobody signed":      func(q *protocol.PublishRequest) { q.Head = q.Head[:len(q.Head)-1] },
			"a manifest larger than may be":  func(q *protocol.PublishRequest) { q.Manifest = make([]byte, jobs.MaxManifest+1) },
			"a head that is larger than one": func(q *protocol.PublishRequest) { q.Head = make([]byte, jobs.MaxHead+1) },
		} {
			q := good
			bend(&q)
			if err := ask(keeper, stranger, protocol.Publish, &q, &protocol.PublishAnswer{}); !protocol.Refused(err, protocol.Bad) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := keeper.Keeper.Counts().Shards; n != 1 {
			t.Errorf("%d shards are kept, not the one that was", n)
		}
	})
}
