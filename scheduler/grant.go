package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// placed takes the keepers of a submitter's placement into custody.
func (l *Ledger) placed(p *jobs.Placement) {
	if len(p.Keepers) == 1 {
		l.alone[p.Keepers[0]] = true
	}
	for _, k := range p.Keepers {
		l.admit(k)
	}
	l.stale()
}

// handedOver notes to whom a node handed the shard over. Whether that counts depends on the
// node, and may show later: custody is the closure of the submitter's placements under
// hand-overs by their members, a function of the set of records.
func (l *Ledger) handedOver(by jobs.NodeID, h *jobs.Handover) {
	l.handed[by] = append(l.handed[by], h.Set...)
	if l.custody[by] {
		for _, k := range h.Set {
			l.admit(k)
		}
		l.stale()
	}
}

// admit takes a node into custody, and with it everyone it handed the shard over to.
func (l *Ledger) admit(n jobs.NodeID) {
	if l.custody[n] {
		return
	}
	l.custody[n] = true
	for _, next := range l.handed[n] {
		l.admit(next)
	}
}

// stale marks every verdict: with other custodians other grants count.
func (l *Ledger) stale() {
	for i := range l.units {
		l.units[i].fresh = false
	}
}

// granted reports whether the worker of a seal was assigned what it sealed: more than half of a
// confirmed keeper set consented. The set must be one that a custodian named, itself in it: any
// other could be made of the worker's own keys.
func (l *Ledger) granted(worker jobs.NodeID, s *jobs.Seal) bool {
	grants := slices.DeleteFunc(l.Grants(s.Grants), func(r *jobs.Record) bool {
		g := r.Body.(*jobs.Grant)
		return g.Worker != worker || !HoldsReplica(g.Holds, s.Unit, s.Replica)
	})
	return slices.ContainsFunc(grants, func(r *jobs.Record) bool {
		return l.custody[r.Author] && l.consents(r.Body.(*jobs.Grant).Set, grants)
	})
}

// consents reports whether a majority of the set is among the grants' authors.
func (l *Ledger) consents(set []jobs.NodeID, grants []*jobs.Record) bool {
	if len(set) == 1 {
		return l.Alone(set[0])
	}
	return majorityOf(set, grants)
}

func majorityOf(set []jobs.NodeID, grants []*jobs.Record) bool {
	n := 0
	for i, r := range grants {
		if slices.Contains(set, r.Author) && !slices.ContainsFunc(grants[:i], by(r.Author)) {
			n++
		}
	}
	return n >= Majority(len(set))
}

// Assigned reports what a worker can check of its grants: that more than half of a keeper set
// which one of them names agree to the hold. A worker that knows fewer keepers than there are
// gets a majority of those it knows, and would seal what never counts.
func Assigned(grants []*jobs.Record, h jobs.Hold) bool {
	agree := slices.DeleteFunc(slices.Clone(grants), func(r *jobs.Record) bool {
		return !HoldsReplica(r.Body.(*jobs.Grant).Holds, h.Unit, h.Replica)
	})
	return slices.ContainsFunc(agree, func(r *jobs.Record) bool { return majorityOf(r.Body.(*jobs.Grant).Set, agree) })
}

// Alone reports whether the submitter itself placed the shard on this keeper alone. Only then is
// its word enough; anywhere else a set of one is a node that has not found the others yet.
func (l *Ledger) Alone(keeper jobs.NodeID) bool { return l.alone[keeper] }

func by(author jobs.NodeID) func(*jobs.Record) bool {
	return func(r *jobs.Record) bool { return r.Author == author }
}

// HoldsReplica finds one replica in a grant's holds, which are sorted.
func HoldsReplica(holds []jobs.Hold, unit uint16, replica uint8) bool {
	_, ok := slices.BinarySearchFunc(holds, jobs.Hold{Unit: unit, Replica: replica}, jobs.CompareHolds)
	return ok
}
