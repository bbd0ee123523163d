package protocol

import (
	"bytes"
	"errors"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// messages has one of each, none empty.
func messages() map[Verb][2]any {
	ref := ShardRef{Job: jobs.JobID{1}, Shard: 2}
	sum := &scheduler.Summary{Version: 3, Units: []byte{1, 2}, Donors: []jobs.NodeID{{4}}}
	batch := []jobs.Batch{{Author: jobs.NodeID{5}, Count: 1, Entries: []jobs.Entry{{Kind: jobs.KindSeal, Body: []byte{6}}}}}
	holds := []jobs.Hold{{Unit: 7, Replica: 1}}
	return map[Verb][2]any{
		Publish:  {&PublishRequest{Head: []byte{1}, Shard: 2, Manifest: []byte{3}, Proof: []jobs.Digest{{4}}, Wait: 5}, &PublishAnswer{Receipt: batch}},
		Claim:    {&ClaimRequest{Shard: ref, Known: 1, Holds: holds}, &ClaimAnswer{Granted: holds, Grant: batch, Summary: sum}},
		Renew:    {&RenewRequest{Shard: ref, Holds: holds, Release: true}, &RenewAnswer{Lost: holds}},
		Offer:    {&OfferRequest{Shard: ref, Known: 1, Batches: batch}, &OfferAnswer{Fresh: 1, Summary: sum}},
		Watch:    {&WatchRequest{Shard: ref, Holds: holds, Units: []uint16{8}, Wait: 9}, &WatchAnswer{Ready: holds, Seals: batch, Decided: []uint16{8}}},
		Read:     {&ReadRequest{Shard: ref, Units: []uint16{1}, General: true}, &ReadAnswer{Batches: batch, More: []uint16{2}}},
		Summary:  {&SummaryRequest{Shard: ref, Known: 1, Wait: 2}, &SummaryAnswer{Summary: sum}},
		Manifest: {&ref, &ManifestAnswer{Head: []byte{1}, Manifest: []byte{2}, Proof: []jobs.Digest{{3}}}},
		Sync:     {&SyncRequest{Shard: ref, Digests: []uint64{1, 2}}, &SyncAnswer{Slots: []uint16{1}, Batches: batch}},
		Board:    {&BoardRequest{After: jobs.JobID{1}, Digest: 2}, &BoardAnswer{Posts: []Post{{Head: []byte{1}, Receipts: batch, Control: batch}}, More: true}},
		Blob:     {&BlobRequest{Blob: jobs.BlobOf([]byte("x"))}, &BlobAnswer{Data: []byte("x")}},
		Hello:    {&HelloRequest{}, &HelloAnswer{Donating: true, Slots: 2, Keeps: true, Profiles: []jobs.Profile{0, 1}, Now: 1_764_000_000_000, Lends: true, Memory: 4 << 30, Name: "ada"}},
		Holders:  {&ref, &HoldersAnswer{Holders: []scheduler.Holder{{Worker: jobs.NodeID{9}, Units: []uint16{1, 2}}}}},
		Notices:  {&NoticesRequest{Have: []uint64{1}}, &NoticesAnswer{Notices: [][]byte{{1}}}},
	}
}

func TestEveryMessageRoundTrips(t *testing.T) {
	for v := Verb(1); v < numVerbs; v++ {
		m, ok := messages()[v]
		if !ok {
			t.Errorf("%s: no message in this test", v)
			continue
		}
		verb, body, err := SplitRequest(EncodeRequest(v, m[0]))
		if err != nil || verb != v {
			t.Fatalf("%s: %s, %v", v, verb, err)
		}
		q, a := emptied(v)
		if err := DecodeRequest(body, q); err != nil || !bytes.Equal(jobs.Encode(q), jobs.Encode(m[0])) {
			t.Errorf("%s request: %v, %+v", v, err, q)
		}
		if err := DecodeAnswer(EncodeAnswer(m[1], nil), a); err != nil || !bytes.Equal(jobs.Encode(a), jobs.Encode(m[1])) {
			t.Errorf("%s answer: %v, %+v", v, err, a)
		}
	}
}

// emptied gives fresh values of a verb's message types.
func emptied(v Verb) (request, answer any) {
	switch v {
	case Publish:
		return &PublishRequest{}, &PublishAnswer{}
	case Claim:
		return &ClaimRequest{}, &ClaimAnswer{}
	case Renew:
		return &RenewRequest{}, &RenewAnswer{}
	case Offer:
		return &OfferRequest{}, &OfferAnswer{}
	case Watch:
		return &WatchRequest{}, &WatchAnswer{}
	case Read:
		return &ReadRequest{}, &ReadAnswer{}
	case Summary:
		return &SummaryRequest{}, &SummaryAnswer{}
	case Manifest:
		return &ShardRef{}, &ManifestAnswer{}
	case Sync:
		return &SyncRequest{}, &SyncAnswer{}
	case Holders:
		return &ShardRef{}, &HoldersAnswer{}
	case Notices:
		return &NoticesRequest{}, &NoticesAnswer{}
	case Board:
		return &BoardRequest{}, &BoardAnswer{}
	case Blob:
		return &BlobRequest{}, &BlobAnswer{}
	case Hello:
		return &HelloRequest{}, &HelloAnswer{}
	}
	panic("a verb without messages")
}

func TestRefusalsTravel(t *testing.T) {
	err := DecodeAnswer(EncodeAnswer(nil, Refuse(Unknown, "no such %s", "shard")), &BlobAnswer{})
	if !Refused(err, Unknown) || err.Error() != "no such shard" {
		t.Error(err)
	}
	err = DecodeAnswer(EncodeAnswer(nil, errors.New("open /home/ann/secret: permission denied")), &BlobAnswer{})
	if !Refused(err, Busy) || bytes.Contains([]byte(err.Error()), []byte("ann")) {
		t.Errorf("a peer is told of this machine: %v", err)
	}
}

func FuzzRequest(f *testing.F) {
	for v, m := range messages() {
		f.Add(EncodeRequest(v, m[0]))
	}
	f.Add([]byte{})
	f.Add([]byte{byte(numVerbs)})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, body, err := SplitRequest(b)
		if err != nil {
			return
		}
		if q, _ := emptied(v); DecodeRequest(body, q) == nil && !bytes.Equal(EncodeRequest(v, q), b) {
			t.Fatal("malleable request")
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for v, m := range messages() {
		f.Add(byte(v), EncodeAnswer(m[1], nil))
	}
	f.Add(byte(Claim), EncodeAnswer(nil, Refuse(Full, "no")))
	f.Fuzz(func(t *testing.T, v byte, b []byte) {
		if Verb(v) == 0 || Verb(v) >= numVerbs {
			return
		}
		if _, a := emptied(Verb(v)); DecodeAnswer(b, a) == nil && !bytes.Equal(EncodeAnswer(a, nil), b) {
			t.Fatal("malleable answer")
		}
	})
}
