package collect

import (
	"context"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// draw adds the submitter's own secrets to the seeds by which a shard's units are given out, each
// when its units' turn comes: until then nobody can know who will be eligible for them, not even
// all the keepers together. Where the submitter is away the keepers' secrets are all there is, and
// they are known from the beginning.
func (c *Collector) draw(ctx context.Context, ref protocol.ShardRef, sum *scheduler.Summary) error {
	if c.cfg.Judge == nil {
		return nil
	}
	due := sum.DrawsDue()
	c.mu.Lock()
	drawn := c.drawn[ref.Shard]
	c.mu.Unlock()
	due = slices.DeleteFunc(due, func(n uint16) bool { return drawn&(1<<n) != 0 })
	if len(due) == 0 {
		return nil
	}
	j := c.cfg.Judge
	coin := trust.NewCoin(j.secret, ref.Job)
	var bodies []any
	for _, n := range due {
		drawn |= 1 << n
		bodies = append(bodies, &jobs.Draw{Number: n, Secret: coin.Secret(ref.Shard, n)})
	}
	rs, err := jobs.SignBatch(j.signer, j.network, ref.Job, ref.Shard, bodies...)
	if err != nil {
		return err
	}
	if _, err := c.cfg.Keepers.Offer(ctx, ref, rs); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drawn[ref.Shard] = drawn
	return nil
}
