package keeper

import (
	"context"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// syncAll exchanges records with every other keeper of the shard.
func (k *Keeper) syncAll(ctx context.Context, s *shard) {
	s.mu.Lock()
	set := slices.Clone(s.set)
	s.syncAt = k.rt.Now().Add(syncEvery)
	s.mu.Unlock()
	if _, _, err := k.merge(ctx, s, nil); err != nil { // what could not be written when it came
		k.cfg.Logger.Debug("records are still not stored", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "error", err)
	}
	agreed := true
	for _, n := range set {
		if n == k.self {
			continue
		}
		slots, err := k.exchange(ctx, s, n)
		if err != nil {
			k.cfg.Logger.Debug("sync failed", "peer", n.Short(), "error", err)
		}
		agreed = agreed && slots == 0 && err == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agreed++; !agreed {
		s.agreed = 0
	}
	s.agreed = min(s.agreed, syncTries)
}

// syncTries is how often the time until a sync is doubled.
const syncTries = 3

// exchange compares this node's records of a shard with another keeper's, takes what is lacking
// here and offers what is lacking there. It reports how many slots differed.
func (k *Keeper) exchange(ctx context.Context, s *shard, n jobs.NodeID) (int, error) {
	s.mu.Lock()
	q := &protocol.SyncRequest{Shard: s.ref, Digests: s.ledger.Digests()}
	s.mu.Unlock()
	var a protocol.SyncAnswer
	if err := k.call(ctx, n, protocol.Sync, q, &a); err != nil {
		return 0, err
	}
	if len(a.Slots) == 0 {
		return 0, nil
	}
	theirs, err := k.open(s, a.Batches)
	if err != nil {
		return 0, err
	}
	if _, _, err := k.merge(ctx, s, theirs); err != nil {
		return 0, err
	}
	have := map[jobs.Digest]bool{}
	for _, r := range theirs {
		have[r.ID] = true
	}
	var lacking []*jobs.Record
	size := 0
	s.mu.Lock()
	for _, slot := range a.Slots {
		if int(slot) >= s.ledger.Slots() {
			continue
		}
		for _, r := range s.ledger.Records(int(slot)) {
			if size += r.Size(); !have[r.ID] && size < maxReadBytes {
				lacking = append(lacking, r)
			}
		}
	}
	s.mu.Unlock()
	if len(lacking) == 0 {
		return len(a.Slots), nil
	}
	return len(a.Slots), k.call(ctx, n, protocol.Offer, &protocol.OfferRequest{Shard: s.ref, Batches: jobs.Batches(lacking)}, &protocol.OfferAnswer{})
}

// sync answers another keeper's comparison.
func (k *Keeper) sync(from jobs.NodeID, q *protocol.SyncRequest) (*protocol.SyncAnswer, error) {
	s, err := k.kept(q.Shard)
	if err != nil {
		return nil, err
	}
	if s.rests(q.Digests) {
		return &protocol.SyncAnswer{}, nil
	}
	if err := k.load(s); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil {
		return nil, protocol.Refuse(protocol.Busy, "the shard was just put back to disk")
	}
	mine := s.ledger.Digests()
	if len(q.Digests) != len(mine) {
		return nil, protocol.Refuse(protocol.Bad, "the shard has %d slots", len(mine))
	}
	all := s.insider(from) || slices.Contains(s.ledger.Custodians(), from)
	a, size := &protocol.SyncAnswer{}, 0
	var rs []*jobs.Record
	for slot := range mine {
		if mine[slot] == q.Digests[slot] {
			continue
		}
		part := s.ledger.Records(slot)
		if slot < s.ledger.Units() && !all {
			part = s.readable(slot, false)
		}
		part, size = fit(part, size, q.Digests[slot])
		if len(part) == 0 && size >= maxReadBytes {
			break // the next exchange goes on from here
		}
		a.Slots = append(a.Slots, uint16(slot))
		rs = append(rs, part...)
	}
	a.Batches = jobs.Batches(rs)
	return a, nil
}

// fit takes as many records as a message still has room for, beginning at a place that moves
// with the asker's digest, so that a slot larger than a message is told in several.
func fit(rs []*jobs.Record, size int, seed uint64) ([]*jobs.Record, int) {
	if total := size + sizeOf(rs); total <= maxReadBytes {
		return rs, total
	}
	var out []*jobs.Record
	for i := range rs {
		r := rs[(int(seed%uint64(len(rs)))+i)%len(rs)]
		if size += r.Size(); size > maxReadBytes {
			break
		}
		out = append(out, r)
	}
	return out, size
}

// call asks another keeper.
func (k *Keeper) call(ctx context.Context, to jobs.NodeID, v protocol.Verb, q, a any) error {
	ctx, cancel := k.rt.WithTimeout(ctx, callTimeout)
	defer cancel()
	raw, err := k.cfg.Peers.Call(ctx, to, protocol.EncodeRequest(v, q))
	if err != nil {
		return err
	}
	return protocol.DecodeAnswer(raw, a)
}
