package submit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Pace of publishing.
const (
	shardsAtOnce = 8
	fetchWait    = 4 * time.Second // that a keeper is given to fetch blobs before it answers
	placeFor     = 2 * time.Minute // that one keeper is given for one shard
)

// Held is how safely a job is held by nodes other than its submitter's.
type Held struct {
	Keepers int // smallest count of receipts over all shards, this node's own not counted
	Wanted  int // keepers a shard should have: 5, or as many as there are
	Others  int // other nodes that could keep: 0 means nobody is in sight
	Why     string
}

// Safe reports whether the submitter may switch off.
func (h *Held) Safe() bool { return h.Others > 0 && h.Keepers >= h.Wanted }

// Begin makes a new job runnable here: its shards are kept by this node alone, nobody is told.
func (s *Submitter) Begin(ctx context.Context, job *jobs.Job) error {
	self := s.cfg.Signer.ID()
	for n := range job.Head.Shards() {
		raw, proof, err := s.shard(job, n)
		if err != nil {
			return err
		}
		if err := s.cfg.Home.Adopt(ctx, job.Bytes(), n, raw, proof, true); err != nil {
			return err
		}
		ref := protocol.ShardRef{Job: job.ID, Shard: n}
		rs, err := jobs.SignBatch(s.cfg.Signer, s.cfg.Network, job.ID, n, &jobs.Placement{Keepers: []jobs.NodeID{self}})
		if err != nil {
			return err
		}
		if _, err := s.cfg.Keepers.Offer(ctx, ref, rs); err != nil {
			return err
		}
	}
	return nil
}

// Placing is how far a Publish is.
type Placing struct {
	Shards, Placed  uint32 // of them, those that are done
	Receipts, Asked int    // of keepers that have all of a shard, of those that were asked
}

// Publish places every shard of a job on its keepers and gives shard 0's receipts, which the
// board asks for. It can be repeated: what is placed stays placed. An error means that not even
// a majority of some shard's keepers has it.
func (s *Submitter) Publish(ctx context.Context, job *jobs.Job, told func(Placing)) (*Held, []*jobs.Record, error) {
	var mu sync.Mutex
	held := &Held{Keepers: scheduler.Keepers, Wanted: scheduler.Keepers}
	var receipts []*jobs.Record
	var firstErr error
	now := Placing{Shards: job.Head.Shards()}
	tell := func(change func()) {
		mu.Lock()
		defer mu.Unlock()
		change()
		if told != nil {
			told(now)
		}
	}
	var next uint32 // shard that nobody has taken on
	take := func() (n uint32, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if n, ok = next, next < job.Head.Shards() && ctx.Err() == nil; ok {
			next++
		}
		return n, ok
	}
	var placing strand.Group
	for range min(shardsAtOnce, job.Head.Shards()) {
		placing.Go(s.rt, func() {
			for n, ok := take(); ok; n, ok = take() {
				h, rs, err := s.place(ctx, job, n, func(asked, receipts int) {
					tell(func() { now.Asked, now.Receipts = now.Asked+asked, now.Receipts+receipts })
				})
				mu.Lock()
				if err != nil && firstErr == nil {
					firstErr = err
				}
				if n == 0 {
					receipts = rs
				}
				if h != nil && (h.Keepers < held.Keepers || n == 0) {
					*held = *h
				}
				mu.Unlock()
				tell(func() { now.Placed++ })
			}
		})
	}
	placing.Wait(s.rt)
	if firstErr == nil {
		firstErr = ctx.Err()
	}
	return held, receipts, firstErr
}

// place puts one shard on its keepers and signs who holds it.
func (s *Submitter) place(ctx context.Context, job *jobs.Job, n uint32, told func(asked, receipts int)) (*Held, []*jobs.Record, error) {
	ref := protocol.ShardRef{Job: job.ID, Shard: n}
	raw, proof, err := s.shard(job, n)
	if err != nil {
		return nil, nil, err
	}
	if s.cfg.Home.Local(ref) {
		if err := s.cfg.Home.Share(ctx, ref); err != nil {
			return nil, nil, err
		}
		s.cfg.Keepers.Forget(ref)
	}
	set, err := s.cfg.Keepers.Keepers(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	self := s.cfg.Signer.ID()
	told(len(set), 0)
	receipts, why := s.publishTo(ctx, job, ref, set, raw, proof, func() { told(0, 1) })
	held := &Held{Wanted: scheduler.Keepers, Why: why}
	for _, k := range set {
		if k != self {
			held.Others++
		}
	}
	held.Wanted = min(scheduler.Keepers, held.Others)
	p := &jobs.Placement{}
	for _, r := range receipts {
		p.Keepers = append(p.Keepers, r.Author)
		p.Receipts = append(p.Receipts, r.ID)
		if r.Author != self {
			held.Keepers++
		}
	}
	if len(p.Keepers) < scheduler.Majority(len(set)) {
		s.cfg.Keepers.Forget(ref)
		return held, receipts, fmt.Errorf("shard %d: %d of %d keepers took it: %s", n, len(p.Keepers), len(set), why)
	}
	rs, err := jobs.SignBatch(s.cfg.Signer, s.cfg.Network, job.ID, n, p)
	if err != nil {
		return held, receipts, err
	}
	o, err := s.cfg.Keepers.Offer(ctx, ref, append(rs, receipts...))
	if err == nil && !o.Majority() {
		err = fmt.Errorf("shard %d: its placement reached %d of %d keepers", n, o.Keepers, o.Set)
	}
	return held, receipts, err
}

// publishTo asks every keeper of a set at once and gives the receipts.
func (s *Submitter) publishTo(ctx context.Context, job *jobs.Job, ref protocol.ShardRef, set []jobs.NodeID, raw []byte, proof []jobs.Digest, taken func()) (receipts []*jobs.Record, why string) {
	q := &protocol.PublishRequest{Head: job.Bytes(), Shard: ref.Shard, Manifest: raw, Proof: proof, Wait: uint32(fetchWait / time.Millisecond)}
	ctx, cancel := s.rt.WithTimeout(ctx, placeFor)
	defer cancel()
	var mu sync.Mutex
	var asking strand.Group
	for _, k := range set {
		asking.Go(s.rt, func() {
			r, err := s.publishUntil(ctx, k, ref, q)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				why = fmt.Sprintf("%s: %v", k.Short(), err)
				return
			}
			receipts = append(receipts, r)
			taken()
		})
	}
	asking.Wait(s.rt)
	slices.SortFunc(receipts, func(a, b *jobs.Record) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return receipts, why
}

func (s *Submitter) publishUntil(ctx context.Context, k jobs.NodeID, ref protocol.ShardRef, q *protocol.PublishRequest) (*jobs.Record, error) {
	for {
		r, err := s.cfg.Keepers.Publish(ctx, k, ref, q)
		if r != nil || err != nil {
			return r, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("still fetching the job's data: %w", ctx.Err())
		}
	}
}
