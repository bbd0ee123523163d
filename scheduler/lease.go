package scheduler

import (
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// WholeUnit is the replica number under which a submitter's own node holds a unit of its own
// job: its word alone decides, so no other replica is needed meanwhile.
const WholeUnit = 0xff

// A lease is a worker's live hold on one replica, by this keeper's monotonic clock.
type lease struct {
	worker  jobs.NodeID
	replica uint8
	first   time.Time // when the hold began
	until   time.Time
}

// Bounds on holding (DESIGN §3, Claim).
const (
	UnconfirmedLease = 10 * time.Second // a grant that is never renewed lapses after this
	MinHolds         = 16
	maxLeases        = 8  // a replica is held this many leases …
	maxEstimates     = 10 // … or this many times its estimate, whichever is longer
)

// MaxHolds is how many replicas of a job one worker may hold at a time: 16, or a minute of
// estimated work.
func MaxHolds(h *jobs.Head) int {
	if h.UnitTime == 0 {
		return MinHolds
	}
	return min(max(MinHolds, int(time.Minute/(time.Duration(h.UnitTime)*time.Millisecond))), jobs.MaxGrantHolds)
}

// longest is the time after which a hold ends whatever is renewed.
func longest(h *jobs.Head) time.Duration {
	return max(maxLeases*h.LeaseTime(), maxEstimates*time.Duration(h.UnitTime)*time.Millisecond)
}

// Claim grants what it can of the replicas a worker asks for, and reports which. The replicas
// are held for at most UnconfirmedLease until they are renewed.
func (l *Ledger) Claim(now time.Time, worker jobs.NodeID, ask []jobs.Hold) []jobs.Hold {
	if _, closed := l.Closed(); closed {
		return nil
	}
	own := worker == l.job.Head.Submitter
	room := MaxHolds(&l.job.Head) - l.holding(now, worker)
	var out []jobs.Hold
	for _, h := range ask {
		if room <= 0 {
			break
		}
		if int(h.Unit) >= len(l.units) || !l.claimable(now, int(h.Unit), worker, h.Replica, own) {
			continue
		}
		u := &l.units[h.Unit]
		until := now.Add(min(UnconfirmedLease, l.job.Head.LeaseTime()))
		if i := l.leaseOf(u, worker, h.Replica); i >= 0 {
			u.leases[i].until = later(u.leases[i].until, until)
		} else {
			u.leases = append(u.leases, lease{worker: worker, replica: h.Replica, first: now, until: until})
		}
		room--
		out = append(out, h)
	}
	if len(out) > 0 {
		l.version++
	}
	slices.SortFunc(out, jobs.CompareHolds)
	return slices.Compact(out)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (l *Ledger) leaseOf(u *unit, worker jobs.NodeID, replica uint8) int {
	return slices.IndexFunc(u.leases, func(x lease) bool { return x.worker == worker && x.replica == replica })
}

// claimable reports whether the replica is free for this worker. What it holds already it may
// claim again: an answer can be lost.
func (l *Ledger) claimable(now time.Time, n int, worker jobs.NodeID, replica uint8, own bool) bool {
	u := &l.units[n]
	if l.Verdict(n).State.Decided() || slices.ContainsFunc(u.seals, by(worker)) || slices.ContainsFunc(u.reveals, by(worker)) {
		return false
	}
	l.expire(now, u)
	if l.leaseOf(u, worker, replica) >= 0 {
		return true
	}
	if slices.ContainsFunc(u.leases, func(x lease) bool { return x.worker == worker }) {
		return false // one worker never holds two replicas of a unit
	}
	if own {
		return replica == WholeUnit
	}
	if l.job.Head.Policy.Level == jobs.Trusted && !l.trust[worker] {
		return false
	}
	return replica < jobs.MaxVotes && l.free(now, n)&(1<<replica) != 0
}

func by(worker jobs.NodeID) func(*jobs.Record) bool {
	return func(r *jobs.Record) bool { return r.Author == worker }
}

// expire drops leases that have run out or were held for too long.
func (l *Ledger) expire(now time.Time, u *unit) {
	n := len(u.leases)
	limit := longest(&l.job.Head)
	u.leases = slices.DeleteFunc(u.leases, func(x lease) bool {
		return !now.Before(x.until) || now.Sub(x.first) > limit
	})
	if len(u.leases) != n {
		l.version++
	}
}

// free is the set of a unit's replicas that may be claimed now, one bit for each.
func (l *Ledger) free(now time.Time, n int) uint8 {
	u := &l.units[n]
	v := l.Verdict(n)
	if v.State.Decided() || v.State == Disputed {
		return 0
	}
	l.expire(now, u)
	var used uint8
	busy := 0
	for _, x := range u.leases {
		if x.replica == WholeUnit {
			return 0
		}
		used |= 1 << x.replica
		busy++
	}
	for _, vote := range v.Votes {
		busy++
		if !vote.Own {
			used |= 1 << vote.Reveal.Body.(*jobs.Reveal).Replica
		}
	}
	for _, s := range l.pending(now, n) {
		b := s.Body.(*jobs.Seal)
		if slices.ContainsFunc(u.leases, func(x lease) bool { return x.worker == s.Author }) {
			continue // counted as a lease
		}
		used |= 1 << b.Replica
		busy++
	}
	var free uint8
	for r := uint8(0); r < jobs.MaxVotes && busy < v.Wanted; r++ {
		if used&(1<<r) == 0 {
			free |= 1 << r
			busy++
		}
	}
	return free
}

// pending are the granted seals of a unit that wait for their reveal and have not had a whole
// lease for it since the round's seals were complete here.
func (l *Ledger) pending(now time.Time, n int) []*jobs.Record {
	u := &l.units[n]
	v := l.Verdict(n)
	var out []*jobs.Record
	seen := map[jobs.NodeID]bool{}
	for _, s := range u.seals {
		if seen[s.Author] || slices.ContainsFunc(v.Votes, func(x Vote) bool { return x.Worker == s.Author }) ||
			s.Body.(*jobs.Seal).Replica >= jobs.MaxVotes || !l.granted(s.Author, s.Body.(*jobs.Seal)) {
			continue
		}
		seen[s.Author] = true
		out = append(out, s)
	}
	if len(out)+len(v.Votes) < v.Wanted || len(out) == 0 {
		u.since = time.Time{}
		return out
	}
	if u.since.IsZero() {
		u.since = now
	}
	if now.Sub(u.since) > l.job.Head.LeaseTime() {
		return nil
	}
	return out
}

// Renew extends what a worker holds, and reports what it does not hold any more. Renewing an
// unknown lease is a claim: a keeper forgets leases when it restarts.
func (l *Ledger) Renew(now time.Time, worker jobs.NodeID, holds []jobs.Hold) (lost []jobs.Hold) {
	for _, h := range holds {
		if int(h.Unit) >= len(l.units) {
			lost = append(lost, h)
			continue
		}
		u := &l.units[h.Unit]
		l.expire(now, u)
		if l.leaseOf(u, worker, h.Replica) < 0 && len(l.Claim(now, worker, []jobs.Hold{h})) == 0 {
			lost = append(lost, h)
			continue
		}
		x := &u.leases[l.leaseOf(u, worker, h.Replica)]
		if l.Verdict(int(h.Unit)).State.Decided() {
			lost = append(lost, h)
			continue
		}
		x.until = later(x.until, now.Add(l.job.Head.LeaseTime()))
	}
	return lost
}

// Release gives up what a worker holds.
func (l *Ledger) Release(worker jobs.NodeID, holds []jobs.Hold) {
	for _, h := range holds {
		if int(h.Unit) >= len(l.units) {
			continue
		}
		u := &l.units[h.Unit]
		if i := l.leaseOf(u, worker, h.Replica); i >= 0 {
			u.leases = slices.Delete(u.leases, i, i+1)
			l.version++
		}
	}
}

// holding counts a worker's live leases in this shard.
func (l *Ledger) holding(now time.Time, worker jobs.NodeID) (n int) {
	for i := range l.units {
		for _, x := range l.units[i].leases {
			if x.worker == worker && now.Before(x.until) && now.Sub(x.first) <= longest(&l.job.Head) {
				n++
			}
		}
	}
	return n
}

// RoundComplete reports whether the seals that a replica's round asks for are in: then its
// worker may reveal. It gives the granted seals.
func (l *Ledger) RoundComplete(n int, replica uint8) ([]*jobs.Record, bool) {
	var out []*jobs.Record
	seen := map[jobs.NodeID]bool{}
	for _, s := range l.units[n].seals {
		if l.granted(s.Author, s.Body.(*jobs.Seal)) {
			seen[s.Author] = true
			out = append(out, s)
		}
	}
	return out, len(seen) >= SealsAsked(&l.job.Head, replica)
}

// SealsAsked is how many workers' seals must be in before a replica is revealed. The first
// round is the policy's votes; each further replica is a round of its own.
func SealsAsked(h *jobs.Head, replica uint8) int {
	return max(int(h.Policy.Votes), int(replica)+1)
}
