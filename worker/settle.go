package worker

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// settler sees the results of one shard through: sealed, revealed, done.
type settler struct {
	w   *Worker
	ref protocol.ShardRef

	mu      sync.Mutex
	results map[uint16]*result
	grants  map[jobs.Digest]*jobs.Record
	fresh   []*result     // not sealed in this run yet
	news    strand.Signal // there is something fresh
	running bool
}

func (w *Worker) settler(ref protocol.ShardRef) *settler {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.settles[ref]
	if st == nil {
		st = &settler{w: w, ref: ref, results: map[uint16]*result{}, grants: map[jobs.Digest]*jobs.Record{}}
		w.settles[ref] = st
	}
	return st
}

func (st *settler) has(unit uint16) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.results[unit] != nil
}

func (st *settler) waiting() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.results)
}

func (st *settler) add(rs []*result, grants map[jobs.Digest]*jobs.Record) {
	st.mu.Lock()
	maps.Copy(st.grants, grants)
	for _, r := range rs {
		r.since = st.w.rt.Now()
		st.results[r.Hold.Unit] = r
	}
	st.fresh = append(st.fresh, rs...)
	start := !st.running
	st.running = true
	st.mu.Unlock()
	if start {
		st.w.start(st.run)
		return
	}
	st.news.Raise()
}

// run tells the keepers what is new, waits for rounds and decisions, and ends when every result
// is done.
func (st *settler) run(ctx context.Context) {
	retry := retryAtFirst
	again := st.w.rt.Now().Add(offerAgain)
	for ctx.Err() == nil {
		if st.expired() {
			if err := st.abandon(ctx); err != nil {
				st.w.cfg.Logger.Warn("results of an expired job remain", "job", st.ref.Job.Short(), "shard", st.ref.Shard, "error", err)
				return
			}
			if st.ended() {
				return
			}
		}
		if st.w.rt.Now().After(again) {
			st.mu.Lock()
			st.fresh = st.all()
			st.mu.Unlock()
			again = st.w.rt.Now().Add(offerAgain)
			if err := st.claimAgain(ctx); err != nil {
				st.w.cfg.Logger.Debug("unit not claimed again", "job", st.ref.Job.Short(), "shard", st.ref.Shard, "error", err)
			}
		}
		err := st.tell(ctx)
		if err == nil {
			err = st.watch(ctx)
		}
		if err == nil {
			retry = retryAtFirst
		} else {
			st.w.cfg.Logger.Debug("results not told yet", "job", st.ref.Job.Short(), "shard", st.ref.Shard, "error", err)
			_ = strand.Sleep(ctx, st.w.rt, retry)
			retry = min(2*retry, retryAtMost)
		}
		if st.ended() {
			return
		}
	}
}

// expired reports whether the job of the shard has been over for so long that nobody asks.
func (st *settler) expired() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, r := range st.results {
		return st.w.rt.Date() > r.Until
	}
	return false
}

// ended reports whether there is nothing left, and lets the settler go.
func (st *settler) ended() bool {
	st.w.mu.Lock()
	defer st.w.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.results) > 0 {
		return false
	}
	st.running = false
	delete(st.w.settles, st.ref)
	return true
}

// all are the results in the order of their units. The caller holds mu.
func (st *settler) all() []*result {
	return slices.SortedFunc(maps.Values(st.results), func(a, b *result) int { return jobs.CompareHolds(a.Hold, b.Hold) })
}

