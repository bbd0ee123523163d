package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// custody is who has a shard in keeping: the sets of keepers that the submitter placed it on, and
// the sets that more than half of such a set handed it over to, and so on. It is a function of
// the set of placements and hand-overs. No single keeper can hand a shard over to keys of its own.
type custody struct {
	sets    [][]jobs.NodeID // recognised; each in the order of ids, without repeats
	members map[jobs.NodeID]bool
	known   map[string]bool                 // names of the recognised sets
	handed  map[string]map[jobs.NodeID]bool // who handed over to a set, by its name
	named   map[string][]jobs.NodeID        // the sets that stand in hand-overs, by name
}

func newCustody() custody {
	return custody{
		members: map[jobs.NodeID]bool{}, known: map[string]bool{},
		handed: map[string]map[jobs.NodeID]bool{}, named: map[string][]jobs.NodeID{},
	}
}

// canonical is a set in the order of ids, without repeats, and a name for it.
func canonical(set []jobs.NodeID) ([]jobs.NodeID, string) {
	set = slices.Clone(set)
	slices.SortFunc(set, compareNodes)
	set = slices.Compact(set)
	name := make([]byte, 0, len(set)*len(jobs.NodeID{}))
	for _, n := range set {
		name = append(name, n[:]...)
	}
	return set, string(name)
}

// place recognises a set that the submitter placed the shard on.
func (c *custody) place(keepers []jobs.NodeID) bool {
	set, name := canonical(keepers)
	return c.recognise(set, name)
}

// handOver notes that a node says the shard is now with a set, and reports whether some set has
// become recognised by that. A set of one never is: only the submitter can leave a shard to one.
func (c *custody) handOver(by jobs.NodeID, to []jobs.NodeID) bool {
	set, name := canonical(to)
	if len(set) < 2 {
		return false
	}
	if c.handed[name] == nil {
		c.handed[name], c.named[name] = map[jobs.NodeID]bool{}, set
	}
	c.handed[name][by] = true
	return c.members[by] && c.backed(name) && c.recognise(set, name)
}

// backed reports whether more than half of a recognised set handed over to the named one.
func (c *custody) backed(name string) bool {
	return slices.ContainsFunc(c.sets, func(set []jobs.NodeID) bool { return majorityIn(set, c.handed[name]) })
}

// recognise takes a set in, and with it every set that it, too, handed over to.
func (c *custody) recognise(set []jobs.NodeID, name string) bool {
	if c.known[name] || len(set) == 0 {
		return false
	}
	c.known[name] = true
	c.sets = append(c.sets, set)
	for _, n := range set {
		c.members[n] = true
	}
	for next, by := range c.handed {
		if !c.known[next] && majorityIn(set, by) {
			c.recognise(c.named[next], next)
		}
	}
	return true
}

// majority reports whether more than half of a recognised set is among some nodes.
func (c *custody) majority(among map[jobs.NodeID]bool) bool {
	return slices.ContainsFunc(c.sets, func(set []jobs.NodeID) bool { return majorityIn(set, among) })
}

func majorityIn(set []jobs.NodeID, among map[jobs.NodeID]bool) bool {
	n := 0
	for _, k := range set {
		if among[k] {
			n++
		}
	}
	return n >= Majority(len(set))
}

// Custodians are the members of every set of keepers that is recognised.
func (l *Ledger) Custodians() []jobs.NodeID {
	out := make([]jobs.NodeID, 0, len(l.custody.members))
	for n := range l.custody.members {
		out = append(out, n)
	}
	slices.SortFunc(out, compareNodes)
	return out
}

// Recognised reports whether the shard is in the keeping of exactly this set: a keeper that sees
// another signs a hand-over to it.
func (l *Ledger) Recognised(set []jobs.NodeID) bool {
	_, name := canonical(set)
	return l.custody.known[name]
}

// HandedOver reports whether a node has signed a hand-over to exactly this set.
func (l *Ledger) HandedOver(by jobs.NodeID, set []jobs.NodeID) bool {
	_, name := canonical(set)
	return l.custody.handed[name][by]
}

// Quorate reports whether grants by all of a set of keepers could make an assignment. Where they
// could not, granting would only make workers compute in vain.
func (l *Ledger) Quorate(set []jobs.NodeID) bool {
	among := make(map[jobs.NodeID]bool, len(set))
	for _, n := range set {
		among[n] = true
	}
	return l.custody.majority(among)
}
