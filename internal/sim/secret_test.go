package sim

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// secret is an answer that cannot be guessed from the input.
func secret(input []byte) []byte { return append([]byte("the secret of "), input...) }

// tells are the bytes by which an answer to some input, or its tuple, would be known.
func tells(input string) [][]byte {
	out := secret([]byte(input))
	t := jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf(out).Digest, Size: uint64(len(out))}
	tuples := jobs.TuplesDigest([]jobs.Tuple{t})
	return [][]byte{out, t.Output[:], tuples[:]}
}

// everything is all that a keeper answers to somebody who asks for everything there is.
func everything(k, as *Node, ref protocol.ShardRef, units int) (said []byte) {
	var all []uint16
	var holds []jobs.Hold
	for n := range uint16(units) {
		all = append(all, n)
		for replica := range uint8(3) {
			holds = append(holds, jobs.Hold{Unit: n, Replica: replica})
		}
	}
	ask := func(v protocol.Verb, q any) {
		said = append(said, k.Keeper.Handle(context.Background(), as.ID(), protocol.EncodeRequest(v, q))...)
	}
	ask(protocol.Read, &protocol.ReadRequest{Shard: ref, Units: all, General: true})
	ask(protocol.Watch, &protocol.WatchRequest{Shard: ref, Holds: holds, Units: all, Wait: 1000})
	ask(protocol.Summary, &protocol.SummaryRequest{Shard: ref})
	ask(protocol.Manifest, &ref)
	for n := range 64 { // the units, and however many slots the other records have
		ask(protocol.Sync, &protocol.SyncRequest{Shard: ref, Digests: make([]uint64, units+n)})
	}
	for n := range units {
		out := secret([]byte{'0' + byte(n)})
		ask(protocol.Blob, &protocol.BlobRequest{Blob: jobs.BlobOf(out)}) // if it guessed right, nobody confirms it
	}
	return said
}

// Who reads all that every keeper shows, with every verb, learns neither an answer nor its tuple
// before the round's seals are in, and none that it did not agree on after: a seal that was not
// assigned completes no round, and one that was shows nothing to who gave it.
func TestNothingIsLearntBeforeTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const inputs = 4
		g := New()
		defer g.Close()
		var keepers []*Node
		for range 3 {
			keepers = append(keepers, g.Add(Kind{Keeps: true}))
		}
		s, stranger := g.Add(Kind{}), g.Add(Kind{})
		first := Kind{Donates: true, Run: secret}
		g.Add(first)
		job := submitTo(t, s, Job{Inputs: inputs})
		ref := protocol.ShardRef{Job: job.ID}
		time.Sleep(time.Minute)

		for n := range uint16(inputs) {
			rs, err := jobs.SignBatch(stranger, Network, job.ID, 0, &jobs.Seal{Unit: n, Replica: 1, Commitment: jobs.Digest{byte(n)}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stranger.Client.Offer(context.Background(), ref, rs); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		known := func(as *Node) (found int) {
			var said []byte
			for _, k := range keepers {
				said = append(said, everything(k, as, ref, inputs)...)
			}
			for n := range inputs {
				for _, sign := range tells(string('0' + rune(n))) {
					if bytes.Contains(said, sign) {
						found++
					}
				}
			}
			return found
		}
		if seals := sealsAt(t, keepers[0], stranger, ref, inputs); seals < 2*inputs {
			t.Fatalf("%d seals of %d units: the donor has not sealed, so this test says nothing", seals, inputs)
		}
		if n := known(stranger); n > 0 || known(s) > 0 {
			t.Errorf("%d answers and tuples can be known before their rounds are complete", n)
		}

		// Assigned the other replicas, it seals anything, which makes the first donor reveal: to the
		// keepers and the submitter, until the unit is agreed.
		sealAnything(t, stranger, ref, inputs)
		time.Sleep(10 * time.Second)
		if known(s) < inputs {
			t.Fatal("nothing was revealed to the submitter, so this test says nothing")
		}
		if n := known(stranger); n > 0 {
			t.Errorf("who sealed anything can know %d answers and tuples of units that are not agreed", n)
		}
		g.Add(first)
		time.Sleep(10 * time.Minute)
		if n := known(stranger); n < inputs {
			t.Errorf("only %d answers and tuples can be known when all is agreed: this test does not see them", n)
		}
	})
}

// sealAnything claims what is free of the first rounds and seals something for each.
func sealAnything(t *testing.T, n *Node, ref protocol.ShardRef, units int) {
	t.Helper()
	var free []jobs.Hold
	for u := range uint16(units) {
		free = append(free, jobs.Hold{Unit: u}, jobs.Hold{Unit: u, Replica: 1})
	}
	a, err := n.Client.Claim(context.Background(), ref, free)
	if err != nil || len(a.Holds) != units {
		t.Fatalf("claimed %+v, %v", a, err)
	}
	var grants []jobs.Digest
	for _, g := range a.Grants {
		grants = append(grants, g.ID)
	}
	var seals []any
	for _, h := range a.Holds {
		seals = append(seals, &jobs.Seal{Unit: h.Unit, Replica: h.Replica, Commitment: jobs.Digest{byte(h.Unit)}, Grants: grants})
	}
	rs, err := jobs.SignBatch(n, Network, ref.Job, ref.Shard, seals...)
	if err == nil {
		_, err = n.Client.Offer(context.Background(), ref, append(rs, a.Grants...))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sealsAt counts the seals that a keeper shows somebody.
func sealsAt(t *testing.T, k, as *Node, ref protocol.ShardRef, units int) (seals int) {
	t.Helper()
	q := &protocol.ReadRequest{Shard: ref}
	for n := range units {
		q.Units = append(q.Units, uint16(n))
	}
	var a protocol.ReadAnswer
	if err := ask(k, as, protocol.Read, q, &a); err != nil {
		t.Fatal(err)
	}
	for i := range a.Batches {
		rs, err := a.Batches[i].Open(Network)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Kind == jobs.KindSeal {
				seals++
			}
		}
	}
	return seals
}
