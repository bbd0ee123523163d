package worker

import (
	"time"

	"github.com/shoalgrid/shoal/scheduler"
)

// An idle worker looks again and again, less and less often; in a crowd less often still, so that
// all of them together ask no more than fifty would.
const (
	idleAtFirst = 200 * time.Millisecond
	idleAtMost  = 5 * time.Second
	idleInCrowd = 10 * time.Minute
)

// rest is the pause after a look that found nothing, given the one before, and how long to wait
// now: until the time at which the worker is eligible for something, if that comes first. due is
// how long that is, 0 where nobody knows. In a crowd who saw nothing to ask for need not look again
// soon: others will. Who asked and did not get it may.
func rest(pause, due time.Duration, donors int, asked bool) (next, wait time.Duration) {
	most := min(idleAtMost*time.Duration(max(donors/scheduler.Crowd, 1)), idleInCrowd)
	next = min(max(pause*3/2, min(due, most)), most)
	if donors >= scheduler.Crowd && !asked {
		next = most
	}
	if due > 0 && due < next {
		return next, due
	}
	return next, next
}

// heard notes what a summary says of the crowd, and of when this worker's turn comes, and whether
// there was something to ask for.
func (w *Worker) heard(s *scheduler.Summary, asks bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Lottery != nil {
		w.crowd = max(w.crowd, int(s.Lottery.Donors))
	}
	if s.Wait > 0 && (w.due == 0 || s.Wait < w.due) {
		w.due = s.Wait
	}
	w.asked = w.asked || asks
}

// rest takes what was heard since the last look into account.
func (w *Worker) rest(pause time.Duration) (next, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due, crowd, asked := w.due, w.crowd, w.asked
	w.due, w.crowd, w.asked = 0, 0, false
	return rest(pause, due, crowd, asked)
}
