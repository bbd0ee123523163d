package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Summary is the shard as a majority of its keepers sees it now.
func (c *Client) Summary(ctx context.Context, ref protocol.ShardRef) (*scheduler.Summary, error) {
	replies, set, err := all[protocol.SummaryAnswer](ctx, c, ref, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, askTimeout)
	if err != nil {
		return nil, err
	}
	var sums []*scheduler.Summary
	for _, r := range replies {
		sums = append(sums, c.narrowed(ref, r.answer.Summary))
	}
	sum := merge(sums)
	if sum == nil {
		return nil, ErrNoMajority
	}
	if len(replies) < scheduler.Majority(len(set)) {
		sum.Closed = 0 // no majority's word
	}
	return sum, nil
}

// Glance is the shard as one of its keepers sees it: a hint, at a fifth of the messages, for those who
// look again and again and mostly find nothing. What it says is free a majority has to grant; what it
// says is decided a majority should be asked about.
func (c *Client) Glance(ctx context.Context, ref protocol.ShardRef) (*scheduler.Summary, error) {
	at, err := c.one(ctx, ref)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.rt.WithTimeout(ctx, glanceTime)
	defer cancel()
	var a protocol.SummaryAnswer
	if err = c.Ask(ctx, at, protocol.Summary, &protocol.SummaryRequest{Shard: ref}, &a); err == nil && a.Summary == nil {
		err = errors.New("keeper says nothing of its shard")
	}
	if err != nil {
		c.Forget(ref)
		return nil, err
	}
	return c.narrowed(ref, a.Summary), nil
}

// Await waits at one keeper until its summary is newer than known, and gives it; nil when
// nothing changed in the time. It is a prompt to look, nothing more.
func (c *Client) Await(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, known uint64, wait time.Duration) (*scheduler.Summary, error) {
	ctx, cancel := c.rt.WithTimeout(ctx, wait+askTimeout)
	defer cancel()
	var a protocol.SummaryAnswer
	q := &protocol.SummaryRequest{Shard: ref, Known: known, Wait: uint32(wait / time.Millisecond)}
	err := c.Ask(ctx, at, protocol.Summary, q, &a)
	return a.Summary, err
}

// merge is what the summaries' majority says, unit by unit: a unit is decided when more than
// half say so, a replica is free when more than half say so, and a count is what more than half
// have reached. One that speaks of another number of units than most do says nothing.
func merge(sums []*scheduler.Summary) *scheduler.Summary {
	sums = alike(sums)
	if len(sums) <= 1 {
		if len(sums) == 0 {
			return nil
		}
		return sums[0]
	}
	m := *sums[0]
	m.Wait = wait(sums)
	m.Units, m.Closed = make([]byte, 0, len(sums[0].Units)), closed(sums, len(sums))
	for i := range sums[0].Len() {
		b := mergeUnit(sums, i)
		m.Units = append(m.Units, b[0], b[1])
	}
	m.Done = reached(sums, func(s *scheduler.Summary) uint64 { return s.Done })
	m.Failed = reached(sums, func(s *scheduler.Summary) uint64 { return s.Failed })
	m.Stuck = reached(sums, func(s *scheduler.Summary) uint64 { return s.Stuck })
	m.Executions = reached(sums, func(s *scheduler.Summary) uint64 { return s.Executions })
	for _, s := range sums {
		if len(s.Donors) > len(m.Donors) && len(s.Donors) <= scheduler.MaxSummaryDonors {
			m.Donors = s.Donors
		}
	}
	return &m
}

// alike are the summaries that speak of as many units as most of them do.
func alike(sums []*scheduler.Summary) (out []*scheduler.Summary) {
	lengths := map[int]int{}
	length := -1
	for _, s := range sums {
		if s == nil {
			continue
		}
		if lengths[s.Len()]++; length < 0 || lengths[s.Len()] > lengths[length] {
			length = s.Len()
		}
	}
	for _, s := range sums {
		if s != nil && s.Len() == length {
			out = append(out, s)
		}
	}
	return out
}

// reached is the count that more than half of some summaries have come to.
func reached(sums []*scheduler.Summary, count func(*scheduler.Summary) uint64) uint64 {
	counts := make([]uint64, len(sums))
	for i, s := range sums {
		counts[i] = count(s)
	}
	slices.Sort(counts)
	return counts[len(counts)-scheduler.Majority(len(counts))]
}

// narrowed leaves of a summary's free replicas those that this node is eligible for.
func (c *Client) narrowed(ref protocol.ShardRef, s *scheduler.Summary) *scheduler.Summary {
	if s != nil {
		s.Narrow(ref.Job, c.peers.Self())
	}
	return s
}

