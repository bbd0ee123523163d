package collect

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// tellAtMost is the longest wait before a shard's keepers are told again that its answers are final.
const tellAtMost = time.Minute

// sayFinal signs the submitter's last word on every shard and keeps it, beside that it was said.
func (c *Collector) sayFinal(ctx context.Context) error {
	pairs := []disk.Pair{{Key: jobKey(finalPrefix, c.job.ID), Value: []byte{1}}}
	for shard := range c.job.Head.Shards() {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: shard}
		rs, err := scheduler.SignFinal(c.trial.signer, c.trial.network, ref.Job, shard, c.trial.answers(ref, c.job.Head.ShardUnits(shard)))
		if err != nil {
			return err
		}
		p := prove(ref, nil)
		p.records(rs)
		pairs = append(pairs, p.pairs...)
	}
	return c.cfg.Disk.Put(ctx, pairs...)
}

// answers are what the tuples of a shard's accepted answers are named by.
func (t *trial) answers(ref protocol.ShardRef, units int) []jobs.Digest {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]jobs.Digest, units)
	for n := range out {
		out[n] = t.accept.Standing(unitOf(ref, uint16(n))).Answer
	}
	return out
}

// tellFinal brings the submitter's last word to a majority of the keepers of every shard, however long
// that takes: until they have it the job is not final for anybody else. It stands on this disk, so
// that a later run of the node goes on with it.
func (c *Collector) tellFinal(ctx context.Context) error {
	next := strand.NewQueue[uint32](int(c.job.Head.Shards()))
	for s := range c.job.Head.Shards() {
		_ = next.Put(ctx, c.rt, s) // there is room for all
	}
	var telling strand.Group
	var mu sync.Mutex
	var failed error
	for range shardsAtOnce {
		telling.Go(c.rt, func() {
			for s, ok := next.TryTake(); ok; s, ok = next.TryTake() {
				if err := c.tellShard(ctx, s); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	telling.Wait(c.rt)
	return failed
}

// tellShard brings the last word to one shard's keepers.
func (c *Collector) tellShard(ctx context.Context, shard uint32) error {
	ref := protocol.ShardRef{Job: c.job.ID, Shard: shard}
	rs, err := c.finals(ref)
	if err != nil {
		return fmt.Errorf("read the last word on job %s: %w", c.job.ID.Short(), err)
	}
	for wait := retryAtFirst; ; wait = min(2*wait, tellAtMost) {
		if o, err := c.cfg.Keepers.Offer(ctx, ref, rs); err == nil && o.Majority() {
			return nil
		}
		if err := strand.Sleep(ctx, c.rt, wait); err != nil {
			return err
		}
	}
}

// LastWord is what the submitter said is final of a shard, as far as it is known here.
func (c *Collector) LastWord(shard uint32) ([]*jobs.Record, error) {
	return c.finals(protocol.ShardRef{Job: c.job.ID, Shard: shard})
}

func (c *Collector) finals(ref protocol.ShardRef) (out []*jobs.Record, err error) {
	err = c.cfg.Disk.Scan(recordKey(ref, nil), func(_, value []byte) error {
		r, err := evidence.DecodeRecord(c.job.Head.Network, value)
		if err == nil && r.Kind == jobs.KindFinal {
			out = append(out, r)
		}
		return err
	})
	return out, err
}

// adopt takes up an answer that the submitter's last word names, as it was said on another machine
// with its key, or in an earlier life of this one.
func (c *Collector) adopt(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, n uint16, answer jobs.Digest, set []jobs.NodeID) (*unit, error) {
	own := false
	for _, v := range l.Verdict(int(n)).Votes {
		own = own || v.Own && v.Reveal.Body.(*jobs.Reveal).Tuples == answer
	}
	u, err := c.assembleAnswer(ctx, ref, m, l, int(n), trust.Decision{Answer: answer, Own: own}, set)
	if err != nil {
		return nil, err
	}
	c.keepNames(ctx, ref, &m.Units[n], set)
	c.trial.mu.Lock()
	defer c.trial.mu.Unlock()
	c.trial.accept.Adopt(unitOf(ref, n), answer)
	return u, nil
}

// readsFinal reports whether this collector waits for another's last word: only a submitter's key
// finishes a job at strong and paranoid.
func (c *Collector) readsFinal() bool {
	return c.trial == nil && c.job.Head.Policy.Level >= jobs.Strong
}

// lookFinal looks for the submitter's last word on a shard all of which is accepted here. What was
// accepted before it was known is accepted again, by what it says.
func (c *Collector) lookFinal(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, set []jobs.NodeID) error {
	l := scheduler.NewLedger(c.job, ref.Shard, m)
	var rs []*jobs.Record
	for _, at := range set {
		read, err := c.cfg.Keepers.Read(ctx, ref, at, nil, true)
		if err != nil {
			continue // another may have it
		}
		c.apply(l, m, read)
		all := false
		if rs, all = l.Finals(); all {
			break
		}
		rs = nil
	}
	if rs == nil {
		return nil
	}
	p := prove(ref, l)
	p.records(rs)
	for n := range m.Units {
		if err := c.takeBack(ctx, ref, uint16(n)); err != nil {
			return err
		}
	}
	if err := c.cfg.Disk.Put(ctx, p.pairs...); err != nil {
		return err
	}
	c.mu.Lock()
	c.said[ref.Shard] = true
	c.mu.Unlock()
	return nil
}
