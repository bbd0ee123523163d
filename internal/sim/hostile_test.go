package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// ask asks a keeper as somebody.
func ask(k, as *Node, v protocol.Verb, q, a any) error {
	return protocol.DecodeAnswer(k.Keeper.Handle(context.Background(), as.ID(), protocol.EncodeRequest(v, q)), a)
}

// keptJob is a grid in which one node keeps a job that nobody works on.
func keptJob(t *testing.T) (g *Grid, keeper, stranger *Node, job *jobs.Job) {
	t.Helper()
	g = New()
	keeper = g.Add(Kind{Keeps: true})
	s := g.Add(Kind{})
	stranger = g.Add(Kind{})
	return g, keeper, stranger, submitTo(t, s, Job{Inputs: 3})
}

// What a stranger sends that is not in order is refused, and changes nothing.
func TestHostileRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, stranger, job := keptJob(t)
		defer g.Close()
		ref := protocol.ShardRef{Job: job.ID}
		before := digests(t, keeper, ref)

		garbage := [][]byte{nil, {0}, {255}, {byte(protocol.Claim)}, {byte(protocol.Claim), 0x80}, append([]byte{byte(protocol.Offer)}, make([]byte, 1<<20)...)}
		for _, raw := range garbage {
			if err := protocol.DecodeAnswer(keeper.Keeper.Handle(context.Background(), stranger.ID(), raw), &protocol.ClaimAnswer{}); err == nil {
				t.Errorf("%x… answered", raw[:min(len(raw), 8)])
			}
		}
		canonical := protocol.EncodeRequest(protocol.Summary, &protocol.SummaryRequest{Shard: ref})
		loose := append(canonical[:len(canonical)-1:len(canonical)-1], 0x18, 0x00) // 0, written in two bytes
		if err := protocol.DecodeAnswer(keeper.Keeper.Handle(context.Background(), stranger.ID(), loose), &protocol.SummaryAnswer{}); err == nil {
			t.Error("a second encoding of the same request was taken")
		}

		var claimed protocol.ClaimAnswer
		if err := ask(keeper, stranger, protocol.Claim, &protocol.ClaimRequest{Shard: ref, Holds: []jobs.Hold{{Unit: 3}, {Unit: 60000}, {Unit: 0, Replica: 8}}}, &claimed); err != nil || len(claimed.Granted) > 0 {
			t.Errorf("replicas that there are not were granted: %v %v", claimed.Granted, err)
		}
		if err := ask(keeper, stranger, protocol.Claim, &protocol.ClaimRequest{Shard: protocol.ShardRef{Job: jobs.JobID{9}}}, &claimed); !protocol.Refused(err, protocol.Unknown) {
			t.Errorf("claim in a job that there is not: %v", err)
		}
		many := make([]jobs.Hold, jobs.MaxGrantHolds+1)
		if err := ask(keeper, stranger, protocol.Claim, &protocol.ClaimRequest{Shard: ref, Holds: many}, &claimed); !protocol.Refused(err, protocol.Bad) {
			t.Errorf("claim of %d replicas: %v", len(many), err)
		}

		for name, body := range map[string]any{
			"a placement by a stranger": &jobs.Placement{Keepers: []jobs.NodeID{stranger.ID()}},
			"a cancelling by one":       &jobs.Control{Number: 1, Act: jobs.ActCancel},
			"a seal of no unit":         &jobs.Seal{Unit: 999},
		} {
			rs, err := jobs.SignBatch(stranger, Network, job.ID, 0, body)
			if err != nil {
				t.Fatal(err)
			}
			var a protocol.OfferAnswer
			if err := ask(keeper, stranger, protocol.Offer, &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(rs)}, &a); err != nil || a.Fresh != 0 || a.Refused != 1 {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		}
		forged, err := jobs.SignBatch(stranger, Network, job.ID, 0, &jobs.Seal{Unit: 1})
		if err != nil {
			t.Fatal(err)
		}
		bs := jobs.Batches(forged)
		bs[0].Author = keeper.ID()
		if err := ask(keeper, stranger, protocol.Offer, &protocol.OfferRequest{Shard: ref, Batches: bs}, &protocol.OfferAnswer{}); !protocol.Refused(err, protocol.Forged) {
			t.Errorf("a record in another's name: %v", err)
		}
		if after := digests(t, keeper, ref); after != before {
			t.Error("something of all that was kept")
		}
	})
}

