package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Who sends what was not signed by whom it names is cut off by the network; who only sends what is
// refused is not.
func TestForgeriesAreOffences(t *testing.T) {
	n := openIdle(t, t.TempDir())
	defer n.Close()
	ctx, submitter, worker, now := context.Background(), noticeKeyOf(1), noticeKeyOf(2), time.Now().Unix()
	m := jobs.Encode(&jobs.Manifest{Units: []jobs.UnitSpec{{Count: 1, Source: jobs.FromRange}}})
	j, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "main", Submitter: submitter.ID(), Created: now, Expires: now + 3600,
		Program: jobs.BlobOf([]byte("p")), Limits: jobs.Limits{Memory: 1 << 20, CPU: 1000},
		Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60}, Inputs: 1, Units: 1, Root: jobs.Root([]jobs.Digest{jobs.LeafOf(m)}),
	}, submitter)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.keeper.Adopt(ctx, j.Bytes(), 0, m, nil, false); err != nil {
		t.Fatal(err)
	}
	seal, err := jobs.SignBatch(worker, "main", j.ID, 0, &jobs.Seal{Commitment: jobs.Digest{1}})
	if err != nil {
		t.Fatal(err)
	}
	offer := func(change func(b *jobs.Batch)) []byte {
		b := jobs.Batches(seal)
		change(&b[0])
		return protocol.EncodeRequest(protocol.Offer, &protocol.OfferRequest{Shard: protocol.ShardRef{Job: j.ID}, Batches: b})
	}
	var head jobs.SignedHead
	if err := jobs.Decode(j.Bytes(), jobs.MaxHead, &head); err != nil {
		t.Fatal(err)
	}
	head.Sig[7] ^= 1
	for _, c := range []struct {
		name    string
		request []byte
		offence bool
	}{
		{"as it was signed", offer(func(*jobs.Batch) {}), false},
		{"of another job", offer(func(b *jobs.Batch) { b.Job = jobs.JobID{9} }), false},
		{"in another's name", offer(func(b *jobs.Batch) { b.Author = submitter.ID() }), true},
		{"with another signature", offer(func(b *jobs.Batch) { b.Sig[3] ^= 1 }), true},
		{"a job that its submitter did not sign", protocol.EncodeRequest(protocol.Publish, &protocol.PublishRequest{Head: jobs.Encode(head), Manifest: m}), true},
		{"no request at all", []byte{255}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := n.handle(ctx, worker.ID(), c.request); errors.Is(err, p2p.ErrMalformed) != c.offence {
				t.Errorf("offence: %v, want %v", err, c.offence)
			}
		})
	}
}
