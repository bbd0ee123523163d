package collect

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// await waits until some keeper's summary says what is worth a look. Of what is not, claims and seals,
// the first keeper tells as they come, and the others, of whom it could be the one that lies or is
// behind, less often; gather is for how long it waits for more then, longer after each that was not.
func (c *Collector) await(ctx context.Context, ref protocol.ShardRef, wait, gather time.Duration) {
	set, err := c.cfg.Keepers.Keepers(ctx, ref)
	if err != nil || len(set) == 0 {
		_ = strand.Sleep(ctx, c.rt, retryAtFirst)
		return
	}
	ctx, cancel := c.rt.WithTimeout(ctx, wait)
	defer cancel()
	var asking strand.Group
	defer asking.Wait(c.rt)
	var woke strand.Signal
	mark := woke.Mark()
	for i, n := range set {
		asking.Go(c.rt, func() {
			for pause := gather; ; pause = min(2*pause, gatherAtMost) {
				switch news, heard := c.hears(ctx, ref, n, wait); {
				case !heard:
					return
				case news, len(set) == 1:
					woke.Raise()
					return
				}
				_ = strand.Sleep(ctx, c.rt, pause+time.Duration(i)*time.Second)
			}
		})
	}
	if c.rt.Wait(ctx, strand.Forever, mark) == nil {
		_ = strand.Sleep(ctx, c.rt, gather) // several changes come together
		cancel()
	}
}

// hears waits until a keeper's summary is another than the last, and reports whether it is worth a
// look: something is decided that is not accepted, or how far the job is was not seen for a while.
func (c *Collector) hears(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, wait time.Duration) (news, heard bool) {
	k := seenKey{ref.Shard, at}
	c.mu.Lock()
	known := c.seen[k]
	c.mu.Unlock()
	sum, err := c.cfg.Keepers.Await(ctx, ref, at, known, wait)
	if err != nil || sum == nil {
		return false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[k] = sum.Version
	if c.trial != nil || sum.Closed != 0 || c.rt.Now().Sub(c.looked[ref.Shard]) >= readAgain {
		return true, true
	}
	for n, state := range c.accepted[ref.Shard] {
		if state == scheduler.Open && sum.Unit(n).State.Decided() {
			return true, true
		}
	}
	return false, true
}

// stands is how the units of a shard stood when it was last looked at.
func (c *Collector) stands(shard uint32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.summaries[shard]; s != nil {
		return string(s.Units)
	}
	return ""
}

const (
	gatherFor    = 20 * time.Millisecond  // several changes come together
	gatherAtMost = 500 * time.Millisecond // where what is said to have changed has not, again and again
	readAgain    = 5 * time.Second        // how far a job is, where no answer is ready
)
