package world

import "time"

// Volunteers' machines: SETI@home's ran BOINC for 81 % of the time and were connected for 83 % of
// that (330,000 hosts, February 2006), two thirds of the time together. How long a spell lasts is
// taken from P2P-Tuple's figure for high churn, a failure in two hours. BOINC's own machines go less
// often, and mostly not as here, without a word to give their work back.
const (
	upFor   = 120 // minutes, on average
	awayFor = 60
)

// spell draws how long something lasts that ends as likely in any minute: so many on average.
func (w *world) spell(minutes int) time.Duration {
	d := w.between(0, time.Minute)
	for w.draw(minutes) > 0 {
		d += time.Minute
	}
	return d
}

// volunteer lets a node come and go for as long as a job is open. When the world begins it may be
// away.
func (w *world) volunteer(n *node) {
	var comes, goes func()
	comes = func() {
		if !n.gone && !w.ended {
			n.start()
			w.loop.At(w.spell(upFor), goes)
		}
	}
	goes = func() {
		if n.p != nil && !w.ended {
			n.kill()
			w.loop.At(w.spell(awayFor), comes)
		}
	}
	if w.draw(upFor+awayFor) < awayFor {
		w.loop.At(w.spell(awayFor), comes)
	} else {
		w.loop.At(w.between(0, w.fate.arrive), comes)
	}
}
