package scheduler

import (
	"maps"

	"github.com/shoalgrid/shoal/jobs"
)

// Equivocation is two records in which one author says two different things of one unit. It is
// proof by itself: whoever has opened the two records needs nothing else, and nobody to trust.
type Equivocation struct{ A, B *jobs.Record }

// Convict reports whether two records, both opened and so known to be their authors', convict
// somebody, and whom: who sealed two answers to one unit, or revealed two. An honest worker cannot
// be convicted, whatever crashes: its nonce depends on nothing but the unit, what it will say is
// on its disk before any of it leaves, and what it said once it never says otherwise. The
// submitter's own runs bind nobody and convict nobody.
func Convict(a, b *jobs.Record) (jobs.NodeID, bool) {
	if a.Author != b.Author || a.Job != b.Job || a.Shard != b.Shard {
		return jobs.NodeID{}, false
	}
	switch x := a.Body.(type) {
	case *jobs.Seal:
		y, ok := b.Body.(*jobs.Seal)
		return a.Author, ok && x.Unit == y.Unit && x.Commitment != y.Commitment
	case *jobs.Reveal:
		y, ok := b.Body.(*jobs.Reveal)
		ours := ok && (x.Replica == WholeUnit || y.Replica == WholeUnit)
		return a.Author, ok && !ours && x.Unit == y.Unit && x.Tuples != y.Tuples
	}
	return jobs.NodeID{}, false
}

// maxConvicted bounds the authors of one shard that are remembered with what convicts them.
const maxConvicted = 1024

// weigh convicts the author of a new record, if another of its records contradicts it.
func (l *Ledger) weigh(r *jobs.Record, with []*jobs.Record) {
	if _, known := l.convicted[r.Author]; known || len(l.convicted) >= maxConvicted {
		return
	}
	for _, o := range with {
		if who, ok := Convict(r, o); ok {
			l.convicted[who] = Equivocation{o, r}
			l.dealings.Convicted = append(l.dealings.Convicted, who)
			return
		}
	}
}

// convicts reports whether somebody is known to have said two things, here or in another shard.
func (l *Ledger) convicts(a *Applicant) bool {
	_, here := l.convicted[a.Worker]
	return here || a.Convicted
}

// Convicted are the authors who said two things, with the records that show it.
func (l *Ledger) Convicted() map[jobs.NodeID]Equivocation {
	out := make(map[jobs.NodeID]Equivocation, len(l.convicted))
	maps.Copy(out, l.convicted)
	return out
}

// Dealings are what a shard has learnt of workers since it was last asked.
type Dealings struct {
	Proven    []jobs.NodeID // a result of theirs was accepted
	Silent    []jobs.NodeID // they did not reveal in time what they had sealed, once for each unit
	Convicted []jobs.NodeID // they said two things of one unit
}

// Empty reports whether there is nothing to tell.
func (d *Dealings) Empty() bool { return len(d.Proven)+len(d.Silent)+len(d.Convicted) == 0 }

// maxDealings bounds each list of dealings; what is too much is not told.
const maxDealings = 4096

// Dealings tells what was learnt of workers, once.
func (l *Ledger) Dealings() Dealings {
	d := l.dealings
	l.dealings = Dealings{}
	return d
}

func note(list *[]jobs.NodeID, n jobs.NodeID) {
	if len(*list) < maxDealings {
		*list = append(*list, n)
	}
}

// proven notes whose votes made a unit's verdict, those that may be copies left out.
func (l *Ledger) proven(v *Verdict) {
	var same uint32
	for i := range v.Votes {
		if v.backs(&v.Votes[i]) {
			same |= 1 << i
		}
	}
	punctual := Punctual(v.Votes, same, int(l.job.Head.Policy.Votes))
	for i := range v.Votes {
		if punctual&(1<<i) != 0 {
			note(&l.dealings.Proven, v.Votes[i].Worker)
		}
	}
}

// backs reports whether a vote has every answer of a decided verdict.
func (v *Verdict) backs(x *Vote) bool {
	for i := range v.Inputs() {
		if in := v.Input(i); in.State != Stuck && x.Tuples[i] != in.Tuple {
			return false
		}
	}
	return true
}
