package worker

import (
	"cmp"
	"slices"
	"time"
)

// Allow says what strangers' work may use from now on: how many guests at a time, and how many
// bytes of memory all of them together (0 is any). Guests beyond that stand still at once, and
// what stands still for longer than its lease is given back. The node's own jobs are not meant.
func (w *Worker) Allow(m Mode, slots int, memory uint64) {
	w.mu.Lock()
	same := w.mode == m && w.limit == slots && w.memory == memory
	w.mode, w.limit, w.memory = m, min(max(slots, 0), w.slots), memory
	w.mu.Unlock()
	if same {
		return
	}
	w.obey()
	w.fit()
	if m == Paused {
		w.yield(func(t *task) bool { return !t.running || w.guests[t.slot] == nil }) // no guest yet
	}
	w.moved.Raise()
	w.poke()
}

// SetMode changes whether strangers' work is taken, and nothing else.
func (w *Worker) SetMode(m Mode) {
	w.mu.Lock()
	slots, memory := w.limit, w.memory
	w.mu.Unlock()
	w.Allow(m, slots, memory)
}

// Slots is how many guests of strangers run at a time.
func (w *Worker) Slots() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit
}

// Mode is the current mode.
func (w *Worker) Mode() Mode {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode
}

// lent reports whether strangers' work may run in a slot now.
func (w *Worker) lent(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode != Paused && n < w.limit
}

// stands reports whether a task runs in a guest that stands still. w.mu is held.
func (w *Worker) stands(t *task) bool {
	return t.running && !t.info.own && (w.mode == Paused || t.slot >= w.limit)
}

// obey stops guests and lets them go on, by signal, as mode and slots say.
func (w *Worker) obey() {
	w.signals.Lock() // what is signalled last is what was decided last
	defer w.signals.Unlock()
	type change struct {
		guest Guest
		stop  bool
	}
	var changes []change
	w.mu.Lock()
	for n, g := range w.guests {
		stop := !w.ownGuest[n] && (w.mode == Paused || n >= w.limit)
		if g != nil && stop != w.stopped[n] {
			w.stopped[n] = stop
			changes = append(changes, change{g, stop})
		}
	}
	w.mu.Unlock()
	for _, c := range changes {
		act := c.guest.Resume
		if c.stop {
			act = c.guest.Pause
		}
		if err := act(); err != nil {
			w.cfg.Logger.Warn("guest could not be stopped or resumed", "stop", c.stop, "error", err)
		}
	}
}

// fit gives back what runs beyond the memory that is lent now, the last slots first. What stands
// still is not meant: see Yield.
func (w *Worker) fit() {
	var running []*task
	var taken uint64
	w.mu.Lock()
	if w.memory > 0 && w.mode != Paused {
		for _, t := range w.tasks {
			if t.running && !t.info.own {
				running, taken = append(running, t), taken+need(t.info.job)
			}
		}
	}
	memory := w.memory
	w.mu.Unlock()
	slices.SortFunc(running, func(a, b *task) int { return cmp.Compare(b.slot, a.slot) })
	for _, t := range running {
		if taken <= memory {
			return
		}
		taken -= need(t.info.job)
		w.drop(t, true)
	}
}

// Yield gives back at once what stands still, and ends its guests: their memory is needed.
func (w *Worker) Yield() { w.yield(func(t *task) bool { return w.stands(t) }) }

// leaseMargin is how much earlier than a keeper a worker stops counting on a lease: 5 s and 1 %.
func leaseMargin(lease time.Duration) time.Duration { return 5*time.Second + lease/100 }

// countsFor is how long a worker counts on a lease.
func (t *task) countsFor() time.Duration {
	lease := t.info.job.Head.LeaseTime()
	return max(lease-leaseMargin(lease), lease/2)
}

// endStill gives back what has stood still until its lease ran out: it is the grid's again, not
// held. Its finished inputs are kept, should the unit come back. What waits to be run while nothing
// runs goes back at once.
func (w *Worker) endStill(now time.Time) {
	w.yield(func(t *task) bool {
		if w.mode == Paused && !t.running {
			return true // granted when the pause had begun
		}
		return w.stands(t) && now.Sub(t.renewed) >= t.countsFor()
	})
}

// yield gives strangers' tasks of a kind back. The function is asked with w.mu held.
func (w *Worker) yield(which func(*task) bool) {
	var back []*task
	w.mu.Lock()
	for _, t := range w.tasks {
		if !t.info.own && which(t) {
			back = append(back, t)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(back, func(a, b *task) int {
		return cmp.Or(a.ref.Compare(b.ref), cmp.Compare(a.hold.Unit, b.hold.Unit))
	})
	for _, t := range back {
		w.drop(t, true)
	}
}
