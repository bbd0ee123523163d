package collect

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

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
			state := scheduler.Open
			if accepted != nil {
				state = accepted[n]
			}
			if state == scheduler.Open && sum != nil {
				if state = stateOf(sum, n); state.Decided() {
					state = scheduler.Sealed
				}
			}
			cells[at/perCell][state]++
			at++
		}
	}
	return cells, perCell
}

// badUnit is an accepted unit some of whose inputs failed, or were given up.
type badUnit struct {
	shard uint32
	unit  uint16
}

func (b badUnit) compare(x badUnit) int {
	return cmp.Or(cmp.Compare(b.shard, x.shard), cmp.Compare(b.unit, x.unit))
}

// noteBad remembers the first of them.
func (r *reading) noteBad(shard uint32, unit uint16) {
	b := badUnit{shard, unit}
	at, _ := slices.BinarySearchFunc(r.bad, b, badUnit.compare)
	r.bad = slices.Insert(r.bad, at, b)
	r.bad = r.bad[:min(len(r.bad), maxBad)]
}

// Failures calls f with the first inputs that failed or were given up, in input order, at most
// max of them.
func (c *Collector) Failures(ctx context.Context, max int, f func(Answer)) error {
	c.mu.Lock()
	bad := slices.Clone(c.reading.bad)
	c.mu.Unlock()
	enough := errors.New("enough")
	told := 0
	for _, b := range bad {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: b.shard}
		m, err := c.manifest(ctx, ref)
		if err != nil {
			return err
		}
		err = c.eachOf(ctx, ref, m, int(b.unit), true, func(a Answer, _ io.Reader) error {
			if a.Open || a.Tuple.Outcome == jobs.OK {
				return nil
			}
			if told++; told > max {
				return enough
			}
			f(a)
			return nil
		})
		if errors.Is(err, enough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
