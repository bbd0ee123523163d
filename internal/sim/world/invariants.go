package world

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Invariants is what every run is held against: name and promise. The last column says where it
// is looked at: at every such event, or when all has healed.
func Invariants() [][3]string {
	return [][3]string{
		{"I1", "an accepted answer has the votes its policy asks, of distinct granted workers, provable to a stranger", "evidence"},
		{"I2", "without a lying worker every accepted answer is the program's", "evidence"},
		{"I3", "all who voted for an accepted wrong answer are liars", "evidence"},
		{"I4", "what was accepted for good never changes", "write"},
		{"I5", "the submitter's disk always has all of its job", "write, crash, end"},
		{"I6", "in the end every unit has exactly one answer", "complete"},
		{"I7", "every execution beyond the votes needed has a cause", "execution"},
		{"I8", "a keeper never grants a replica that it has just granted to another", "claim"},
		{"I9", "no worker starts under a lease that it has let run out", "execution"},
		{"I10", "what a keeper knows of a shard only grows, while it keeps it", "write, summary"},
		{"I11", "what a keeper acknowledged is on its disk", "offer"},
		{"I12", "no honest node says two things about one unit, whatever it went through", "message"},
		{"I13", "no evidence convicts an honest node; what contradicts itself convicts", "end"},
		{"I14", "nobody is shown a result before its round is sealed or its unit is decided", "message, read, evidence"},
		{"I15", "any order of the same records gives the same state", "end"},
		{"I16", "the keepers of a shard come to hold the same records", "healed"},
		{"I17", "the program and the inputs that run are those of the job", "execution"},
		{"I18", "two honest runs of a deterministic program agree", "end"},
		{"I19", "the accepted answers follow from the records alone, without any clock", "end"},
		{"I20", "nobody gets credit for what it did not run", "complete"},
		{"I21", "no worker holds more at a keeper than one may", "claim"},
		{"I22", "messages and work for others are bounded", "request, answer"},
		{"I23", "a message that comes again changes nothing", "offer"},
		{"I24", "every job ends once nothing goes wrong any more", "end"},
		{"I25", "a node that was killed anywhere starts again by itself", "start"},
	}
}

// maxStrands bounds what an honest node is busy with, in worlds of this size.
const maxStrands = 4000

// answered looks at what an honest keeper answers.
func (s *witness) answered(a *asking, answer []byte) {
	if a == nil || len(answer) == 0 || answer[0] != 0 {
		return
	}
	switch a.verb {
	case protocol.Offer:
		s.acknowledged(a, answer)
	case protocol.Claim:
		s.grantsSeen(a, answer)
	case protocol.Renew:
		var q protocol.RenewRequest
		if protocol.DecodeRequest(a.body, &q) == nil && q.Release {
			for _, h := range q.Holds {
				if g := (hold{q.Shard, h}); s.grants[a.p][g].to == a.from {
					delete(s.grants[a.p], g)
				}
			}
		}
	case protocol.Read:
		s.showed(a, answer)
	case protocol.Summary:
		var q protocol.SummaryRequest
		var r protocol.SummaryAnswer
		if protocol.DecodeRequest(a.body, &q) == nil && protocol.DecodeAnswer(answer, &r) == nil {
			s.summed(a.p, q.Shard, r.Summary)
		}
	}
}

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

