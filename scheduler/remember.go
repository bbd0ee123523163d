package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// remembered is what is to be known of a worker after a restart. Its times are Unix seconds: a
// monotonic clock begins anew with the process. They decide how soon somebody is given work, never
// what an answer is, so that a clock that was set does no more harm than a wait.
type remembered struct {
	_         struct{} `cbor:",toarray"`
	Met       int64
	Proven    bool
	Convicted bool
	Silent    uint32
	Bars      uint32
	Barred    int64 // 0: never
}

// maxRemembered bounds an encoded one.
const maxRemembered = 64

// RollChange is a worker whose record is to be written, or dropped where it has none.
type RollChange struct {
	Worker jobs.NodeID
	Record []byte // canonical CBOR; nil: forgotten
}

// Changed gives, in the order of names, what has changed of the roll since it was asked last and
// is to outlive a restart; date is the time of day at now, in Unix seconds.
func (r *Roll) Changed(now time.Time, date int64) []RollChange {
	out := make([]RollChange, 0, len(r.dirty))
	for n := range r.dirty {
		c := RollChange{Worker: n}
		if w := r.workers[n]; w != nil {
			c.Record = jobs.Encode(remembered{
				Met: dated(w.met, now, date), Proven: w.proven, Convicted: w.convicted,
				Silent: uint32(w.silent), Bars: uint32(w.bars), Barred: dated(w.barred, now, date),
			})
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b RollChange) int { return compareNodes(a.Worker, b.Worker) })
	clear(r.dirty)
	return out
}

// Unkept notes that changes could not be written: they are given again.
func (r *Roll) Unkept(changes []RollChange) {
	for i := range changes {
		r.dirty[changes[i].Worker] = true
	}
}

// Restore takes up a record as Changed gave it. Nobody was met in the future, nor is barred for
// longer than anybody can be.
func (r *Roll) Restore(now time.Time, date int64, worker jobs.NodeID, record []byte) error {
	var m remembered
	if err := jobs.Decode(record, maxRemembered, &m); err != nil {
		return fmt.Errorf("record of worker %s: %w", worker.Short(), err)
	}
	w := r.entry(now, worker)
	w.met = earlier(Undated(m.Met, now, date), now)
	w.seen = w.met
	w.proven, w.convicted, w.silent, w.bars = m.Proven, m.Convicted, int(min(m.Silent, silences)), int(min(m.Bars, 64))
	if m.Barred != 0 {
		w.barred = earlier(Undated(m.Barred, now, date), now.Add(barMost))
	}
	delete(r.dirty, worker)
	return nil
}

// dated is a time as the date that it had; 0 for none.
func dated(t, now time.Time, date int64) int64 {
	if t.IsZero() {
		return 0
	}
	return date + int64(t.Sub(now)/time.Second)
}

// maxAge bounds how long ago anything is remembered to have been: no time overflows.
const maxAge = 10 * 365 * 24 * time.Hour

// Undated is the time of a date in Unix seconds, by a clock that says now when it is another date.
func Undated(d int64, now time.Time, date int64) time.Time {
	most := int64(maxAge / time.Second)
	return now.Add(time.Duration(min(max(d-date, -most), most)) * time.Second)
}
