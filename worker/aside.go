package worker

import (
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// A job whose guests crash here, or give up, unit after unit is set aside: first for a minute,
// then for twice as long each time, until one of its units runs.
const (
	strikes      = 3 // in a row
	setAside     = time.Minute
	setAsideMost = 4 * time.Hour
)

// Aside is why a job is set aside here for now, or "".
func (w *Worker) Aside(id jobs.JobID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.infos[id]
	if info == nil || !w.rt.Now().Before(info.until) {
		return ""
	}
	return info.why
}

// strike notes that a unit of a job failed here, and reports whether that was one too many: then
// the job is set aside, and what is held of it is to be given back. w.mu is held.
func (w *Worker) strike(info *jobInfo, why string) (aside bool) {
	if w.rt.Now().Before(info.until) {
		return false // it was held already
	}
	if info.strikes++; info.strikes < strikes {
		return false
	}
	wait := asideFor(info.asides)
	info.strikes, info.asides = 0, info.asides+1
	info.until = w.rt.Now().Add(wait)
	info.why = fmt.Sprintf("%s; tried again after %s", why, wait)
	return true
}

// shed gives back what is held of a job that was set aside: others may be able to run it, and need
// not wait for the leases. What runs may end, as it may be the one that shows that it runs here.
func (w *Worker) shed(info *jobInfo) {
	w.yield(func(t *task) bool { return t.info == info && !t.running })
}

// asideFor is how long a job is set aside that was so many times before.
func asideFor(times int) time.Duration {
	return min(setAside<<min(times, 10), setAsideMost)
}

// ran notes that a unit of a job was run, or given up, and reports whether the job is set aside
// for it. w.mu is held.
func (w *Worker) ran(o *outcome) (aside bool) {
	info := o.task.info
	if !o.gaveUp {
		info.strikes, info.asides = 0, 0
		if info.why != "" {
			info.until, info.why = time.Time{}, ""
		}
		return false
	}
	return !info.own && w.strike(info, "its units are given up here: "+o.why)
}
