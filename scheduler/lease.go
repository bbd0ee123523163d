package scheduler

import (
	"bytes"
	"cmp"
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
	network string    // that the worker was seen in
	first   time.Time // when the hold began
	until   time.Time
	renewed bool // its worker has the grants of a majority, and is at work
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

// Applicant is a worker that asks for work, and what this keeper knows of it beyond the shard.
type Applicant struct {
	Worker    jobs.NodeID
	Network   string    // it was seen in; empty for a private address
	Met       time.Time // when it was first met
	Proven    bool      // a result of it was accepted
	Convicted bool      // it said two things of some unit, in this shard or another
	Room      int       // replicas that the keeper's own bounds leave it
}

// Claim grants what it can of the replicas a worker asks for, and reports which. The replicas
// are held for at most UnconfirmedLease until they are renewed. What a worker holds already it
// may claim again: an answer can be lost.
func (l *Ledger) Claim(now time.Time, a Applicant, ask []jobs.Hold) []jobs.Hold {
	if _, closed := l.Closed(); closed {
		return nil
	}
	if l.convicts(&a) {
		return nil // also of what it holds already
	}
	l.drawn(now)
	l.advance(now)
	room := l.room(now, &a)
	until := now.Add(min(UnconfirmedLease, l.job.Head.LeaseTime()))
	var out []jobs.Hold
	for _, h := range ask {
		if int(h.Unit) >= len(l.units) {
			continue
		}
		u := l.look(now, int(h.Unit))
		switch i := u.leaseOf(a.Worker, h.Replica); {
		case u.verdict.State.Decided():
			continue
		case i >= 0:
			u.leases[i].until = later(u.leases[i].until, until)
		case room > 0 && l.claimable(now, int(h.Unit), &a, h.Replica):
			u.leases = append(u.leases, lease{worker: a.Worker, replica: h.Replica, network: a.Network, first: now, until: until})
			room--
			l.version++
		default:
			continue
		}
		u.wake = time.Time{}
		out = append(out, h)
	}
	slices.SortFunc(out, jobs.CompareHolds)
	return slices.Compact(out)
}

// room is how many replicas more a worker may hold: of a newcomer to a crowd, one in all.
func (l *Ledger) room(now time.Time, a *Applicant) int {
	most := MaxHolds(&l.job.Head)
	if l.byLot() && !a.Proven {
		most = 1
	}
	return min(most-l.Holding(now, a.Worker), a.Room)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (u *unit) leaseOf(worker jobs.NodeID, replica uint8) int {
	return slices.IndexFunc(u.leases, func(x lease) bool { return x.worker == worker && x.replica == replica })
}

// claimable reports whether a replica of an undecided unit is free for a worker that does not
// hold it. One worker never holds two replicas of a unit, nor votes twice; a worker whose seal
// was never granted may try again.
func (l *Ledger) claimable(now time.Time, n int, a *Applicant, replica uint8) bool {
	u, worker := &l.units[n], a.Worker
	held := func(x lease) bool { return x.worker == worker }
	if slices.ContainsFunc(u.leases, held) || slices.ContainsFunc(u.spent, held) || u.heardFrom(worker) {
		return false
	}
	if worker == l.job.Head.Submitter {
		return replica == WholeUnit
	}
	return l.mayVote(worker) && u.mayStill(worker, replica, l.job.Head.Policy.Votes) && replica < jobs.MaxVotes && u.free&(1<<replica) != 0 &&
		l.eligible(now, n, a, replica)
}

// heardFrom reports whether a worker has nothing more to say about a unit.
func (u *unit) heardFrom(worker jobs.NodeID) bool {
	if slices.ContainsFunc(u.sealed, by(worker)) || slices.ContainsFunc(u.reveals, by(worker)) {
		return true
	}
	i := slices.IndexFunc(u.seals, by(worker))
	return i >= 0 && contradicts(u.seals, u.seals[i])
}

// Renew extends what a worker holds, and reports what it does not hold any more. Renewing an
// unknown lease is a claim: a keeper forgets leases when it restarts. What the worker has sealed
// needs no lease, and is not lost. Who is convicted loses all.
func (l *Ledger) Renew(now time.Time, a Applicant, holds []jobs.Hold) (lost []jobs.Hold) {
	worker := a.Worker
	_, closed := l.Closed()
	over := closed || l.convicts(&a)
	for _, h := range holds {
		if over || int(h.Unit) >= len(l.units) {
			lost = append(lost, h)
			continue
		}
		u := l.look(now, int(h.Unit))
		switch {
		case u.verdict.State.Decided():
			lost = append(lost, h)
		case u.leaseOf(worker, h.Replica) >= 0 || len(l.Claim(now, a, []jobs.Hold{h})) > 0:
			x := &u.leases[u.leaseOf(worker, h.Replica)]
			x.until, x.renewed = later(x.until, now.Add(l.job.Head.LeaseTime())), true
			u.wake = time.Time{}
		case !slices.ContainsFunc(u.sealed, by(worker)):
			lost = append(lost, h)
		}
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
		if i := u.leaseOf(worker, h.Replica); i >= 0 {
			u.comesToNothing(u.leases[i])
			u.leases = slices.Delete(u.leases, i, i+1)
			u.wake = time.Time{}
			l.version++
		}
	}
}

// Holding counts a worker's live leases in this shard.
func (l *Ledger) Holding(now time.Time, worker jobs.NodeID) (n int) {
	for i := range l.units {
		for _, x := range l.look(now, i).leases {
			if x.worker == worker {
				n++
			}
		}
	}
	return n
}

// Holder is a worker that holds units of a shard.
type Holder struct {
	_      struct{} `cbor:",toarray"`
	Worker jobs.NodeID
	Units  []uint16 // in order
}

// Holders are those who hold units now, the one with the most first.
func (l *Ledger) Holders(now time.Time) []Holder {
	units := map[jobs.NodeID][]uint16{}
	for i := range l.units {
		for _, x := range l.look(now, i).leases {
			units[x.worker] = append(units[x.worker], uint16(i))
		}
	}
	var out []Holder
	for worker, held := range units {
		out = append(out, Holder{Worker: worker, Units: slices.Compact(held)})
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(len(b.Units), len(a.Units)), bytes.Compare(a.Worker[:], b.Worker[:]))
	})
	return out
}

// Finished reports that nothing is left to do in the shard: every unit is decided, and the bytes of
// its answers are here.
func (l *Ledger) Finished() bool {
	for n := range l.units {
		u := l.judged(n)
		if v := &u.verdict; !v.State.Decided() || !u.held && v.Done != v.Failed {
			return false
		}
	}
	return true
}

// Idle reports that nobody holds anything in the shard: nothing is lost if it is forgotten until
// it is read from disk again.
func (l *Ledger) Idle() bool {
	return !slices.ContainsFunc(l.units, func(u unit) bool { return len(u.leases) > 0 })
}
