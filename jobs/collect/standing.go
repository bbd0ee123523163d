package collect

import (
	"context"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// judged is a unit that was accepted.
type judged struct {
	number uint16
	unit   *unit
}

// keepJudged writes what came of judging some units, all at once, and counts it.
func (c *Collector) keepJudged(ctx context.Context, ref protocol.ShardRef, l *scheduler.Ledger, looked []uint16, done []judged) error {
	proofs := prove(ref, l)
	for _, x := range done {
		proofs.unit(x.number)
		proofs.pairs = append(proofs.pairs, disk.Pair{Key: unitKey(ref, x.number), Value: jobs.Encode(x.unit)})
	}
	if len(done) > 0 {
		proofs.pairs = append(proofs.pairs, c.toKeep(ref)...)
	}
	changes := c.trial.changes(ref, looked)
	if err := c.cfg.Disk.Put(ctx, append(proofs.pairs, changes...)...); err != nil {
		c.trial.unwritten(changes)
		return err
	}
	if len(done) > 0 {
		c.countAll(ref, done)
	}
	return c.conclude(ctx)
}

// conclude draws what follows from all that was judged. It is called again while nothing new comes: a
// disk may have failed the first time.
func (c *Collector) conclude(ctx context.Context) error {
	if err := c.reopen(ctx); err != nil {
		return err
	}
	return c.finish(ctx)
}

// reopen takes units back that lean on what fell.
func (c *Collector) reopen(ctx context.Context) error {
	for _, at := range c.trial.again() {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: at / jobs.UnitsPerShard}
		n := uint16(at % jobs.UnitsPerShard)
		if err := c.takeBack(ctx, ref, n); err != nil {
			return err
		}
	}
	return nil
}

// takeBack makes a unit open again that was accepted.
func (c *Collector) takeBack(ctx context.Context, ref protocol.ShardRef, n uint16) error {
	c.mu.Lock()
	stood := c.accepted[ref.Shard] != nil && c.accepted[ref.Shard][n] != scheduler.Open
	c.mu.Unlock()
	if !stood {
		return nil
	}
	raw, ok, err := c.cfg.Disk.Get(unitKey(ref, n))
	if err != nil || !ok {
		return err
	}
	var u unit
	if err := jobs.Decode(raw, protocol.MaxMessage, &u); err != nil {
		return err
	}
	if err := c.cfg.Disk.Delete(ctx, unitKey(ref, n)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted[ref.Shard][n] = scheduler.Open
	c.discount(&u, c.inputsOf(&u))
	c.recount(ref.Shard)
	return nil
}

// finish notes that the answers are final: every unit is accepted, and nothing is in doubt.
func (c *Collector) finish(ctx context.Context) error {
	c.mu.Lock()
	final := c.final
	c.mu.Unlock()
	if final || !c.Complete() || len(c.trial.again()) > 0 {
		return nil
	}
	if err := c.sayFinal(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.final = true
	c.mu.Unlock()
	c.changed.Raise()
	return nil
}
