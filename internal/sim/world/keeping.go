package world

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// summed holds I10 of a keeper's summaries.
func (s *witness) summed(p *process, ref protocol.ShardRef, sum *scheduler.Summary) {
	if sum == nil {
		return
	}
	last := inner(s.versions, p)
	if sum.Version < last[ref] {
		s.w.broke("I10", "%s knew version %d of a shard, and says %d", p.name, last[ref], sum.Version)
	}
	last[ref] = sum.Version
}

// acknowledged holds I11 and I23.
func (s *witness) acknowledged(a *asking, answer []byte) {
	var r protocol.OfferAnswer
	if protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	d := a.p.disk
	s.troubled[d] = s.troubled[d] || d.full || d.broken
	if a.old && r.Fresh > 0 && !s.troubled[d] {
		s.w.broke("I23", "%s takes %d records for new that it has acknowledged", a.p.name, r.Fresh)
	}
	if r.Refused > 0 {
		return
	}
	for _, rec := range a.rs {
		inner(s.acked, a.p)[rec.ID] = true
		if b, ok := rec.Body.(*jobs.Seal); ok && s.kept[d][a.shard][rec.ID] != nil {
			at := place{a.shard, b.Unit}
			if by := s.w.byID[rec.Author]; by != nil && by.honest() && !slices.Contains(s.heard[a.p][at], rec.Author) {
				inner(s.heard, a.p)[at] = append(s.heard[a.p][at], rec.Author)
			}
		}
		if s.kept[d][a.shard][rec.ID] == nil && s.keeps(d, a.shard) {
			s.w.broke("I11", "%s acknowledged a %s that is not on its disk", a.p.name, rec.Kind)
			return
		}
	}
}

// keeps reports whether a disk has a shard, and it is not just being let go.
func (s *witness) keeps(d *disk, ref protocol.ShardRef) bool {
	return len(s.kept[d][ref]) > 0
}

// convergeWithin is how long the keepers of a job that is done may differ: two rounds of repair
// after failures, and of sync.
const convergeWithin = 15 * time.Minute

// settled reports whether the honest keepers of every shard hold the same records; it is asked
// when all is complete.
func (w *world) settled() bool {
	s, now := w.seen, w.loop.Elapsed()
	if now < s.lastCheck+10*time.Second {
		return false
	}
	if s.lastCheck == 0 {
		s.firstCheck = now
	}
	s.lastCheck = now
	for _, k := range w.works {
		if k.job == nil || w.converged(k) {
			continue
		}
		if now > max(k.ended, w.fate.until, s.firstCheck)+convergeWithin { // a liar's newest record may be on its way
			w.broke("I16", "the keepers of %s's job still differ: %s", k.at.name, w.differences(k))
			return true
		}
		return false
	}
	return true
}

// converged compares what the honest among a shard's keepers hold.
func (w *world) converged(k *work) bool {
	for shard := range k.job.Head.Shards() {
		ref := protocol.ShardRef{Job: k.job.ID, Shard: shard}
		set := w.nearest(scheduler.Key(k.job.ID, shard, 0), scheduler.Keepers, func(n *node) bool { return n.p != nil && n.p.keeper != nil })
		var first map[jobs.Digest]*jobs.Record
		for _, n := range set {
			if !n.honest() {
				continue
			}
			mine := w.seen.kept[n.disk][ref]
			if len(mine) == 0 && k.cheat != nil {
				continue // nobody promised its submitter to keep what it may have left with one
			}
			if first == nil {
				first = mine
			}
			if len(mine) == 0 || !sameKeys(first, mine) && !w.sameState(k, shard, first, mine) {
				return false
			}
		}
	}
	return true
}

// sameState compares what two disks amount to: a record that had to make room for others is still
// on the disk where it came first.
func (w *world) sameState(k *work, shard uint32, a, b map[jobs.Digest]*jobs.Record) bool {
	m := w.manifestOf(k, shard)
	if m == nil {
		return true
	}
	return slices.Equal(w.merged(k, shard, m, inOrder(a)).Digests(), w.merged(k, shard, m, inOrder(b)).Digests())
}

func inOrder(rs map[jobs.Digest]*jobs.Record) []*jobs.Record {
	return slices.SortedFunc(maps.Values(rs), func(a, b *jobs.Record) int { return slices.Compare(a.ID[:], b.ID[:]) })
}

// differences says what some keepers of a job lack.
func (w *world) differences(k *work) string {
	ref := protocol.ShardRef{Job: k.job.ID}
	all := map[jobs.Digest]*jobs.Record{}
	set := w.nearest(scheduler.Key(k.job.ID, 0, 0), scheduler.Keepers, func(n *node) bool { return n.p != nil && n.p.keeper != nil && n.honest() })
	for _, n := range set {
		maps.Copy(all, w.seen.kept[n.disk][ref])
	}
	lacks := map[string]int{}
	for _, n := range set {
		for id, r := range all {
			if w.seen.kept[n.disk][ref][id] == nil {
				by := w.byID[r.Author]
				lacks[fmt.Sprintf("%s: a %s of %s (honest: %v)", n.name, r.Kind, by.name, by.honest())]++
			}
		}
	}
	lines := slices.Sorted(maps.Keys(lacks))
	for i, line := range lines {
		lines[i] = fmt.Sprintf("%s lacks %d", line, lacks[line])
	}
	return strings.Join(lines, "; ")
}

func sameKeys[K comparable, V any](a, b map[K]V) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return true
}

// whole holds I5 at the end: what is on the submitter's disk is all of its job.
func (w *world) whole(k *work) {
	for shard := range k.job.Head.Shards() {
		w.manifestOf(k, shard)
	}
}
