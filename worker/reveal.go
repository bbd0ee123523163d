package worker

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
)

// vouch notes in results of this node's own job, before they are first told, which seals of others
// there are: of those who say the same only they did not copy it. Where no keeper answers, they are
// not named.
func (st *settler) vouch(ctx context.Context, rs []*result) error {
	var own []*result
	var units []uint16
	st.mu.Lock()
	for _, r := range rs {
		if r.Own && !r.Revealed {
			own, units = append(own, r), append(units, r.Hold.Unit)
		}
	}
	st.mu.Unlock()
	if len(own) == 0 {
		return nil
	}
	set, err := st.w.cfg.Keepers.Keepers(ctx, st.ref)
	if err != nil || len(set) == 0 || len(set) == 1 && set[0] == st.w.self {
		return nil // nobody else is at work on it
	}
	at := set[0]
	if slices.Contains(set, st.w.self) {
		at = st.w.self
	}
	reading, cancel := st.w.rt.WithTimeout(ctx, vouchWithin)
	read, err := st.w.cfg.Keepers.Read(reading, st.ref, at, units, false)
	cancel()
	if err != nil {
		st.w.cfg.Logger.Debug("seals of others are not known", "job", st.ref.Job.Short(), "shard", st.ref.Shard, "error", err)
	}
	var pairs []disk.Pair
	st.mu.Lock()
	for _, r := range own {
		r.Revealed = true
		for _, s := range read {
			if b, ok := s.Body.(*jobs.Seal); ok && b.Unit == r.Hold.Unit && len(r.Seals) < jobs.MaxSeals {
				r.Seals = append(r.Seals, s.ID)
			}
		}
		pairs = append(pairs, r.pair())
	}
	st.mu.Unlock()
	err = st.w.cfg.Disk.Put(ctx, pairs...)
	if err != nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		for _, r := range own {
			r.Seals, r.Revealed = nil, false
		}
	}
	return err
}

// vouchWithin is how long a result of one's own is held up for it.
const vouchWithin = time.Second

// revealAll reveals the results whose round's seals a majority has shown, naming those seals.
func (st *settler) revealAll(ctx context.Context, ready []jobs.Hold, seals map[uint16][]jobs.Digest) error {
	var rs []*result
	var pairs []disk.Pair
	st.mu.Lock()
	for _, h := range ready {
		if r := st.results[h.Unit]; r != nil && !r.Revealed && !r.Own {
			r.Seals, r.Revealed = seals[h.Unit], true
			r.Seals = r.Seals[:min(len(r.Seals), jobs.MaxSeals)]
			rs = append(rs, r)
			pairs = append(pairs, r.pair())
		}
	}
	st.mu.Unlock()
	if len(rs) == 0 {
		return nil
	}
	err := st.w.cfg.Disk.Put(ctx, pairs...)
	st.mu.Lock()
	if err != nil {
		for _, r := range rs {
			r.Seals, r.Revealed = nil, false
		}
		st.mu.Unlock()
		return err
	}
	st.fresh = append(st.fresh, rs...) // what cannot be told now is told again, seal and all
	st.mu.Unlock()
	return st.tell(ctx)
}

// claimAgain claims units anew whose seals have stood for a lease without their round completing,
// where the keepers show a free replica: then the grants that the seals lean on do not count, as
// after a partition, and the result is sealed again under grants that do. It is the same result.
func (st *settler) claimAgain(ctx context.Context) error {
	var overdue []*result
	st.mu.Lock()
	for _, r := range st.all() {
		if !r.Own && !r.Revealed && st.w.rt.Now().Sub(r.since) > time.Duration(r.Lease)*time.Second {
			overdue = append(overdue, r)
		}
	}
	st.mu.Unlock()
	if len(overdue) == 0 {
		return nil
	}
	sum, err := st.w.cfg.Keepers.Summary(ctx, st.ref)
	if err != nil {
		return err
	}
	for _, r := range overdue {
		free := sum.Unit(int(r.Hold.Unit)).Free
		if free == 0 {
			continue
		}
		a, err := st.w.cfg.Keepers.Claim(ctx, st.ref, []jobs.Hold{{Unit: r.Hold.Unit, Replica: oneOf(free, st.w.rt.Uint64())}})
		if err != nil {
			return err
		}
		if len(a.Holds) == 1 {
			if err := st.sealAgain(ctx, r, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealAgain puts a result under other grants.
func (st *settler) sealAgain(ctx context.Context, r *result, a *client.Assignment) error {
	pairs := make([]disk.Pair, 0, len(a.Grants)+1)
	st.mu.Lock()
	r.Hold, r.Grants, r.since = a.Holds[0], nil, st.w.rt.Now()
	for _, g := range a.Grants {
		r.Grants = append(r.Grants, g.ID)
		st.grants[g.ID] = g
		pairs = append(pairs, grantPair(st.ref, g))
	}
	pairs = append(pairs, r.pair())
	st.fresh = append(st.fresh, r)
	st.mu.Unlock()
	return st.w.cfg.Disk.Put(ctx, pairs...)
}
