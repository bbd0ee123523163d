package world

import (
	"bytes"
	"maps"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// merges holds I13, I15 and I19: all records that honest keepers have, merged in several orders.
func (w *world) merges(k *work) {
	for shard := range k.job.Head.Shards() {
		ref := protocol.ShardRef{Job: k.job.ID, Shard: shard}
		all := map[jobs.Digest]*jobs.Record{}
		for _, n := range w.nodes {
			if n.honest() {
				maps.Copy(all, w.seen.kept[n.disk][ref])
			}
		}
		rs := inOrder(all)
		w.convicts(rs)
		m := w.manifestOf(k, shard)
		if m == nil {
			continue
		}
		first := w.merged(k, shard, m, rs)
		again := slices.Clone(rs)
		for i := range again {
			j := w.draw(i + 1)
			again[i], again[j] = again[j], again[i]
		}
		second := w.merged(k, shard, m, append(again, again[:len(again)/2]...))
		if !slices.Equal(first.Digests(), second.Digests()) {
			w.broke("I15", "the records of %s's job give different states in different orders", k.at.name)
		}
		w.follows(k, shard, first, second)
		w.associates(k, shard, m, again[:len(rs)], first)
	}
}

// contradictions holds I13 of a job that is not done.
func (w *world) contradictions(k *work) {
	if k.job == nil {
		return
	}
	for _, n := range w.nodes {
		if n.honest() {
			w.convicts(inOrder(w.seen.kept[n.disk][protocol.ShardRef{Job: k.job.ID}]))
		}
	}
}

// merged is the ledger of some records, in that order.
func (w *world) merged(k *work, shard uint32, m *jobs.Manifest, rs []*jobs.Record) *scheduler.Ledger {
	l := scheduler.NewLedger(k.job, shard, m)
	for i, r := range rs {
		if w.opt.Defect == OrderMatters && i%7 == 3 {
			continue
		}
		if _, err := l.Apply(r); err != nil {
			continue
		}
		if b, ok := r.Body.(*jobs.Reveal); ok && len(b.Inline) > 0 && (w.opt.Defect != Unopened || i%3 != 1) {
			if h, err := jobs.VerifyPayload(bytes.NewReader(b.Inline), 1); err == nil {
				_ = l.Attach(r, h.Tuples)
			}
		}
	}
	return l
}

// follows holds that both orders give the verdicts, and that what was accepted has one.
func (w *world) follows(k *work, shard uint32, a, b *scheduler.Ledger) {
	for n := range a.Units() {
		x, y := a.Verdict(n), b.Verdict(n)
		if x.State != y.State || len(x.Votes) != len(y.Votes) || x.Inputs() > 0 && x.Input(0) != y.Input(0) {
			w.broke("I15", "unit %d is %s in one order and %s in another", n, x.State, y.State)
		}
		number := uint64(shard)*jobs.UnitsPerShard + uint64(n)
		if out, ok := k.gave[number]; ok && w.opt.Liars == 0 && !k.dice && !w.judges() && x.State.Decided() && x.Input(0).Tuple.Output != out {
			w.broke("I19", "unit %d was accepted with another answer than its records have", number)
		}
		if _, ok := k.accepted[number]; ok && !x.State.Decided() && !w.judges() && w.fate.emptyPPM == 0 && w.opt.Liars == 0 {
			w.broke("I19", "unit %d was accepted, and the records do not say so", number)
		}
	}
}

func (w *world) manifestOf(k *work, shard uint32) *jobs.Manifest {
	if k.cheat != nil {
		return k.manifest()
	}
	if k.at.p == nil || k.at.p.submitter == nil || k.at.p.m.Dead() {
		return nil
	}
	m, _, err := k.at.p.submitter.Manifest(k.job, shard)
	if err != nil {
		w.broke("I5", "%s has lost a part of its job: %v", k.at.name, err)
		return nil
	}
	return m
}

// convicts holds I13: of any two records only a liar's can convict, and two of one kind that say
// different things of one unit do.
func (w *world) convicts(rs []*jobs.Record) {
	type about struct {
		by   jobs.NodeID
		kind jobs.Kind
		unit uint16
	}
	firsts := map[about]*jobs.Record{}
	for _, r := range rs {
		unit, said, ok := saying(r)
		if !ok {
			continue
		}
		at := about{r.Author, r.Kind, unit}
		first := firsts[at]
		if first == nil {
			firsts[at] = r
			continue
		}
		_, before, _ := saying(first)
		who, guilty := scheduler.Convict(first, r)
		guilty = guilty && w.opt.Defect != Lenient
		n := w.byID[r.Author]
		switch {
		case guilty && (who != r.Author || n == nil || n.honest() && !w.forgets(n, protocol.ShardRef{Job: r.Job})):
			w.broke("I13", "%s is convicted", w.byID[who].name)
		case guilty != (before != said):
			w.broke("I13", "%s said two things of unit %d, and is not convicted", n.name, unit)
		}
	}
}

// saying is what a seal or a reveal says of which unit. The submitter's own runs bind nobody.
func saying(r *jobs.Record) (unit uint16, said jobs.Digest, ok bool) {
	switch b := r.Body.(type) {
	case *jobs.Seal:
		return b.Unit, b.Commitment, true
	case *jobs.Reveal:
		return b.Unit, b.Tuples, b.Replica != scheduler.WholeUnit
	}
	return 0, said, false
}

// associates holds I15 of three keepers who know a part each: whichever two of them meet first, all
// come to the same.
func (w *world) associates(k *work, shard uint32, m *jobs.Manifest, rs []*jobs.Record, whole *scheduler.Ledger) {
	a, b, c := rs[:len(rs)/3], rs[len(rs)/3:2*len(rs)/3], rs[2*len(rs)/3:]
	left := append(w.recordsOf(w.merged(k, shard, m, append(slices.Clone(a), b...))), c...)
	right := append(slices.Clone(a), w.recordsOf(w.merged(k, shard, m, append(slices.Clone(b), c...)))...)
	if x, y := w.merged(k, shard, m, left).Digests(), w.merged(k, shard, m, right).Digests(); !slices.Equal(x, y) || !slices.Equal(x, whole.Digests()) {
		w.broke("I15", "three parts of the records of %s's job come to different states", k.at.name)
	}
}

// recordsOf are the records that a ledger kept.
func (w *world) recordsOf(l *scheduler.Ledger) []*jobs.Record {
	rs := l.General()
	for n := range l.Units() {
		rs = append(append(rs, l.Seals(n)...), l.Reveals(n)...)
	}
	if w.opt.Defect == HandOnHalf {
		return rs[:len(rs)/2]
	}
	return rs
}
