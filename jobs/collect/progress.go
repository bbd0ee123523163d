package collect

import (
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// Progress is how far a job is: what this node accepted, and for the rest what the keepers'
// summaries say.
type Progress struct {
	Units      map[scheduler.State]uint64 // every unit once
	Inputs     uint64
	Done       uint64 // inputs with an accepted answer
	Failed     uint64 // of them, failures
	Stuck      uint64 // inputs that were given up
	Donors     int
	Executions uint64
	Fuel       uint64  // instructions of the accepted answers, each counted once
	Rate       float64 // inputs accepted a second, in this run; 0 before there is evidence
	ETA        time.Duration
	Final      bool // nothing more will be accepted
	Own        bool // some unit was decided by the submitter's own run
	Closed     jobs.Act
	Error      error // why the keepers could not be asked, if they could not
}

// Progress reads how far the job is now.
func (c *Collector) Progress(now time.Time) Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	p := Progress{
		Units: map[scheduler.State]uint64{
			scheduler.Agreed: t.Agreed, scheduler.Failed: t.Failed, scheduler.Stuck: t.Stuck,
		},
		Inputs: c.job.Head.Inputs, Done: t.Done, Failed: t.BadInputs, Stuck: t.StuckInputs,
		Executions: t.Executions, Fuel: t.Fuel, Own: t.Own > 0, Error: c.lastErr,
	}
	told := t.Units
	donors := map[jobs.NodeID]bool{}
	for d := range c.donors {
		donors[d] = true
	}
	for shard, sum := range c.summaries {
		p.Closed = max(p.Closed, sum.Closed)
		for _, d := range sum.Donors {
			donors[d] = true
		}
		units := c.accepted[shard]
		for n := range units {
			if units[n] {
				continue
			}
			told++
			state := sum.Unit(n).State
			if state.Decided() {
				state = scheduler.Sealed // decided there, not accepted here
			}
			p.Units[state]++
		}
	}
	p.Units[scheduler.Open] += uint64(c.job.Head.Units) - told
	p.Donors = len(donors)
	p.Final = t.Units == uint64(c.job.Head.Units)
	if since := now.Sub(c.firstDone); !c.firstDone.IsZero() && since > time.Second && t.Done > c.doneThen && !p.Final && !c.stalled(now) {
		p.Rate = float64(t.Done-c.doneThen) / since.Seconds()
		p.ETA = time.Duration(float64(p.Inputs-t.Done-t.StuckInputs) / p.Rate * float64(time.Second))
	}
	return p
}

// stalled reports that nothing has come for so long that the pace so far says nothing about what
// is left. The caller holds mu.
func (c *Collector) stalled(now time.Time) bool {
	const patience = 10 * time.Second
	quiet := now.Sub(c.lastDone)
	return quiet > patience && quiet > c.lastDone.Sub(c.firstDone)/4
}

// CaughtUp reports whether everything that the keepers' last summaries call decided is accepted.
func (c *Collector) CaughtUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard := range c.job.Head.Shards() {
		sum, units := c.summaries[shard], c.accepted[shard]
		for n := range c.job.Head.ShardUnits(shard) {
			if units != nil && units[n] {
				continue
			}
			if sum == nil || sum.Unit(n).State.Decided() {
				return false
			}
		}
	}
	return true
}
