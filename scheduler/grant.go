package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// stale marks every verdict: with other custodians other grants count.
func (l *Ledger) stale() {
	for i := range l.units {
		l.units[i].fresh = false
	}
}

// granted reports whether the worker of a seal was assigned what it sealed: more than half of a
// recognised set of keepers consented. Any other set could be made of the worker's own keys.
func (l *Ledger) granted(worker jobs.NodeID, s *jobs.Seal) bool {
	among := make(map[jobs.NodeID]bool, len(s.Grants))
	for _, r := range l.Grants(s.Grants) {
		if g := r.Body.(*jobs.Grant); g.Worker == worker && HoldsReplica(g.Holds, s.Unit, s.Replica) {
			among[r.Author] = true
		}
	}
	return l.custody.majority(among)
}

// Network is the network in which the keepers saw the worker of a seal when they assigned it:
// what most of the grants that it leans on say, empty for a private address.
func (l *Ledger) Network(seal *jobs.Record) string {
	said := map[string]int{}
	best := ""
	for _, r := range l.Grants(seal.Body.(*jobs.Seal).Grants) {
		g := r.Body.(*jobs.Grant)
		if g.Worker != seal.Author || !l.custody.members[r.Author] {
			continue
		}
		said[g.Network]++
		if n := said[g.Network]; n > said[best] || n == said[best] && g.Network > best {
			best = g.Network
		}
	}
	return best
}

// Assigned reports what a worker can check of its grants: that more than half of a keeper set
// which one of them names agree to the hold. A worker that knows fewer keepers than there are
// gets a majority of those it knows, and would seal what never counts.
func Assigned(grants []*jobs.Record, h jobs.Hold) bool {
	agree := slices.DeleteFunc(slices.Clone(grants), func(r *jobs.Record) bool {
		return !HoldsReplica(r.Body.(*jobs.Grant).Holds, h.Unit, h.Replica)
	})
	among := make(map[jobs.NodeID]bool, len(agree))
	for _, r := range agree {
		among[r.Author] = true
	}
	return slices.ContainsFunc(agree, func(r *jobs.Record) bool { return majorityIn(r.Body.(*jobs.Grant).Set, among) })
}

// Alone reports whether the submitter itself placed the shard on this keeper alone. Only then is
// its word enough; anywhere else a set of one is a node that has not found the others yet.
func (l *Ledger) Alone(keeper jobs.NodeID) bool { return l.Recognised([]jobs.NodeID{keeper}) }

func by(author jobs.NodeID) func(*jobs.Record) bool {
	return func(r *jobs.Record) bool { return r.Author == author }
}

// HoldsReplica finds one replica in a grant's holds, which are sorted.
func HoldsReplica(holds []jobs.Hold, unit uint16, replica uint8) bool {
	_, ok := slices.BinarySearchFunc(holds, jobs.Hold{Unit: unit, Replica: replica}, jobs.CompareHolds)
	return ok
}