// grantsSeen holds I8 and I21.
func (s *witness) grantsSeen(a *asking, answer []byte) {
	var q protocol.ClaimRequest
	var r protocol.ClaimAnswer
	if protocol.DecodeRequest(a.body, &q) != nil || protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	k := s.w.workOf(q.Shard.Job)
	if k == nil || a.from == k.at.ID() {
		return
	}
	now := a.p.m.Now()
	live := 0
	given := inner(s.grants, a.p)
	for _, h := range r.Granted {
		at := hold{q.Shard, h}
		if g, ok := given[at]; ok && g.to != a.from && s.w.byID[g.to].honest() && !s.hasSealed(g.to, at) && now.Sub(g.at) < scheduler.UnconfirmedLease/2 {
			s.w.broke("I8", "%s grants replica %d of unit %d to two workers within %s", a.p.name, h.Replica, h.Unit, now.Sub(g.at))
		}
		given[at] = granted{a.from, now}
	}
	for at, g := range given {
		if at.ref == q.Shard && g.to == a.from && now.Sub(g.at) < scheduler.UnconfirmedLease/2 && !s.hasSealed(a.from, at) {
			live++
		}
	}
	if most := scheduler.MaxHolds(&k.job.Head); live > most {
		s.w.broke("I21", "%s lets one worker hold %d replicas, %d are allowed", a.p.name, live, most)
	}
}

func (s *witness) hasSealed(by jobs.NodeID, at hold) bool {
	_, ok := s.sealed[statement{by, at.ref, at.Unit}]
	return ok
}

