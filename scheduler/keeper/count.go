package keeper

import (
	"sync/atomic"

	"github.com/shoalgrid/shoal/scheduler"
)

// counts is what a keeper has done since it started.
type counts struct{ records, repairs atomic.Uint64 }

// Counts are a keeper's at one moment.
type Counts struct {
	Shards  int
	Loaded  int                        // of them, those whose records are in memory
	Units   map[scheduler.State]uint64 // of the shards that are in memory, or finished
	Records uint64                     // taken in and stored, since it started
	Repairs uint64                     // of keeper sets, since it started
}

// Counts counts what is kept here.
func (k *Keeper) Counts() Counts {
	c := Counts{Units: map[scheduler.State]uint64{}, Records: k.counts.records.Load(), Repairs: k.counts.repairs.Load()}
	now := k.rt.Now()
	for _, s := range k.all() {
		c.Shards++
		s.mu.Lock()
		var sum scheduler.Summary
		switch {
		case s.ledger != nil:
			c.Loaded++
			sum = s.ledger.Summary(now)
		case s.resting != nil:
			sum = s.resting.summary
		}
		for n := range sum.Len() {
			c.Units[sum.Unit(n).State]++
		}
		s.mu.Unlock()
	}
	return c
}
