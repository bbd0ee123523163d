package client

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Assignment is what a majority of a shard's keepers granted a worker.
type Assignment struct {
	Holds   []jobs.Hold
	Grants  []*jobs.Record     // the keepers' signed consents, for all the holds together
	Summary *scheduler.Summary // the shard as a majority sees it; nil if nothing changed
}

// Claim asks all keepers for the same replicas. What no majority granted is given back at once.
func (c *Client) Claim(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) (*Assignment, error) {
	slices.SortFunc(holds, jobs.CompareHolds)
	q := &protocol.ClaimRequest{Shard: ref, Holds: holds}
	replies, set, err := all[protocol.ClaimAnswer](ctx, c, ref, protocol.Claim, q, askTimeout)
	if err != nil {
		return nil, err
	}
	a := &Assignment{}
	votes := map[jobs.Hold]int{}
	asked := func(h jobs.Hold) bool { return slices.Contains(holds, h) }
	var sums []*scheduler.Summary
	for _, r := range replies {
		tally(votes, r.answer.Granted, asked)
		for _, g := range c.open(r.answer.Grant, ref) {
			if g.Kind == jobs.KindGrant {
				a.Grants = append(a.Grants, g)
			}
		}
		sums = append(sums, c.narrowed(ref, r.answer.Summary))
	}
	a.Summary = merge(sums)
	var lost []jobs.Hold
	for _, h := range holds {
		switch n := votes[h]; {
		case n < scheduler.Majority(len(set)):
			if n > 0 {
				lost = append(lost, h)
			}
		case h.Replica != scheduler.WholeUnit && !scheduler.Assigned(a.Grants, h):
			lost = append(lost, h)
			c.Forget(ref) // the keepers know of more keepers
		default:
			a.Holds = append(a.Holds, h)
		}
	}
	if len(lost) > 0 {
		c.Release(ctx, ref, lost)
	}
	if len(replies) < scheduler.Majority(len(set)) {
		return nil, ErrNoMajority
	}
	return a, nil
}

// Renew extends holds; it reports those that a majority says are lost.
func (c *Client) Renew(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) (lost []jobs.Hold, err error) {
	replies, set, err := all[protocol.RenewAnswer](ctx, c, ref, protocol.Renew, &protocol.RenewRequest{Shard: ref, Holds: holds}, askTimeout)
	if err != nil {
		return nil, err
	}
	votes := map[jobs.Hold]int{}
	for _, r := range replies {
		tally(votes, r.answer.Lost, func(h jobs.Hold) bool { return slices.Contains(holds, h) })
	}
	for _, h := range holds {
		if votes[h] >= scheduler.Majority(len(set)) {
			lost = append(lost, h)
		}
	}
	return lost, nil
}

// Release gives holds back. It is a courtesy: leases run out by themselves.
func (c *Client) Release(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) {
	_, _, _ = all[protocol.RenewAnswer](ctx, c, ref, protocol.Renew, &protocol.RenewRequest{Shard: ref, Holds: holds, Release: true}, askTimeout)
}

// tally counts one keeper's word on each thing that was asked: once, however often it says it.
func tally[T comparable](votes map[T]int, said []T, asked func(T) bool) {
	seen := make(map[T]bool, len(said))
	for _, x := range said {
		if !seen[x] && asked(x) {
			seen[x] = true
			votes[x]++
		}
	}
}

// Offered says who holds records that were offered.
type Offered struct {
	Keepers int // that have them on disk
	Set     int // that there are
	Summary *scheduler.Summary
}

// Majority reports whether enough keepers have the records.
func (o *Offered) Majority() bool { return o.Set > 0 && o.Keepers >= scheduler.Majority(o.Set) }

// Offer brings records to all keepers of the shard.
func (c *Client) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*Offered, error) {
	q := &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(rs)}
	replies, set, err := all[protocol.OfferAnswer](ctx, c, ref, protocol.Offer, q, 2*askTimeout)
	if err != nil {
		return nil, err
	}
	o := &Offered{Keepers: len(replies), Set: len(set)}
	var sums []*scheduler.Summary
	for _, r := range replies {
		sums = append(sums, c.narrowed(ref, r.answer.Summary))
	}
	o.Summary = merge(sums)
	return o, nil
}

// Sealed is what a worker reads before it reveals.
type Sealed struct {
	Ready   []jobs.Hold              // a majority shows the round's seals
	Seals   map[uint16][]jobs.Digest // their record ids, by unit
	Decided []uint16                 // units a majority calls decided
	// Of the decided, those whose answers a majority says the asker's vote gave, or contradicts.
	Accepted, Against []uint16
}

// Watch waits until a majority of keepers shows the seals that some hold's round asks for, or
// calls its unit or one of the other units done; or for the given time. A keeper's word that a
// round is complete is worth the signed seals that come with it.
func (c *Client) Watch(ctx context.Context, ref protocol.ShardRef, votes uint8, holds []jobs.Hold, units []uint16, wait time.Duration) (*Sealed, error) {
	q := &protocol.WatchRequest{Shard: ref, Holds: holds, Units: units, Wait: uint32(wait / time.Millisecond)}
	replies, set, err := all[protocol.WatchAnswer](ctx, c, ref, protocol.Watch, q, wait+askTimeout)
	if err != nil {
		return nil, err
	}
	ready, decided, accepted, against := map[jobs.Hold]int{}, map[uint16]int{}, map[uint16]int{}, map[uint16]int{}
	mine := func(n uint16) bool {
		return slices.Contains(units, n) || slices.ContainsFunc(holds, func(h jobs.Hold) bool { return h.Unit == n })
	}
	out := &Sealed{Seals: map[uint16][]jobs.Digest{}}
	for _, r := range replies {
		tally(decided, r.answer.Decided, mine)
		tally(accepted, r.answer.Accepted, mine)
		tally(against, r.answer.Against, mine)
		sealers := map[uint16]map[jobs.NodeID]bool{}
		for _, s := range c.open(r.answer.Seals, ref) {
			b, ok := s.Body.(*jobs.Seal)
			if !ok {
				continue
			}
			if sealers[b.Unit] == nil {
				sealers[b.Unit] = map[jobs.NodeID]bool{}
			}
			sealers[b.Unit][s.Author] = true
			if !slices.Contains(out.Seals[b.Unit], s.ID) {
				out.Seals[b.Unit] = append(out.Seals[b.Unit], s.ID)
			}
		}
		tally(ready, r.answer.Ready, func(h jobs.Hold) bool {
			return slices.Contains(holds, h) && len(sealers[h.Unit]) >= scheduler.SealsAsked(votes, h.Replica)
		})
	}
	need := scheduler.Majority(len(set))
	for _, h := range holds {
		if ready[h] >= need {
			out.Ready = append(out.Ready, h)
		}
	}
	out.Decided, out.Accepted, out.Against = most(decided, need), most(accepted, need), most(against, need)
	return out, nil
}

// most are the units that enough keepers named, in order.
func most(votes map[uint16]int, need int) []uint16 {
	var out []uint16
	for n, v := range votes {
		if v >= need {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