// tell seals what is new, or reveals it where it is this node's own job or was revealed before.
func (st *settler) tell(ctx context.Context) error {
	st.mu.Lock()
	fresh := st.fresh
	st.fresh = nil
	st.mu.Unlock()
	for len(fresh) > 0 {
		n := min(len(fresh), batchFit(fresh))
		err := st.vouch(ctx, fresh[:n])
		if err == nil {
			err = st.tellBatch(ctx, fresh[:n])
		}
		if err != nil {
			st.mu.Lock()
			st.fresh = append(fresh, st.fresh...)
			st.mu.Unlock()
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// batchFit is how many results' records go into one message.
func batchFit(rs []*result) int {
	size := 0
	for i, r := range rs {
		size += len(r.Inline) + 2048 // a seal, a reveal, their paths, a part of the grants
		if size > jobs.MaxBatchBytes/2 || i == jobs.MaxBatch/2 {
			return max(i, 1)
		}
	}
	return len(rs)
}

func (st *settler) tellBatch(ctx context.Context, rs []*result) error {
	var bodies []any
	var carried []*jobs.Record
	seen := map[jobs.Digest]bool{}
	st.mu.Lock()
	for _, r := range rs {
		if !r.Own {
			bodies = append(bodies, r.seal(st.w.self))
		}
		if r.Own || r.Revealed {
			bodies = append(bodies, r.reveal())
		}
		for _, id := range r.Grants {
			if g := st.grants[id]; g != nil && !seen[id] {
				seen[id] = true
				carried = append(carried, g)
			}
		}
	}
	st.mu.Unlock()
	return st.offer(ctx, bodies, carried)
}

func (st *settler) offer(ctx context.Context, bodies []any, with []*jobs.Record) error {
	rs, err := jobs.SignBatch(st.w.cfg.Signer, st.w.cfg.Network, st.ref.Job, st.ref.Shard, bodies...)
	if err != nil {
		return err
	}
	o, err := st.w.cfg.Keepers.Offer(ctx, st.ref, append(rs, with...))
	if err != nil {
		return err
	}
	if !o.Majority() {
		return errNoMajority
	}
	if o.Summary != nil && o.Summary.Closed != 0 {
		return st.abandon(ctx) // nobody wants the results any more
	}
	return nil
}

// abandon lets every result of the shard go.
func (st *settler) abandon(ctx context.Context) error {
	var units []uint16
	st.mu.Lock()
	for _, r := range st.all() {
		units = append(units, r.Hold.Unit)
	}
	st.fresh = nil
	st.mu.Unlock()
	return st.done(ctx, units, func(*result) fate { return unused })
}

// watch waits for what the shard's results wait for, and acts on it.
func (st *settler) watch(ctx context.Context) error {
	var holds []jobs.Hold
	var units []uint16
	var votes uint8
	mark := st.news.Mark()
	st.mu.Lock()
	if len(st.fresh) > 0 {
		st.mu.Unlock()
		return nil
	}
	for _, r := range st.all() {
		votes = r.Votes
		if r.Own || r.Revealed {
			units = append(units, r.Hold.Unit)
		} else {
			holds = append(holds, r.Hold)
		}
	}
	st.mu.Unlock()
	watching, cancel := st.w.rt.WithCancel(ctx)
	defer cancel(nil)
	st.w.rt.Go(func() { // new results are told at once
		_ = st.w.rt.Wait(watching, strand.Forever, mark)
		cancel(nil)
	})
	s, err := st.w.cfg.Keepers.Watch(watching, st.ref, votes, holds[:min(len(holds), jobs.MaxGrantHolds)], units[:min(len(units), jobs.MaxGrantHolds)], watchFor)
	if err != nil {
		if watching.Err() != nil {
			return nil
		}
		return err
	}
	// What others decided without it is revealed all the same, before it is forgotten: who has not
	// accepted yet should hear of another answer.
	for _, h := range holds {
		if slices.Contains(s.Decided, h.Unit) {
			s.Ready = append(s.Ready, h)
		}
	}
	told := func(n uint16) bool { return !slices.ContainsFunc(holds, func(h jobs.Hold) bool { return h.Unit == n }) }
	decided := slices.DeleteFunc(s.Decided, func(n uint16) bool { return !told(n) })
	if err := st.done(ctx, decided, func(r *result) fate { return becameOf(s, r) }); err != nil {
		return err
	}
	return st.revealAll(ctx, s.Ready, s.Seals)
}

// becameOf is what a majority of keepers says became of a result.
func becameOf(s *client.Sealed, r *result) fate {
	switch {
	case slices.Contains(s.Accepted, r.Hold.Unit):
		return accepted
	case slices.Contains(s.Against, r.Hold.Unit):
		return disagreed
	}
	return unused
}

// done enters results whose units a majority shows done into the account, and forgets them.
func (st *settler) done(ctx context.Context, units []uint16, became func(*result) fate) error {
	var rs []*result
	st.mu.Lock()
	for _, n := range units {
		if r := st.results[n]; r != nil {
			same := *r
			rs = append(rs, &same)
		}
	}
	st.mu.Unlock()
	if err := st.w.account.enter(ctx, rs, became); err != nil {
		return err
	}
	if err := st.w.forget(ctx, rs); err != nil {
		return err
	}
	st.mu.Lock()
	for _, r := range rs {
		delete(st.results, r.Hold.Unit)
	}
	st.mu.Unlock()
	st.w.mu.Lock()
	st.w.stats.Done += len(rs)
	st.w.mu.Unlock()
	return nil
}

// forget removes results from disk, with what was held for them. What was said stays noted, of the
// node's own jobs too: a unit opens again where keepers have not heard of its result yet, and of a
// submitter that said two things no word counts, nor is it granted the unit once more.
func (w *Worker) forget(ctx context.Context, rs []*result) error {
	if len(rs) == 0 {
		return nil
	}
	var keys [][]byte
	var said []disk.Pair
	for _, r := range rs {
		keys = append(keys, unitKey(resultPrefix, r.key()))
		said = append(said, disk.Pair{Key: unitKey(saidPrefix, r.key()), Value: r.Tuples[:]})
	}
	if len(said) > 0 {
		if err := w.cfg.Disk.Put(ctx, said...); err != nil {
			return err
		}
	}
	if err := w.cfg.Disk.Delete(ctx, keys...); err != nil {
		return err
	}
	for _, r := range rs {
		if !r.Payload.Digest.IsZero() {
			if err := w.cfg.Blobs.Release(ctx, resultOwner(r.key())); err != nil {
				w.cfg.Logger.Debug("payload still held", r.key().ids(), "error", err)
			}
		}
	}
	return nil
}
