package scheduler

import (
	"cmp"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// State is where a unit stands.
type State uint8

// The states of a unit, in the order a reader would call progress.
const (
	Open State = iota
	Running
	Sealed
	Agreed
	Failed // agreed, and some input's answer is a failure
	Stuck  // some input was given up by three donors, the rest is agreed
	Disputed

	numStates
)

var stateNames = [numStates]string{"open", "running", "sealed", "agreed", "failed", "stuck", "disputed"}

// String is the state's name.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "unknown"
}

// Decided reports whether nothing more is to be run for a unit in this state.
func (s State) Decided() bool { return s == Agreed || s == Failed || s == Stuck }

// GaveUpDonors is how many distinct donors must give an input up before it is stuck.
const GaveUpDonors = 3

// Vote is one worker's counted result for a unit.
type Vote struct {
	Worker jobs.NodeID
	Reveal *jobs.Record
	Seal   *jobs.Record // nil for the submitter's own run, which needs none
	Tuples []jobs.Tuple
	Own    bool // by the submitter's node
}

// InputVerdict is what a unit's votes amount to for one input.
type InputVerdict struct {
	State State // Open, Agreed, Failed, Stuck or Disputed
	Tuple jobs.Tuple
	Votes int // for the tuple
}

// Verdict is what a unit's votes amount to.
type Verdict struct {
	State  State // Open, Agreed, Failed, Stuck or Disputed: what the set of records says
	Votes  []Vote
	Inputs []InputVerdict
	Wanted int // votes, with those that there are, that could decide the unit

	Done, Failed, Stuck uint64 // inputs decided (failures included), failures, given up
}

// Verdict judges a unit by the set of records.
func (l *Ledger) Verdict(n int) *Verdict {
	u := &l.units[n]
	if !u.fresh {
		u.verdict = judge(l.votes(u), int(u.inputs), int(l.job.Head.Policy.Votes))
		u.fresh = true
	}
	return &u.verdict
}

// votes are the reveals of a unit that count, one for each worker, in the order of worker ids.
// A worker that contradicts itself has none.
func (l *Ledger) votes(u *unit) []Vote {
	var out []Vote
	contradicts := map[jobs.NodeID]bool{}
	for _, r := range u.reveals {
		v, ok := l.vote(u, r)
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(o Vote) bool { return o.Worker == v.Worker })
		switch {
		case i < 0:
			out = append(out, v)
		case out[i].Reveal.Body.(*jobs.Reveal).Tuples != v.Reveal.Body.(*jobs.Reveal).Tuples:
			contradicts[v.Worker] = true
		case slices.Compare(v.Reveal.ID[:], out[i].Reveal.ID[:]) < 0:
			out[i] = v // same answer twice: the choice must not depend on arrival
		}
	}
	out = slices.DeleteFunc(out, func(v Vote) bool { return contradicts[v.Worker] })
	slices.SortFunc(out, func(a, b Vote) int { return slices.Compare(a.Worker[:], b.Worker[:]) })
	return out
}

// vote says whether a reveal counts: its tuples are known, and it is the submitter's own, or
// opens a granted seal of the same worker.
func (l *Ledger) vote(u *unit, r *jobs.Record) (Vote, bool) {
	b := r.Body.(*jobs.Reveal)
	ts, known := l.contents[b.Tuples]
	if !known || len(ts) != int(u.inputs) {
		return Vote{}, false
	}
	v := Vote{Worker: r.Author, Reveal: r, Tuples: ts}
	if r.Author == l.job.Head.Submitter {
		v.Own = true
		return v, true
	}
	if l.job.Head.Policy.Level == jobs.Trusted && !l.trust[r.Author] {
		return Vote{}, false
	}
	commitment := jobs.Commit(l.job.ID, l.shard, b.Unit, r.Author, b.Tuples, b.Nonce)
	for _, s := range u.seals {
		sb := s.Body.(*jobs.Seal)
		if s.Author != r.Author || sb.Replica != b.Replica || sb.Commitment != commitment || !l.granted(s.Author, sb) {
			continue
		}
		if v.Seal == nil || slices.Compare(s.ID[:], v.Seal.ID[:]) < 0 {
			v.Seal = s
		}
	}
	return v, v.Seal != nil
}

// Independent reports whether each of two votes names the other's seal: neither worker can
// have seen the other's result before it was bound to its own. Checkable offline, no clock.
func Independent(a, b Vote) bool {
	return a.Seal != nil && b.Seal != nil &&
		slices.Contains(a.Reveal.Body.(*jobs.Reveal).Seals, b.Seal.ID) &&
		slices.Contains(b.Reveal.Body.(*jobs.Reveal).Seals, a.Seal.ID)
}

// judge is the policy: one tuple with the needed votes, and more than any other.
func judge(votes []Vote, inputs, need int) Verdict {
	v := Verdict{State: Agreed, Votes: votes, Inputs: make([]InputVerdict, inputs), Wanted: len(votes)}
	for i := range v.Inputs {
		in, missing := judgeInput(votes, i, need)
		v.Inputs[i] = in
		v.State = worse(v.State, in.State)
		v.Wanted = max(v.Wanted, min(len(votes)+missing, jobs.MaxVotes))
		switch in.State {
		case Agreed:
			v.Done++
		case Failed:
			v.Done++
			v.Failed++
		case Stuck:
			v.Stuck++
		}
	}
	return v
}

// worse is the state of a unit two of whose inputs are in states a and b.
func worse(a, b State) State {
	rank := func(s State) int { return slices.Index([]State{Agreed, Failed, Stuck, Disputed, Open}, s) }
	if rank(b) > rank(a) {
		return b
	}
	return a
}

type tally struct {
	tuple jobs.Tuple
	votes int
}

// judgeInput judges one input and says how many more votes could decide it.
func judgeInput(votes []Vote, i, need int) (InputVerdict, int) {
	var tallies []tally
	gaveUp := 0
	for _, v := range votes {
		t := v.Tuples[i]
		switch {
		case t.Outcome == jobs.GaveUp && v.Own:
			gaveUp += GaveUpDonors // the submitter's own machine is word enough for its own job
		case t.Outcome == jobs.GaveUp:
			gaveUp++
		case v.Own:
			return decided(t, need), 0
		default:
			tallies = count(tallies, t)
		}
	}
	slices.SortFunc(tallies, func(a, b tally) int { return cmp.Compare(b.votes, a.votes) })
	top, second := 0, 0
	if len(tallies) > 0 {
		top = tallies[0].votes
	}
	if len(tallies) > 1 {
		second = tallies[1].votes
	}
	switch {
	case top >= need && top > second:
		v := decided(tallies[0].tuple, top)
		return v, 0
	case gaveUp >= GaveUpDonors:
		return InputVerdict{State: Stuck, Tuple: jobs.Tuple{Outcome: jobs.GaveUp}, Votes: gaveUp}, 0
	case len(votes) >= jobs.MaxVotes:
		return InputVerdict{State: Disputed}, 0
	}
	return InputVerdict{State: Open}, max(need-top, 1)
}

func decided(t jobs.Tuple, votes int) InputVerdict {
	if t.Outcome.Failed() {
		return InputVerdict{State: Failed, Tuple: t, Votes: votes}
	}
	return InputVerdict{State: Agreed, Tuple: t, Votes: votes}
}

func count(ts []tally, t jobs.Tuple) []tally {
	for i := range ts {
		if ts[i].tuple == t {
			ts[i].votes++
			return ts
		}
	}
	return append(ts, tally{t, 1})
}
