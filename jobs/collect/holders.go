package collect

import (
	"context"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// maxHeldShards is of how many shards the holders are asked for.
const maxHeldShards = 4

// Holder is who works on units of a job now.
type Holder struct {
	Worker jobs.NodeID
	Units  []uint64 // their places in the job, from 0, in order
}

// Holders are those who work on the first shards in which something runs, by the word of a keeper
// each: only the job's submitter is told.
func (c *Collector) Holders(ctx context.Context) ([]Holder, error) {
	var busy []uint32
	c.mu.Lock()
	for shard := range c.job.Head.Shards() {
		r := c.reading.told[shard]
		if r.open[scheduler.Running]+r.open[scheduler.Sealed] > 0 && len(busy) < maxHeldShards {
			busy = append(busy, shard)
		}
	}
	c.mu.Unlock()
	var out []Holder
	for _, shard := range busy {
		held, err := c.cfg.Keepers.Holders(ctx, protocol.ShardRef{Job: c.job.ID, Shard: shard})
		if err != nil {
			return out, err
		}
		first := uint64(shard) * jobs.UnitsPerShard
		for _, h := range held {
			at := slices.IndexFunc(out, func(o Holder) bool { return o.Worker == h.Worker })
			if at < 0 {
				at = len(out)
				out = append(out, Holder{Worker: h.Worker})
			}
			for _, u := range h.Units[:min(len(h.Units), c.job.Head.ShardUnits(shard))] {
				out[at].Units = append(out[at].Units, first+uint64(u))
			}
		}
	}
	return out, nil
}
