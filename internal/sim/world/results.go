package world

import (
	"bytes"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// showed holds I14 of what a keeper lets be read.
func (s *witness) showed(a *asking, answer []byte) {
	var q protocol.ReadRequest
	var r protocol.ReadAnswer
	if protocol.DecodeRequest(a.body, &q) != nil || protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	shown := open(r.Batches)
	s.returns(a, &q, &r, shown)
	k, n := s.w.workOf(q.Shard.Job), s.w.byID[a.from]
	if k == nil || n == nil || n == k.at || n.role.keeps { // a keeper may be one of the shard's
		return
	}
	for _, rec := range shown {
		b, ok := rec.Body.(*jobs.Reveal)
		if !ok {
			continue
		}
		equal := map[jobs.Digest]int{}
		most := 0
		for _, o := range shown {
			if ob, ok := o.Body.(*jobs.Reveal); ok && ob.Unit == b.Unit {
				equal[ob.Tuples]++
				most = max(most, equal[ob.Tuples])
			}
		}
		if !k.final && (most < k.votes || s.w.judges()) {
			s.w.broke("I14", "%s shows results of unit %d, which is not agreed, to %s", a.p.name, b.Unit, n.name)
		}
	}
}

// returns holds I11 of a later read: it shows a seal of every honest worker whose seal this keeper
// has acknowledged. Reveals it may hide, and of somebody who floods it not everything is kept.
func (s *witness) returns(a *asking, q *protocol.ReadRequest, r *protocol.ReadAnswer, shown []*jobs.Record) {
	here := map[statement]bool{}
	for _, rec := range shown {
		if b, ok := rec.Body.(*jobs.Seal); ok {
			here[statement{rec.Author, q.Shard, b.Unit}] = true
		}
	}
	for _, unit := range q.Units {
		if slices.Contains(r.More, unit) {
			continue
		}
		for _, by := range s.heard[a.p][place{q.Shard, unit}] {
			if !here[statement{by, q.Shard, unit}] {
				s.w.broke("I11", "%s does not show the seal of %s for unit %d, which it has acknowledged", a.p.name, s.w.byID[by].name, unit)
			}
		}
	}
}

// forgets reports whether a node cannot know what it said before: it has lost its disk, and the program
// answers otherwise each time. No memory, no promise.
func (w *world) forgets(n *node, ref protocol.ShardRef) bool {
	k := w.workOf(ref.Job)
	return n.lives > 0 && k != nil && k.dice
}

// stated looks at a record that a node sends.
func (s *witness) stated(p *process, ref protocol.ShardRef, r *jobs.Record) {
	author := s.w.byID[r.Author]
	if author == nil {
		return
	}
	if unit, _, ok := saying(r); ok || r.Kind == jobs.KindReveal {
		inner(s.spoken, place{ref, unit})[r.Author] = true
	}
	switch b := r.Body.(type) {
	case *jobs.Seal:
		s.seals[r.ID] = true
		at := statement{r.Author, ref, b.Unit}
		if old, said := s.sealed[at]; said && old != b.Commitment && author.honest() && !s.w.forgets(author, ref) {
			s.w.broke("I12", "%s seals two things for unit %d", author.name, b.Unit)
		}
		s.sealed[at] = b.Commitment
	case *jobs.Reveal:
		at := statement{r.Author, ref, b.Unit}
		old, said := s.revealed[at]
		if said && old != b.Tuples && author.honest() && b.Replica != scheduler.WholeUnit && !s.w.forgets(author, ref) { // its own runs bind nobody
			s.w.broke("I12", "%s reveals two things for unit %d", author.name, b.Unit)
		}
		s.revealed[at] = b.Tuples
		if !said && p.node == author && author.honest() && p.role.donates {
			s.reveals(p, ref, b)
		}
	}
}

// reveals holds I14 of an honest worker's first reveal. What others decided without it is revealed
// late: such a reveal counts only as one, so it may name fewer seals.
func (s *witness) reveals(p *process, ref protocol.ShardRef, b *jobs.Reveal) {
	k := s.w.workOf(ref.Job)
	if k == nil || k.at == p.node {
		return
	}
	if len(b.Seals) < k.votes && !s.decided(k, ref, b.Unit, p.ID()) {
		s.w.broke("I14", "%s reveals unit %d having read %d seals", p.name, b.Unit, len(b.Seals))
	}
	for _, id := range b.Seals {
		if !s.seals[id] {
			s.w.broke("I14", "%s names a seal that nobody sent", p.name)
		}
	}
}

// decided reports whether others than a node have revealed what decides a unit.
func (s *witness) decided(k *work, ref protocol.ShardRef, unit uint16, without jobs.NodeID) bool {
	equal := map[jobs.Digest]int{}
	for _, n := range s.w.nodes {
		if n.ID() == without {
			continue
		}
		if t, said := s.revealed[statement{n.ID(), ref, unit}]; said {
			if equal[t]++; equal[t] >= k.votes || n == k.at {
				return true
			}
		}
	}
	return false
}

// agreeing holds I18.
func (w *world) agreeing() {
	for _, k := range w.works {
		for number := range uint64(k.units) {
			var first *execution
			for _, x := range w.seen.runs[k][number] {
				if k.dice || x.by.lie != nil || x.state != done {
					continue
				}
				if first == nil {
					first = x
				}
				if !bytes.Equal(x.out, first.out) {
					w.broke("I18", "%s and %s differ about input %d", x.by.name, first.by.name, number)
				}
			}
		}
	}
}