// wait is how long half of the summaries say it takes until there is more for this node; 0: none
// says.
func wait(sums []*scheduler.Summary) time.Duration {
	var ds []time.Duration
	for _, s := range sums {
		if s != nil && s.Wait > 0 {
			ds = append(ds, s.Wait)
		}
	}
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// closed is the act that more than half of n summaries say closed the job.
func closed(sums []*scheduler.Summary, n int) jobs.Act {
	votes := map[jobs.Act]int{}
	for _, s := range sums {
		if s != nil {
			votes[s.Closed]++
		}
	}
	for act, said := range votes {
		if said >= scheduler.Majority(n) {
			return act
		}
	}
	return 0
}

func mergeUnit(sums []*scheduler.Summary, i int) [2]byte {
	var states [16]int
	var free [8]int
	held, own, n := 0, 0, 0
	for _, s := range sums {
		if s == nil {
			continue
		}
		n++
		u := s.Unit(i)
		states[u.State&15]++
		if u.Held {
			held++
		}
		if u.Own {
			own++
		}
		for r := range free {
			free[r] += int(u.Free>>r) & 1
		}
	}
	best := scheduler.Open
	for st := scheduler.Open; st <= scheduler.Disputed; st++ {
		undecided := !st.Decided() && st != scheduler.Disputed
		if states[st] > 0 && (undecided || states[st] >= scheduler.Majority(n)) {
			best = st
		}
	}
	out := [2]byte{byte(best)}
	if held >= scheduler.Majority(n) {
		out[0] |= scheduler.HeldFlag
	}
	if own > 0 { // signed by the submitter: one keeper that says so is enough for it to look
		out[0] |= scheduler.OwnFlag
	}
	for r := range free {
		if free[r] >= scheduler.Majority(n) {
			out[1] |= 1 << r
		}
	}
	return out
}

// Read gets all records of some units, and those about the shard, from one keeper.
func (c *Client) Read(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, units []uint16, general bool) ([]*jobs.Record, error) {
	var out []*jobs.Record
	for more := true; more; {
		var a protocol.ReadAnswer
		err := func() error {
			ctx, cancel := c.rt.WithTimeout(ctx, 2*askTimeout)
			defer cancel()
			return c.Ask(ctx, at, protocol.Read, &protocol.ReadRequest{Shard: ref, Units: units, General: general}, &a)
		}()
		if err != nil {
			return out, err
		}
		out = append(out, c.open(a.Batches, ref)...)
		if len(a.More) >= len(units) && len(units) > 0 {
			return out, errors.New("keeper does not get on with what it was asked to read")
		}
		units, general, more = a.More, false, len(a.More) > 0
	}
	return out, nil
}

// Holders asks the keepers of one of this node's own shards, one after the other, who runs what of it
// now. It is what the first that answers says: a hint for people.
func (c *Client) Holders(ctx context.Context, ref protocol.ShardRef) ([]scheduler.Holder, error) {
	set, err := c.Keepers(ctx, ref)
	if err != nil {
		return nil, err
	}
	err = errors.New("no keeper is known")
	for _, at := range set {
		var a protocol.HoldersAnswer
		if err = c.Ask(ctx, at, protocol.Holders, &ref, &a); err == nil {
			return a.Holders[:min(len(a.Holders), protocol.MaxHolders)], nil
		}
	}
	return nil, err
}

// Described is a shard as any of its keepers describes it, checked against the job's head.
type Described struct {
	Job      *jobs.Job
	Manifest *jobs.Manifest
	Path     []jobs.Digest // from the manifest to the head's root
}

// Describe gets a shard's manifest, and with it the job's head.
func (c *Client) Describe(ctx context.Context, ref protocol.ShardRef) (*Described, error) {
	set, err := c.Keepers(ctx, ref)
	if err != nil {
		return nil, err
	}
	for _, n := range set {
		var d *Described
		if d, err = c.describe(ctx, ref, n); err == nil {
			return d, nil
		}
	}
	c.Forget(ref)
	return nil, fmt.Errorf("manifest of shard %d: %w", ref.Shard, err)
}

func (c *Client) describe(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID) (*Described, error) {
	ctx, cancel := c.rt.WithTimeout(ctx, askTimeout)
	defer cancel()
	var a protocol.ManifestAnswer
	if err := c.Ask(ctx, at, protocol.Manifest, &ref, &a); err != nil {
		return nil, err
	}
	job, err := jobs.OpenHead(a.Head, c.network)
	if err != nil {
		return nil, err
	}
	if job.ID != ref.Job {
		return nil, errors.New("keeper answered with another job")
	}
	m, err := jobs.OpenManifest(&job.Head, ref.Shard, a.Manifest, a.Proof)
	if err != nil {
		return nil, err
	}
	return &Described{Job: job, Manifest: m, Path: a.Proof}, nil
}

// Publish asks one node to hold a shard and gives its receipt; nil while it still fetches.
func (c *Client) Publish(ctx context.Context, at jobs.NodeID, ref protocol.ShardRef, q *protocol.PublishRequest) (*jobs.Record, error) {
	ctx, cancel := c.rt.WithTimeout(ctx, time.Duration(q.Wait)*time.Millisecond+askTimeout)
	defer cancel()
	var a protocol.PublishAnswer
	if err := c.Ask(ctx, at, protocol.Publish, q, &a); err != nil {
		return nil, err
	}
	for _, r := range c.open(a.Receipt, ref) {
		if r.Kind == jobs.KindReceipt && r.Author == at {
			return r, nil
		}
	}
	return nil, nil
}
