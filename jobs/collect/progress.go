package collect

import (
	"maps"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/pace"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// Progress is how far a job is: what this node accepted, and for the rest what the keepers'
// summaries say. Everything that tells people or programs of progress tells this.
type Progress struct {
	Units       Cell // every unit once
	Inputs      uint64
	Done        uint64 // inputs with an accepted answer
	Failed      uint64 // of them, failures
	Stuck       uint64 // inputs that were given up
	Donors      int
	Executions  uint64
	Fuel        uint64 // instructions of the accepted answers, each counted once
	Forecast    pace.Forecast
	Final       bool   // nothing more will be accepted, and nothing falls
	Provisional uint64 // accepted units whose answers may fall yet
	OwnRuns     uint64 // accepted units that the submitter ran itself
	Own         bool   // some unit was decided by the submitter's own run
	Seen        trust.Suspicion
	Degraded    bool   // after a ring was found there are not enough votes left to look at everything again
	Arriving    uint64 // sealed units that their keepers call decided: their answers are being fetched
	Closed      jobs.Act
	Error       error // why the keepers could not be asked, if they could not
}

// Cell counts units by state. A unit that its keepers call decided, and that is not accepted
// here, counts as sealed.
type Cell [scheduler.Disputed + 1]uint64

// reading is what Progress is read from beside the tally. It is kept as summaries come, so that
// reading costs nothing that grows with the job.
type reading struct {
	told   map[uint32]shardReading // shards whose summary is known
	open   Cell                    // units that are not accepted, of those shards
	behind uint64                  // of them, those that keepers call decided
	known  uint64                  // all of them
	named  map[jobs.NodeID]bool    // donors whom summaries name
	closed jobs.Act
	pace   pace.Pace
	begun  bool // the pace is taken: what was done before this run is collected
	bad    []badUnit
	voted  map[jobs.NodeID]uint64 // accepted units in which a donor's word counted, the submitter's own too
}

// shardReading is what one shard adds to a reading.
type shardReading struct {
	open   Cell
	behind uint64
	known  uint64
}

// What is remembered beside the counts.
const (
	maxNamed = 4096 // donors whom summaries name: any keeper may name some
	maxBad   = 256  // units with inputs that failed
)

func newReading() reading {
	return reading{told: map[uint32]shardReading{}, named: map[jobs.NodeID]bool{}, voted: map[jobs.NodeID]uint64{}}
}

// recount reads a shard anew, whose summary or acceptance has changed. The caller holds mu.
func (c *Collector) recount(shard uint32) {
	r, sum := &c.reading, c.summaries[shard]
	if sum == nil {
		return
	}
	var now shardReading
	accepted := c.accepted[shard]
	for n := range c.job.Head.ShardUnits(shard) {
		if accepted != nil && accepted[n] != scheduler.Open {
			continue
		}
		state := stateOf(sum, n)
		if state.Decided() {
			state = scheduler.Sealed
			now.behind++
		}
		now.open[state]++
		now.known++
	}
	before := r.told[shard]
	for s := range r.open {
		r.open[s] += now.open[s] - before.open[s]
	}
	r.behind += now.behind - before.behind
	r.known += now.known - before.known
	r.told[shard] = now
	r.closed = max(r.closed, sum.Closed)
	for _, d := range sum.Donors {
		if len(r.named) < maxNamed {
			r.named[d] = true
		}
	}
	c.notePace()
}

// stateOf is where a keeper says that a unit stands.
func stateOf(sum *scheduler.Summary, n int) scheduler.State {
	if s := sum.Unit(n).State; s <= scheduler.Disputed {
		return s
	}
	return scheduler.Open // what it says there is not
}

// notePace notes what is done. The pace begins when every shard was looked at, and most of what
// was done before is collected: the time that collecting takes says nothing of the job's.
func (c *Collector) notePace() {
	r := &c.reading
	if !r.begun {
		for s := range c.job.Head.Shards() {
			if _, ok := r.told[s]; !ok && !c.completeLocked(s) {
				return
			}
		}
		const most = 20
		if r.begun = r.behind == 0 || r.behind*most < c.tally.Units; !r.begun {
			return
		}
	}
	r.pace.Note(c.rt.Now(), c.tally.Done)
}

// Progress reads how far the job is now.
func (c *Collector) Progress(now time.Time) Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, r := c.tally, &c.reading
	p := Progress{
		Units: r.open, Inputs: c.job.Head.Inputs, Done: t.Done, Failed: t.BadInputs, Stuck: t.StuckInputs,
		Executions: t.Executions, Fuel: t.Fuel, Own: t.Own > 0, OwnRuns: t.Own, Error: c.lastErr, Closed: r.closed,
	}
	p.Units[scheduler.Agreed] += t.Agreed
	p.Units[scheduler.Failed] += t.Failed
	p.Units[scheduler.Stuck] += t.Stuck
	p.Units[scheduler.Open] += uint64(c.job.Head.Units) - t.Units - r.known
	p.Donors = len(c.donors)
	for d := range r.named {
		if _, ok := c.donors[d]; !ok {
			p.Donors++
		}
	}
	if c.trial == nil { // else a unit may be decided and yet not to be believed
		p.Arriving = r.behind
	}
	if !c.finalLocked() {
		p.Provisional = t.Units
	}
	if c.trial != nil {
		p.Seen, p.Degraded = c.trial.seen()
	}
	if p.Final = t.Units == uint64(c.job.Head.Units) && c.finishedLocked(); !p.Final {
		p.Forecast = r.pace.Forecast(now, p.Inputs-t.Done-t.StuckInputs)
	}
	return p
}

// Pace is how the job went in this run, the oldest first.
func (c *Collector) Pace() []pace.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]pace.Sample(nil), c.reading.pace.Samples()...)
}

// finalLocked reports whether what is accepted is final. Paranoid needs nobody's word but the
// votes'; at strong any answer may fall until all are in. The caller holds mu.
func (c *Collector) finalLocked() bool {
	return c.finishedLocked() || c.job.Head.Policy.Level == jobs.Paranoid && c.trial != nil
}

// finishedLocked reports whether the submitter's key has finished the job, where it takes that.
// The caller holds mu.
func (c *Collector) finishedLocked() bool {
	switch {
	case c.trial != nil:
		return c.final
	case !c.readsFinal():
		return true
	}
	for shard := range c.job.Head.Shards() {
		if !c.said[shard] {
			return false
		}
	}
	return true
}

// Voted is in how many accepted units each donor's word counted. The submitter's own runs are
// among them: they earn no credit, but they are work.
func (c *Collector) Voted() map[jobs.NodeID]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.reading.voted)
}

// CaughtUp reports whether everything that the keepers' last summaries call decided is accepted.
func (c *Collector) CaughtUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard := range c.job.Head.Shards() {
		if _, ok := c.reading.told[shard]; !ok && !c.completeLocked(shard) {
			return false
		}
	}
	return c.reading.behind == 0
}
