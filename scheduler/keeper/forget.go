package keeper

import (
	"context"

	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// forget stops keeping a shard: its keepers are others now, or its job is over. What makes it
// exist goes last, so that a crash on the way leaves a shard that is forgotten again.
func (k *Keeper) forget(ctx context.Context, s *shard, ended bool) {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	s.writing.Wait(k.rt) // writes under way go first
	if err := k.erase(ctx, s.ref, ended); err != nil {
		k.cfg.Logger.Warn("a shard could not be let go", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "error", err)
		s.mu.Lock()
		s.gone = false
		s.rewrite()
		s.mu.Unlock()
		return
	}
	k.mu.Lock()
	delete(k.shards, s.ref)
	k.mu.Unlock()
	s.changed.Raise()
	k.cfg.Logger.Debug("shard let go", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "ended", ended)
}

// rewrite has everything written again with what comes next: some of it has gone from the disk. The
// caller holds mu.
func (s *shard) rewrite() {
	if s.ledger == nil {
		return
	}
	s.unsaved = nil
	for slot := range s.ledger.Slots() {
		s.unsaved = append(s.unsaved, s.ledger.Records(slot)...)
	}
	for _, r := range s.unsaved {
		s.unwritten[r.ID] = true
	}
}

// erase removes all of a shard from disk.
func (k *Keeper) erase(ctx context.Context, ref protocol.ShardRef, ended bool) error {
	if ended {
		stone := append([]byte{tombstonePrefix}, ref.Job[:]...)
		if err := k.cfg.Disk.Put(ctx, disk.Pair{Key: stone}); err != nil {
			return err
		}
	}
	if err := k.cfg.Disk.DeletePrefix(ctx, recordPrefix(ref)); err != nil {
		return err
	}
	if err := k.cfg.Blobs.Release(ctx, owner(ref)); err != nil {
		return err
	}
	return k.cfg.Disk.Delete(ctx, refKey(metaPrefix, ref))
}

// leaving reports that a shard is being let go.
func (s *shard) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}
