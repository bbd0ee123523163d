package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// setOf is the shard's confirmed keeper set as this node sees it, looked up when first needed.
func (k *Keeper) setOf(ctx context.Context, s *shard) ([]jobs.NodeID, error) {
	s.mu.Lock()
	set, local := s.set, s.local
	s.mu.Unlock()
	if local {
		return []jobs.NodeID{k.self}, nil
	}
	if set != nil {
		return set, nil
	}
	return k.lookup(ctx, s)
}

func (k *Keeper) lookup(ctx context.Context, s *shard) ([]jobs.NodeID, error) {
	set, err := k.cfg.Peers.Nearest(ctx, scheduler.Key(s.ref.Job, s.ref.Shard, 0), scheduler.Keepers)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.setAt = set, k.rt.Now()
	return set, nil
}

// maintain starts what is due. At most fetchParallel shards are worked on at a time.
func (k *Keeper) maintain(ctx context.Context, now time.Time) {
	loaded := 0
	for _, s := range k.all() {
		s.mu.Lock()
		end := s.job.Head.Expires
		if s.ledger != nil {
			loaded++
			end = s.ledger.Expires()
			k.learn(now, s)
			if _, closed := s.ledger.Closed(); closed && s.closedAt.IsZero() {
				s.closedAt = now
			}
		}
		over := !s.complete && now.Sub(s.begunAt) > incompleteFor || !s.closedAt.IsZero() && now.Sub(s.closedAt) > keepAfterEnd
		repair := !s.busy && !s.local && !now.Before(s.repairAt)
		sync := !s.busy && !s.local && !s.syncAt.IsZero() && !now.Before(s.syncAt)
		s.busy = s.busy || repair || sync
		payloads := s.ledger != nil && s.payloads && !now.Before(s.fetchAt)
		ended := k.rt.Date() > end+int64(keepAfterEnd/time.Second)
		extended := ended && s.ledger == nil // perhaps: its records say
		if s.ledger != nil {
			s.unload(now, loaded)
		}
		s.mu.Unlock()
		if extended && k.load(s) == nil {
			continue // until the next look
		}
		if over || ended {
			k.forget(ctx, s, ended || !s.closedAt.IsZero())
			continue
		}
		if payloads {
			k.fetchPayloads(s)
		}
		if repair || sync {
			k.start(func(ctx context.Context) { k.work(ctx, s, repair) })
		}
	}
}

func (k *Keeper) work(ctx context.Context, s *shard, repair bool) {
	defer func() {
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
	}()
	if k.fetches.Enter(ctx, k.rt) != nil {
		return
	}
	defer k.fetches.Leave()
	if k.unchanged(ctx, s, repair) {
		return
	}
	if err := k.load(s); err != nil {
		k.cfg.Logger.Error("shard cannot be read", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "error", err)
		return
	}
	if repair {
		k.repair(ctx, s)
	}
	k.syncAll(ctx, s)
	k.fetchPayloads(s)
}