// TestHoldersAreForInsiders: who runs a unit must not learn who its partner is, to agree with it on
// an answer. Only keepers and the submitter are told.
func TestHoldersAreForInsiders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, stranger, job := keptJob(t)
		defer g.Close()
		ref := protocol.ShardRef{Job: job.ID}
		var claimed protocol.ClaimAnswer
		if err := ask(keeper, stranger, protocol.Claim, &protocol.ClaimRequest{Shard: ref, Holds: []jobs.Hold{{Unit: 1}, {Unit: 2}}}, &claimed); err != nil || len(claimed.Granted) == 0 {
			t.Fatalf("nothing was granted: %v", err)
		}
		var a protocol.HoldersAnswer
		if err := ask(keeper, stranger, protocol.Holders, &ref, &a); !protocol.Refused(err, protocol.Bad) {
			t.Errorf("a stranger was told %+v, %v", a, err)
		}
		if err := ask(keeper, keeper, protocol.Holders, &ref, &a); err != nil || len(a.Holders) != 1 || a.Holders[0].Worker != stranger.ID() || len(a.Holders[0].Units) != len(claimed.Granted) {
			t.Errorf("a keeper was told %+v, %v", a, err)
		}
	})
}

func digests(t *testing.T, n *Node, ref protocol.ShardRef) string {
	t.Helper()
	var sum string
	for _, p := range n.disk.table('k').keys([]byte{'r'}) {
		sum += p + "\n"
	}
	return sum
}

// One who was not assigned has no vote, whatever it sends; and its result stays unseen.
func TestUnassignedHasNoVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, keeper, stranger, job := keptJob(t)
		defer g.Close()
		ref := protocol.ShardRef{Job: job.ID}
		payload := append(jobs.NewPayloadHead([]jobs.Tuple{{Outcome: jobs.OK, Output: jobs.BlobOf([]byte("lie")).Digest, Size: 3}}, nil), "lie"...)
		tuples := jobs.TuplesDigest([]jobs.Tuple{{Outcome: jobs.OK, Output: jobs.BlobOf([]byte("lie")).Digest, Size: 3}})
		seal := &jobs.Seal{Commitment: jobs.Commit(job.ID, 0, 0, stranger.ID(), tuples, jobs.Digest{1})}
		rs, err := jobs.SignBatch(stranger, Network, job.ID, 0, seal, &jobs.Reveal{Tuples: tuples, Nonce: jobs.Digest{1}, Inline: payload})
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(keeper, stranger, protocol.Offer, &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(rs)}, &protocol.OfferAnswer{}); err != nil {
			t.Fatal(err)
		}
		var a protocol.SummaryAnswer
		if err := ask(keeper, stranger, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, &a); err != nil || a.Summary.Unit(0).State != scheduler.Open {
			t.Errorf("the unit is %v, %v", a.Summary.Unit(0).State, err)
		}
		var read protocol.ReadAnswer
		if err := ask(keeper, stranger, protocol.Read, &protocol.ReadRequest{Shard: ref, Units: []uint16{0}}, &read); err != nil {
			t.Fatal(err)
		}
		for i := range read.Batches {
			rs, err := read.Batches[i].Open(Network)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if r.Kind == jobs.KindReveal {
					t.Error("a reveal was shown before its unit was agreed")
				}
			}
		}
	})
}

// What a keeper acknowledged it has after a restart, with no manual step.
func TestAcknowledgedIsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		keeps := Kind{Keeps: true}
		keeper, s := g.Add(keeps), g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 3})
		d1, d2 := g.Add(Kind{Donates: true}), g.Add(Kind{Donates: true})
		_, _ = d1, d2
		check(t, s, job, time.Hour)
		var before, after protocol.SummaryAnswer
		ref := protocol.ShardRef{Job: job.ID}
		if err := ask(keeper, s, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, &before); err != nil {
			t.Fatal(err)
		}
		keeper.Kill()
		keeper.Start(keeps)
		if err := ask(keeper, s, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, &after); err != nil {
			t.Fatal(err)
		}
		if before.Summary.Done != 3 || after.Summary.Done != 3 || after.Summary.Executions != before.Summary.Executions {
			t.Errorf("before %+v, after %+v", before.Summary, after.Summary)
		}
	})
}
