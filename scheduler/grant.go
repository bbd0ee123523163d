package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// custodySet is the closure of the submitter's placements under hand-overs by their members:
// the nodes whose consent can make an assignment. A function of the set of records.
func (l *Ledger) custodySet() map[jobs.NodeID]bool {
	if l.custody != nil {
		return l.custody
	}
	set, alone := map[jobs.NodeID]bool{}, map[jobs.NodeID]bool{}
	var handovers []*jobs.Record
	for _, r := range l.general {
		switch b := r.Body.(type) {
		case *jobs.Placement:
			for _, k := range b.Keepers {
				set[k] = true
			}
			if len(b.Keepers) == 1 {
				alone[b.Keepers[0]] = true
			}
		case *jobs.Handover:
			handovers = append(handovers, r)
		}
	}
	for grew := true; grew; {
		grew = false
		for _, r := range handovers {
			if !set[r.Author] {
				continue
			}
			for _, k := range r.Body.(*jobs.Handover).Set {
				grew = grew || !set[k]
				set[k] = true
			}
		}
	}
	l.custody, l.alone = set, alone
	return set
}

// granted reports whether the worker of a seal was assigned what it sealed: more than half of a
// confirmed keeper set consented, and that set meets the nodes the submitter placed the shard on.
func (l *Ledger) granted(worker jobs.NodeID, s *jobs.Seal) bool {
	grants := l.Grants(s.Grants)
	grants = slices.DeleteFunc(grants, func(r *jobs.Record) bool {
		g := r.Body.(*jobs.Grant)
		return g.Worker != worker || !HoldsReplica(g.Holds, s.Unit, s.Replica)
	})
	return slices.ContainsFunc(grants, func(r *jobs.Record) bool {
		return l.consents(r.Body.(*jobs.Grant).Set, grants)
	})
}

func (l *Ledger) consents(set []jobs.NodeID, grants []*jobs.Record) bool {
	custody := l.custodySet()
	// One keeper's word is enough only where the submitter itself placed the shard on it alone.
	if len(set) == 0 || len(set) == 1 && !l.alone[set[0]] || !slices.ContainsFunc(set, func(k jobs.NodeID) bool { return custody[k] }) {
		return false
	}
	said := map[jobs.NodeID]bool{}
	for _, r := range grants {
		if slices.Contains(set, r.Author) {
			said[r.Author] = true
		}
	}
	return len(said) >= Majority(len(set))
}

// HoldsReplica finds one replica in a grant's holds, which are sorted.
func HoldsReplica(holds []jobs.Hold, unit uint16, replica uint8) bool {
	_, ok := slices.BinarySearchFunc(holds, jobs.Hold{Unit: unit, Replica: replica}, jobs.CompareHolds)
	return ok
}
