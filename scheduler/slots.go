package scheduler

import (
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// lookAgain is when a unit is looked at again though nothing is known to happen to it.
const lookAgain = time.Hour

// look brings what a unit owes to the clock up to date: leases that ran out, seals whose reveals
// are overdue, and so its state and the replicas that may be claimed. It costs little until
// something happens to the unit, or is due to.
func (l *Ledger) look(now time.Time, n int) *unit {
	u := l.judged(n)
	if now.Before(u.wake) {
		return u
	}
	state, free := u.state, u.free
	u.wake = now.Add(lookAgain)
	u.endLeases(now, longest(&l.job.Head))
	waiting := l.waiting(now, u)
	u.free = u.replicas(waiting, int(l.job.Head.Policy.Votes), l.job.Head.Policy.Level == jobs.Strong)
	if l.byLot() && n >= l.front {
		u.free = 0
	}
	if u.free&^free&^u.tried != 0 {
		u.since = now
	}
	u.tried = 0
	switch u.state = u.verdict.State; {
	case u.state != Open:
	case len(u.sealed) > 0 || len(u.verdict.Votes) > 0:
		u.state = Sealed
	case len(u.leases) > 0:
		u.state = Running
	}
	if state != u.state || free != u.free {
		l.version++
	}
	return u
}

// endLeases drops leases that ran out, that were held for too long, or whose worker has sealed or
// revealed: a seal that counts takes its replica itself.
func (u *unit) endLeases(now time.Time, limit time.Duration) {
	u.spent = slices.DeleteFunc(u.spent, func(x lease) bool { return !now.Before(x.until) })
	u.leases = slices.DeleteFunc(u.leases, func(x lease) bool {
		last := x.first.Add(limit)
		switch {
		case u.heardFrom(x.worker):
			return true
		case !now.Before(x.until):
			u.comesToNothing(x)
			return true
		case !now.Before(last):
			u.spent = append(u.spent, lease{worker: x.worker, until: now.Add(limit)})
			return true
		}
		u.wake = earlier(u.wake, earlier(x.until, last))
		return false
	})
	for _, x := range u.spent {
		u.wake = earlier(u.wake, x.until)
	}
}

// comesToNothing notes a lease that ends without a result. Where it was never renewed nobody was at
// work: the replica goes on waiting. Else keepers that agree to a claim before the others do would
// each time begin anew, never be old enough together, and the unit would starve.
func (u *unit) comesToNothing(x lease) {
	if !x.renewed {
		u.tried |= 1 << x.replica
	}
}

// owed is a reveal that is to come.
type owed struct {
	since  time.Time // when it could
	silent bool      // it did not in time, and that was noted
}

// leastSilence is the least time after which a reveal that does not come is held against its
// worker, however short the leases: a busy machine is slow, and its bar would last an hour.
const leastSilence = time.Minute

// waiting are the seals of a unit, one a worker, whose reveals are to come: all but those that
// have had a whole lease for it since their round was complete here.
func (l *Ledger) waiting(now time.Time, u *unit) []*jobs.Seal {
	h := &l.job.Head
	if u.verdict.State.Decided() {
		u.due = nil
		return nil
	}
	var out []*jobs.Seal
	for i, s := range u.sealed {
		b := s.Body.(*jobs.Seal)
		if slices.ContainsFunc(u.sealed[:i], by(s.Author)) || u.verdict.votedBy(s.Author) {
			continue
		}
		if u.sealers >= SealsAsked(h.Policy.Votes, b.Replica) {
			due, ok := u.due[s.Author]
			if !ok {
				if u.due == nil {
					u.due = map[jobs.NodeID]owed{}
				}
				due = owed{since: now}
				u.due[s.Author] = due
			}
			end, silence := due.since.Add(h.LeaseTime()), due.since.Add(max(h.LeaseTime(), leastSilence))
			if !due.silent && now.Before(silence) {
				u.wake = earlier(u.wake, silence)
			} else if !due.silent {
				u.due[s.Author] = owed{due.since, true}
				note(&l.dealings.Silent, s.Author)
			}
			if !now.Before(end) {
				continue
			}
			u.wake = earlier(u.wake, end)
		}
		out = append(out, b)
	}
	return out
}

// replicas are those that may be claimed now: as many as could decide the unit with what there
// is, counting votes, seals that wait and leases. After the first round they come one at a time:
// each is a round of its own, and must not wait for the seal of one that nobody takes. One by one,
// the first round's come so too: each when the one before is sealed.
func (u *unit) replicas(waiting []*jobs.Seal, need int, oneByOne bool) (free uint8) {
	v := &u.verdict
	if v.State != Open || u.asked == jobs.OwnRun {
		return 0
	}
	var used uint8
	busy, wanted := len(v.Votes)+len(waiting)+len(u.leases), v.Wanted
	if wanted > need {
		wanted = min(wanted, len(v.Votes)+1)
	}
	if oneByOne && len(v.Votes)+len(waiting) < need {
		wanted = len(v.Votes) + len(waiting) + 1
	}
	wanted = max(wanted, busy+u.missing(waiting, need))
	for _, x := range v.Votes {
		if !x.Own {
			used |= 1 << x.Reveal.Body.(*jobs.Reveal).Replica
		}
	}
	for _, s := range waiting {
		used |= 1 << s.Replica
	}
	for _, x := range u.leases {
		if x.replica == WholeUnit {
			return 0
		}
		used |= 1 << x.replica
	}
	for r := uint8(0); r < jobs.MaxVotes && busy < wanted; r++ {
		if used&(1<<r) == 0 {
			free |= 1 << r
			busy++
		}
	}
	return free
}

// missing is how many seals the round of some seal that waits lacks, and nobody is at work on: one
// who had sealed has since contradicted himself, and his seal counts no more.
func (u *unit) missing(waiting []*jobs.Seal, need int) (n int) {
	for _, s := range waiting {
		n = max(n, SealsAsked(uint8(need), s.Replica)-u.sealers-len(u.leases))
	}
	return n
}

// RoundComplete reports whether the seals that a replica's round asks for are in: then its
// worker may reveal. It gives the seals that count.
func (l *Ledger) RoundComplete(n int, replica uint8) ([]*jobs.Record, bool) {
	u := l.judged(n)
	return slices.Clone(u.sealed), u.sealers >= SealsAsked(l.job.Head.Policy.Votes, replica)
}

// SealsAsked is how many workers' seals must be in before a replica is revealed. The first
// round is the policy's votes; each further replica is a round of its own.
func SealsAsked(votes, replica uint8) int {
	return max(int(votes), int(replica)+1)
}
