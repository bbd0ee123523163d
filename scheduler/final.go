package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// finalUnits is how many units the final record of a number is to speak of.
func (l *Ledger) finalUnits(number uint16) int {
	return min(max(len(l.units)-int(number)*jobs.FinalUnits, 0), jobs.FinalUnits)
}

// finished takes in the submitter's last word on some units. Of two that differ that with the
// smaller id counts, whichever came first.
func (l *Ledger) finished(r *jobs.Record, f *jobs.Final) {
	at := &l.finals[f.Number]
	if *at != nil && compareIDs(*at, r) < 0 {
		return
	}
	*at = r
	for i := range f.Answers {
		l.units[int(f.Number)*jobs.FinalUnits+i].fresh = false
	}
}

// Final is what the submitter's last word on a unit names as its answer's tuples.
func (l *Ledger) Final(n int) (answer jobs.Digest, ok bool) {
	r := l.finals[n/jobs.FinalUnits]
	if r == nil {
		return jobs.Digest{}, false
	}
	return r.Body.(*jobs.Final).Answers[n%jobs.FinalUnits], true
}

// Finals are the submitter's last words on the shard, and whether they speak of all of its units.
func (l *Ledger) Finals() (rs []*jobs.Record, all bool) {
	for n, r := range l.finals {
		if r != nil {
			rs = append(rs, r)
		} else if l.finalUnits(uint16(n)) > 0 {
			return rs, false
		}
	}
	return rs, true
}

// SignFinal signs the submitter's last word on a shard's units, whose answers are given in order.
func SignFinal(s jobs.Signer, network string, job jobs.JobID, shard uint32, answers []jobs.Digest) ([]*jobs.Record, error) {
	var bodies []any
	for part := range slices.Chunk(answers, jobs.FinalUnits) {
		bodies = append(bodies, &jobs.Final{Number: uint16(len(bodies)), Answers: part})
	}
	return jobs.SignBatch(s, network, job, shard, bodies...)
}

// settle makes an answer the verdict that the submitter has said is final, if it has the votes of
// the policy, or is the submitter's own: of votes that do not agree its word decides, not their
// number. Nobody's word makes an answer of what nobody voted for.
func (v *Verdict) settle(answer jobs.Digest) {
	votes, at, own := 0, 0, false
	for i, x := range v.Votes {
		if x.Reveal.Body.(*jobs.Reveal).Tuples == answer {
			votes, at, own = votes+1, i+1, own || x.Own
		}
	}
	if !own && (votes == 0 || votes < v.need) {
		return
	}
	v.chosen, v.supports = at, votes
	v.State, v.Wanted, v.Done, v.Failed, v.Stuck = Agreed, len(v.Votes), 0, 0, 0
	for i := range v.inputs {
		v.count(v.Input(i).State)
	}
}

// Settled reports whether the submitter's last word made the verdict.
func (v *Verdict) Settled() bool { return v.chosen > 0 }

// count adds an input in a state.
func (v *Verdict) count(s State) {
	if weight(s) > weight(v.State) {
		v.State = s
	}
	switch s {
	case Agreed:
		v.Done++
	case Failed:
		v.Done++
		v.Failed++
	case Stuck:
		v.Stuck++
	}
}
