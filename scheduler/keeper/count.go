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
	Units   map[scheduler.State]uint64 // of the shards that are in memory
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
		if s.ledger != nil {
			sum := s.ledger.Summary(now)
			for n := range sum.Len() {
				c.Units[sum.Unit(n).State]++
			}
		}
		s.mu.Unlock()
	}
	return c
}
