package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// rest is what stays in memory of a finished shard whose ledger went back to disk: enough to say
// that it is finished, and to see that other keepers have the same. It is a hundredth of a ledger.
type rest struct {
	digests []uint64
	summary scheduler.Summary
}

// unload puts a shard's ledger back to disk if nobody asks for it and nothing of it is under way.
// A finished one goes soon, so that a job of any size holds no more memory as its units are done;
// of others, in which somebody may be interested any moment, only where there are many. The caller
// holds mu.
func (s *shard) unload(now time.Time, loaded int) {
	if s.busy || now.Sub(s.used) <= unloadUsed || len(s.fetching)+len(s.unwritten) > 0 {
		return
	}
	s.settle()
	finished := now.Sub(s.worked) > unloadDone && s.ledger.Idle() && s.ledger.Finished()
	switch {
	case finished:
		s.resting = &rest{s.ledger.Digests(), s.ledger.Summary(now)}
		s.settle()
		s.ledger = nil
	case loaded > maxLoaded/2 && now.Sub(s.touched) > unloadAfter && s.ledger.Idle():
		s.ledger = nil
	}
}

// peek gives a shard for a look at its summary: that neither wakes one that rests nor keeps one
// from it.
func (k *Keeper) peek(ref protocol.ShardRef) (*shard, error) {
	s, err := k.kept(ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.touched = k.rt.Now()
	resting := s.resting != nil
	s.mu.Unlock()
	if resting {
		return s, nil
	}
	return s, k.load(s)
}

// rests reports whether a shard rests with records of just those digests.
func (s *shard) rests(digests []uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resting != nil && slices.Equal(s.resting.digests, digests)
}

// unchanged reports whether a shard that rests is where it was, with keepers that have what this
// one has: then there is nothing to repair, and its ledger stays on disk.
func (k *Keeper) unchanged(ctx context.Context, s *shard, repair bool) bool {
	s.mu.Lock()
	resting, set, now := s.resting, s.set, k.rt.Now()
	known := resting != nil && len(set) > 0 && (len(set) == 1 || now.Sub(s.heirsAt) <= heirsEvery)
	s.mu.Unlock()
	if !known {
		return false
	}
	if repair {
		nearest, err := k.cfg.Peers.Nearest(ctx, scheduler.Key(s.ref.Job, s.ref.Shard, 0), scheduler.Keepers)
		if err != nil || !slices.Equal(nearest, set) {
			return false
		}
	}
	if slices.ContainsFunc(set, func(n jobs.NodeID) bool { return n != k.self && !k.same(ctx, s, n, resting) }) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncAt = now.Add(syncEvery)
	if repair {
		s.repairAt = now.Add(repairEvery)
	}
	return true
}

// same reports whether another keeper has what this one has of a resting shard.
func (k *Keeper) same(ctx context.Context, s *shard, n jobs.NodeID, resting *rest) bool {
	var a protocol.SyncAnswer
	err := k.call(ctx, n, protocol.Sync, &protocol.SyncRequest{Shard: s.ref, Digests: resting.digests}, &a)
	return err == nil && len(a.Slots) == 0
}
