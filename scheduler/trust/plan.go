package trust

import (
	"math"

	"github.com/shoalgrid/shoal/jobs"
)

// Plan says how often answers that stand are voted on again: how many voters more than the least
// an answer needs, as an average over units. Which units is up to the submitter's secret coin.
type Plan struct {
	Quiet    float64 // while nobody dissents
	Foreseen float64 // the same, for units whose voters could be foreseen
	Dissent  float64 // more for each dissent of a proven donor …
	Most     float64 // … up to this, or once donors were proved to have lied together
	Alarm    float64 // when that is found, for all that stands …
	Ring     float64 // … and more for each time again, up to twice that …
	Calm     int     // … until so many more were accepted, and neither a ring nor a dissent was seen
	Vouch    bool    // from then on only the submitter's own runs make a donor better known that is little known
	Doubt    int     // of a dissenter's last units so many get one more, and the others while less than Most of all units have one
	Late     float64 // share of what late votes decided that the submitter runs itself
}

// PlanOf is the plan of a level. Only strong looks twice. Its numbers are the outcome of a search
// (RATIONALE, "Why are strong's votes asked for one after the other?").
func PlanOf(l jobs.Level) Plan {
	if l != jobs.Strong {
		return Plan{}
	}
	return Plan{Quiet: 0.05, Foreseen: 0.10, Dissent: 0.005, Most: 0.10, Alarm: 1, Ring: 0.02, Calm: 5000, Vouch: true, Doubt: 16, Late: 0.05}
}

// Suspicion is what a job has seen of lies, and what that cost.
type Suspicion struct {
	_       struct{} `cbor:",toarray"`
	Dissent uint32   // wrong votes of proven donors, each alone with its answer
	Rings   uint32   // units about which donors were proved to have lied together
	Spent   uint32   // votes asked for because of a ring
	Calm    uint32   // units accepted for the first time since the last ring, or dissent in its alarm
}

// ReadSuspicion reads what was kept of one as canonical CBOR. Early builds did not write how calm it
// is: then it is not.
func ReadSuspicion(raw []byte) (Suspicion, error) {
	var s Suspicion
	var early struct {
		_                     struct{} `cbor:",toarray"`
		Dissent, Rings, Spent uint32
	}
	if jobs.Decode(raw, maxRecord, &early) == nil {
		return Suspicion{Dissent: early.Dissent, Rings: early.Rings, Spent: early.Spent}, nil
	}
	err := jobs.Decode(raw, maxRecord, &s)
	return s, err
}

// Foresee notes that it could be known beforehand who would vote on a unit: it was not given out by
// lot, or its submitter had gone and drew no lots of its own. Then those who lie together need not
// gamble to be alone with it, and it is looked at again more often.
func (a *Acceptance) Foresee(n uint32) { a.units[n].foreseen = true }

// Rate is the average number of voters more than the least that answers need now, where nobody could
// foresee who votes. It follows what was seen.
func (a *Acceptance) Rate() float64 {
	p := &a.plan
	switch {
	case a.alarmed():
		return max(p.Quiet, p.Most, min(p.Alarm+p.Ring*float64(a.seen.Rings-1), 2*p.Alarm))
	case a.seen.Rings > 0:
		return max(p.Quiet, p.Most)
	}
	return max(p.Quiet, min(p.Quiet+p.Dissent*float64(a.seen.Dissent), p.Most))
}

// alarmed reports whether donors were proved to have lied together, and it was not calm since for
// long enough.
func (a *Acceptance) alarmed() bool {
	return a.seen.Rings > 0 && (a.plan.Calm == 0 || int(a.seen.Calm) < a.plan.Calm)
}

// Degraded reports that donors lied together and the budget for looking again at answers that
// stood before, one vote for each unit of the job, is spent: from now on only what leaned on a
// liar is looked at again.
func (a *Acceptance) Degraded() bool { return a.seen.Rings > 0 && int(a.seen.Spent) >= len(a.units) }

// extra is how many voters more than the least a unit needs now. What was asked for once stays so.
func (a *Acceptance) extra(n uint32) int {
	u := &a.units[n]
	least := max(int(u.extra), int(u.doubt))
	if u.stood && a.Degraded() {
		return least
	}
	rate := a.Rate()
	if u.foreseen {
		rate = max(rate, a.plan.Foreseen)
	}
	whole, part := math.Modf(rate)
	if part > 0 {
		if u.lot == 0 {
			u.lot = float32(1 + a.coin.toss(n, auditLot))
		}
		if float64(u.lot-1) < part {
			whole++
		}
	}
	return max(int(whole), least)
}
