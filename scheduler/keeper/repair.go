package keeper

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
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
	for i, n := range set {
		missing = n != k.self && !k.bring(ctx, s, n, i) || missing
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
func (k *Keeper) bring(ctx context.Context, s *shard, n jobs.NodeID, _ int) bool {
	s.mu.Lock()
	complete := s.complete
	s.mu.Unlock()
	if _, err := k.exchange(ctx, s, n); err == nil {
		return true
	} else if !protocol.Refused(err, protocol.Unknown) || !complete {
		return false
	}
	q := &protocol.PublishRequest{Head: s.meta.Head, Shard: s.ref.Shard, Manifest: s.meta.Manifest, Proof: s.meta.Proof, Wait: 4000}
	for range 10 {
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

// syncAll exchanges records with every other keeper of the shard.
func (k *Keeper) syncAll(ctx context.Context, s *shard) {
	s.mu.Lock()
	set := slices.Clone(s.set)
	s.syncAt = k.rt.Now().Add(syncEvery)
	s.mu.Unlock()
	if _, _, err := k.merge(ctx, s, nil); err != nil { // what could not be written when it came
		k.cfg.Logger.Debug("records are still not stored", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "error", err)
	}
	for _, n := range set {
		if n == k.self {
			continue
		}
		if _, err := k.exchange(ctx, s, n); err != nil {
			k.cfg.Logger.Debug("sync failed", "peer", n.Short(), "error", err)
		}
	}
}

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
