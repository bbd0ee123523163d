package world

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// judged holds I1 to I3 of one accepted unit.
func (k *work) judged(u *evidence.Unit, wrong bool) {
	w := k.w
	if u.Verdict.Inputs() == 0 {
		return
	}
	answer := u.Verdict.Input(0).Tuple
	for_, own := 0, false
	for _, v := range u.Verdict.Votes {
		own = own || v.Own
		n := w.byID[v.Worker]
		if v.Tuples[0] != answer {
			continue
		}
		for_++
		if wrong && n.honest() {
			w.broke("I3", "%s voted for the wrong answer to input %d", n.name, u.First)
		}
	}
	if for_ < k.votes && !own {
		w.broke("I1", "unit %d was accepted with %d votes", u.Number, for_)
	}
	if wrong && w.opt.Liars == 0 {
		w.broke("I2", "unit %d has a wrong answer, and nobody lies", u.Number)
	}
}

// credited holds I20.
func (k *work) credited(c *collect.Collector) {
	ran := map[jobs.NodeID]uint64{}
	for _, xs := range k.w.seen.runs[k] {
		by := map[jobs.NodeID]bool{}
		for _, x := range xs {
			by[x.as] = by[x.as] || x.state == done
		}
		for id, ok := range by {
			if ok {
				ran[id]++
			}
		}
	}
	for _, n := range k.w.nodes {
		// What it runs it never tells. One that is a keeper, too, is shown results before they are
		// agreed: where an earlier vote falls out it can copy that as the third.
		if n.onlyCopies() {
			ran[n.ID()] = 0
		}
	}
	for id, share := range c.Credit() {
		switch k.w.opt.Defect {
		case Overpay:
			share.Units++
		case PayLate:
			share.Units += min(share.Late, 1)
		}
		if share.Units > ran[id] {
			k.w.broke("I20", "%s is credited with %d units, it ran %d", k.w.byID[id].name, share.Units, ran[id])
		}
	}
}

// onlyCopies reports whether a node is sure to earn nothing.
func (n *node) onlyCopies() bool { return n.lie != nil && n.lie.kind == copying && !n.role.keeps }

// accepts looks at an acceptance.
func (s *witness) accepts(p *process, key, value []byte) {
	k := s.w.workOf(jobs.JobID(key[1:33]))
	if k == nil || k.at != p.node {
		return
	}
	number := unitIn(key)
	sum := [32]byte(jobs.Sum(value))
	if old, had := k.accepted[number]; had && old != sum && (k.final || !s.w.judges()) {
		s.w.broke("I4", "%s accepts another answer to input %d than it had", p.name, number)
	}
	k.accepted[number] = sum
	s.w.step("accept", key)
}

// unitIn is the number in its job of the unit that a key is about.
func unitIn(key []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(key[33:]))*jobs.UnitsPerShard + uint64(binary.BigEndian.Uint16(key[37:]))
}

// missing says how far a unit is that has no answer.
func (w *world) missing(k *work) string {
	for number := range uint64(k.units) {
		if _, ok := k.accepted[number]; ok || k.job == nil {
			continue
		}
		shard := uint32(number / jobs.UnitsPerShard)
		m := w.manifestOf(k, shard)
		if m == nil {
			continue
		}
		all := map[jobs.Digest]*jobs.Record{}
		for _, n := range w.nodes {
			maps.Copy(all, w.seen.kept[n.disk][protocol.ShardRef{Job: k.job.ID, Shard: shard}])
		}
		l, unit := w.merged(k, shard, m, inOrder(all)), int(number%jobs.UnitsPerShard)
		v := l.Verdict(unit)
		var says strings.Builder
		fmt.Fprintf(&says, "; unit %d is %s: %d votes, %d seals, %d reveals; run by", number, v.State, len(v.Votes), len(l.Seals(unit)), len(l.Reveals(unit)))
		for _, r := range append(l.Seals(unit), l.Reveals(unit)...) {
			replica, counts := uint8(0), slices.ContainsFunc(v.Votes, func(v scheduler.Vote) bool { return v.Reveal.ID == r.ID || v.Seal != nil && v.Seal.ID == r.ID })
			switch b := r.Body.(type) {
			case *jobs.Seal:
				replica = b.Replica
			case *jobs.Reveal:
				replica = b.Replica
			}
			fmt.Fprintf(&says, ", %s of %s for %d (counts %v)", r.Kind, w.byID[r.Author].name, replica, counts)
		}
		for _, x := range w.seen.runs[k][number] {
			fmt.Fprintf(&says, " %s(%s, honest %v)", x.by.name, []string{"running", "dropped", "done"}[x.state], x.by.honest())
		}
		return says.String()
	}
	return ""
}

// believes holds I20 of what a submitter writes of a donor: it is known for no more than it has sealed
// of this submitter's units that others spoke of, too, nothing of it is copied, and who was burned
// stays so.
func (s *witness) believes(p *process, id jobs.NodeID, record []byte) {
	b := trust.NewBook()
	if !p.role.submits || len(record) == 0 || b.Restore(id, record) != nil {
		return
	}
	d, n := b.Get(id), s.w.byID[id]
	if n == nil {
		return
	}
	if s.burned[p.node][id] && !d.Burned {
		s.w.broke("I20", "%s was burned at %s, and is not any more", n.name, p.name)
	}
	if d.Burned {
		inner(s.burned, p.node)[id] = true
	}
	if n.onlyCopies() && d.Accepted > 0 {
		s.w.broke("I20", "%s copies, and is trusted", n.name)
	}
	replicated := uint32(0)
	for at, by := range s.spoken {
		k := s.w.workOf(at.ref.Job)
		if _, sealed := s.sealed[statement{id, at.ref, at.unit}]; sealed && len(by) > 1 && k != nil && k.at == p.node {
			replicated++
		}
	}
	if d.Accepted > replicated {
		s.w.broke("I20", "%s is trusted for %d units at %s, it sealed %d with others", n.name, d.Accepted, p.name, replicated)
	}
}