// showed holds I14 of what a keeper lets be read.
func (s *witness) showed(a *asking, answer []byte) {
	var q protocol.ReadRequest
	var r protocol.ReadAnswer
	if protocol.DecodeRequest(a.body, &q) != nil || protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	k, n := s.w.workOf(q.Shard.Job), s.w.byID[a.from]
	if k == nil || n == nil || n == k.at || n.role.keeps { // a keeper may be one of the shard's
		return
	}
	shown := open(r.Batches)
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

// stated looks at a record that a node sends.
func (s *witness) stated(p *process, ref protocol.ShardRef, r *jobs.Record) {
	author := s.w.byID[r.Author]
	if author == nil {
		return
	}
	switch b := r.Body.(type) {
	case *jobs.Seal:
		s.seals[r.ID] = true
		at := statement{r.Author, ref, b.Unit}
		if old, said := s.sealed[at]; said && old != b.Commitment && author.honest() {
			s.w.broke("I12", "%s seals two things for unit %d", author.name, b.Unit)
		}
		s.sealed[at] = b.Commitment
	case *jobs.Reveal:
		at := statement{r.Author, ref, b.Unit}
		old, said := s.revealed[at]
		if said && old != b.Tuples && author.honest() {
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

// leased holds I9: by the worker's own clock, at most a lease has gone by since it last asked for
// the unit, less what clocks may differ by.
func (s *witness) leased(p *process, k *work, ref protocol.ShardRef, unit uint16) {
	if !p.honest() || k.at == p.node {
		return
	}
	at, asked := s.renewed[p][hold{ref, jobs.Hold{Unit: unit}}]
	ttl := k.job.Head.LeaseTime()
	if !asked || p.m.Now().Sub(at) > ttl-ttl/100-5*time.Second {
		s.w.broke("I9", "%s starts unit %d, which it asked for %s ago", p.name, unit, p.m.Now().Sub(at))
	}
}

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
			by[x.by.ID()] = by[x.by.ID()] || x.state == done
		}
		for id, ok := range by {
			if ok {
				ran[id]++
			}
		}
	}
	for id, share := range c.Credit() {
		if w := k.w; w.opt.Defect == Overpay {
			share.Units++
		}
		if share.Units > ran[id] {
			k.w.broke("I20", "%s is credited with %d units, it ran %d", k.w.byID[id].name, share.Units, ran[id])
		}
	}
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
	s.lastCheck = now
	for _, k := range w.works {
		if k.job == nil || w.converged(k) {
			continue
		}
		if now > max(k.ended, w.fate.until)+convergeWithin {
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

// judge holds what is looked at when all is over.
func (w *world) judge() {
	for _, k := range w.works {
		switch {
		case len(w.report.Broken) >= maxBreaches:
			return
		case !k.complete:
			w.contradictions(k)
			w.broke("I24", "%s's job is not done %s after all healed: %d of %d units%s", k.at.name, w.opt.Limit, len(k.accepted), k.units, w.missing(k))
		case k.job != nil:
			w.whole(k)
			w.merges(k)
		}
	}
	w.agreeing()
}

// whole holds I5 at the end.
func (w *world) whole(k *work) {
	t := table{k.at.p, k.at.disk, 'j'}
	for _, prefix := range []byte{'o', 'm', 'l'} {
		if len(k.at.disk.keys(t.name, append([]byte{prefix}, k.job.ID[:]...))) == 0 {
			w.broke("I5", "%s has lost a part of its job: %c", k.at.name, prefix)
		}
	}
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

// merges holds I13, I15 and I19: all records that honest keepers have, merged in several orders.
func (w *world) merges(k *work) {
	for shard := range k.job.Head.Shards() {
		ref := protocol.ShardRef{Job: k.job.ID, Shard: shard}
		all := map[jobs.Digest]*jobs.Record{}
		for _, n := range w.nodes {
			if n.honest() {
				for id, r := range w.seen.kept[n.disk][ref] {
					all[id] = r
				}
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
	}
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
		says := fmt.Sprintf("; unit %d is %s: %d votes, %d seals, %d reveals; run by", number, v.State, len(v.Votes), len(l.Seals(unit)), len(l.Reveals(unit)))
		for _, r := range append(l.Seals(unit), l.Reveals(unit)...) {
			replica, counts := uint8(0), slices.ContainsFunc(v.Votes, func(v scheduler.Vote) bool { return v.Reveal.ID == r.ID || v.Seal != nil && v.Seal.ID == r.ID })
			switch b := r.Body.(type) {
			case *jobs.Seal:
				replica = b.Replica
			case *jobs.Reveal:
				replica = b.Replica
			}
			says += fmt.Sprintf(", %s of %s for %d (counts %v)", r.Kind, w.byID[r.Author].name, replica, counts)
		}
		for _, x := range w.seen.runs[k][number] {
			says += fmt.Sprintf(" %s(%s, honest %v)", x.by.name, []string{"running", "dropped", "done"}[x.state], x.by.honest())
		}
		return says
	}
	return ""
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
		if b, ok := r.Body.(*jobs.Reveal); ok && len(b.Inline) > 0 {
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
		if _, ok := k.accepted[number]; ok && !x.State.Decided() && !w.judges() && w.fate.emptyPPM == 0 && w.opt.Liars == 0 {
			w.broke("I19", "unit %d was accepted, and the records do not say so", number)
		}
	}
}

func (w *world) manifestOf(k *work, shard uint32) *jobs.Manifest {
	if k.at.p == nil || k.at.p.submitter == nil || k.at.p.m.Dead() {
		return nil
	}
	m, _, err := k.at.p.submitter.Manifest(k.job, shard)
	if err != nil {
		w.broke("I5", "%s cannot read its own job: %v", k.at.name, err)
		return nil
	}
	return m
}

// convicts holds I13: of any two records only a liar's can convict, and two seals of one unit to
// different things do.
func (w *world) convicts(rs []*jobs.Record) {
	type about struct {
		by   jobs.NodeID
		unit uint16
	}
	seals := map[about]*jobs.Record{}
	for _, r := range rs {
		b, ok := r.Body.(*jobs.Seal)
		if !ok {
			continue
		}
		at := about{r.Author, b.Unit}
		first := seals[at]
		if first == nil {
			seals[at] = r
			continue
		}
		who, guilty := scheduler.Convict(first, r)
		differ := first.Body.(*jobs.Seal).Commitment != b.Commitment
		n := w.byID[r.Author]
		switch {
		case guilty && (who != r.Author || n == nil || n.honest()):
			w.broke("I13", "%s is convicted", w.byID[who].name)
		case differ != guilty:
			w.broke("I13", "%s sealed two things for unit %d, and is not convicted", n.name, b.Unit)
		}
	}
}
