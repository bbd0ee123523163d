package collect

import "github.com/shoalgrid/shoal/scheduler"

// Cell counts a run of units by state.
type Cell [scheduler.Disputed + 1]uint64

// Cells is the job's units in order, perCell in each of at most max cells. An accepted unit is as
// it was accepted, another as its keepers say.
func (c *Collector) Cells(max int) (cells []Cell, perCell uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := uint64(c.job.Head.Units)
	perCell = (total + uint64(max) - 1) / uint64(max)
	cells = make([]Cell, (total+perCell-1)/perCell)
	at := uint64(0)
	for shard := range c.job.Head.Shards() {
		sum, accepted := c.summaries[shard], c.accepted[shard]
		for n := range c.job.Head.ShardUnits(shard) {
			cells[at/perCell][c.stateOf(sum, accepted, int(n))]++
			at++
		}
	}
	return cells, perCell
}

// stateOf is where a unit stands. The caller holds mu.
func (c *Collector) stateOf(sum *scheduler.Summary, accepted []bool, n int) scheduler.State {
	state := scheduler.Open
	if sum != nil {
		state = sum.Unit(n).State
	}
	if state > scheduler.Disputed { // a keeper says what there is not
		state = scheduler.Open
	}
	switch {
	case accepted != nil && accepted[n] && !state.Decided():
		return scheduler.Agreed
	case state.Decided() && (accepted == nil || !accepted[n]):
		return scheduler.Sealed // decided there, not accepted here
	}
	return state
}