// repair puts a shard where it belongs, and tries again soon, then less and less often, where that
// did not come to its end: a peer that cannot be reached, or one that still gets records.
func (k *Keeper) repair(ctx context.Context, s *shard) {
	s.mu.Lock()
	s.repairAt = k.rt.Now().Add(repairEvery)
	s.mu.Unlock()
	k.counts.repairs.Add(1)
	placed := k.place(ctx, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if placed {
		s.repairs = 0
		return
	}
	s.repairs = min(s.repairs+1, repairTries)
	s.repairAt = earlier(s.repairAt, k.rt.Now().Add(repairSoon<<s.repairs))
}

// place looks the shard's nearest nodes up, brings it to those that lack it, says who keeps it
// now, and lets it go where this node is not among them any more. It reports whether all of that
// is done.
func (k *Keeper) place(ctx context.Context, s *shard) bool {
	s.mu.Lock()
	old := s.set
	s.mu.Unlock()
	set, err := k.lookup(ctx, s)
	if err != nil || len(set) == 0 {
		return false
	}
	if !slices.Equal(old, set) {
		k.cfg.Logger.Debug("keepers changed", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "keepers", len(set))
	}
	missing := false
	for _, n := range set {
		missing = n != k.self && !k.bring(ctx, s, n) || missing
	}
	err = k.announce(ctx, s, set)
	if err == nil && !missing {
		err = k.nameHeirs(ctx, s, !slices.Equal(old, set))
	}
	if err != nil {
		k.cfg.Logger.Debug("hand-over not stored", "error", err)
	}
	switch {
	case missing:
		return false
	case slices.Contains(set, k.self):
		return true
	case !k.allEqual(ctx, s, set):
		return false
	}
	k.forget(ctx, s, false)
	return true
}

// bring makes sure that a node keeps the shard.
func (k *Keeper) bring(ctx context.Context, s *shard, n jobs.NodeID) bool {
	s.mu.Lock()
	complete := s.complete
	s.mu.Unlock()
	if _, err := k.exchange(ctx, s, n); err == nil {
		return true
	} else if !protocol.Refused(err, protocol.Unknown) || !complete {
		return false
	}
	q := &protocol.PublishRequest{Head: s.meta.Head, Shard: s.ref.Shard, Manifest: s.meta.Manifest, Proof: s.meta.Proof, Wait: uint32(bringWait / time.Millisecond)}
	for range bringTries {
		var a protocol.PublishAnswer
		if err := k.call(ctx, n, protocol.Publish, q, &a); err != nil {
			return false
		}
		if len(a.Receipt) == 0 {
			continue
		}
		if rs, err := k.open(s, a.Receipt); err == nil {
			_, _, err = k.merge(ctx, s, rs)
			if err != nil {
				return false
			}
		}
		_, err := k.exchange(ctx, s, n)
		return err == nil
	}
	return false
}

// announce signs a hand-over to the set, unless the shard is known to be in its keeping. It counts
// once most of those who kept it before say the same.
func (k *Keeper) announce(ctx context.Context, s *shard, set []jobs.NodeID) error {
	s.mu.Lock()
	due := len(set) > 1 && !s.ledger.Recognised(set) && slices.Contains(s.ledger.Custodians(), k.self) && !s.ledger.HandedOver(k.self, set)
	s.mu.Unlock()
	if !due {
		return nil
	}
	s.mu.Lock()
	s.agreed = 0 // what comes of this only the others' words make count
	s.mu.Unlock()
	rs, err := jobs.SignBatch(k.cfg.Signer, k.cfg.Network, s.ref.Job, s.ref.Shard, &jobs.Handover{Set: set})
	if err != nil {
		return err
	}
	_, _, err = k.merge(ctx, s, rs)
	return err
}

// nameHeirs signs a hand-over to the nodes that would keep the shard if most of its keepers vanished
// at once: then too few are left to hand it over. It is done when the set has changed, and now and
// then.
func (k *Keeper) nameHeirs(ctx context.Context, s *shard, changed bool) error {
	now := k.rt.Now()
	s.mu.Lock()
	due := changed || s.heirsAt.IsZero() || now.Sub(s.heirsAt) > heirsEvery
	s.mu.Unlock()
	if !due {
		return nil
	}
	near, err := k.cfg.Peers.Nearest(ctx, scheduler.Key(s.ref.Job, s.ref.Shard, 0), 2*scheduler.Keepers)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.heirsAt = now
	s.mu.Unlock()
	if len(near) <= scheduler.Keepers {
		return nil
	}
	return k.announce(ctx, s, near[len(near)-scheduler.Keepers:])
}

// allEqual reports whether every node of the set has all that is here.
func (k *Keeper) allEqual(ctx context.Context, s *shard, set []jobs.NodeID) bool {
	for _, n := range set {
		if n == k.self {
			continue
		}
		if slots, err := k.exchange(ctx, s, n); err != nil || slots > 0 {
			return false
		}
	}
	return true
}
