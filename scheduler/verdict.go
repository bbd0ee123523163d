package scheduler

import (
	"slices"
	"time"

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
	Wanted int // votes, with those that there are, that could decide the unit

	Done, Failed, Stuck uint64 // inputs decided (failures included), failures, given up

	inputs, need     int
	chosen, supports int // the vote, from 1, that the submitter's last word names, and how many say the same
}

// Inputs is the number of inputs that were judged: none while there are no votes.
func (v *Verdict) Inputs() int { return v.inputs }

// Input is what the votes amount to for one input. It is judged anew: a shard can have four
// million inputs, and few are ever asked for.
func (v *Verdict) Input(i int) InputVerdict {
	if v.chosen > 0 {
		t := v.Votes[v.chosen-1].Tuples[i]
		if t.Outcome == jobs.GaveUp {
			return InputVerdict{State: Stuck, Tuple: t, Votes: v.supports}
		}
		return decided(t, v.supports)
	}
	in, _ := judgeInput(v.Votes, i, v.need, nil)
	return in
}

// Agrees reports whether a worker's vote counts, and whether it is what was decided for every input.
func (v *Verdict) Agrees(worker jobs.NodeID) (agrees, voted bool) {
	k := slices.IndexFunc(v.Votes, func(x Vote) bool { return x.Worker == worker })
	if k < 0 {
		return false, false
	}
	for i := range v.Inputs() {
		if v.Votes[k].Tuples[i] != v.Input(i).Tuple {
			return false, true
		}
	}
	return true, true
}

// Verdict judges a unit by the set of records. What it points to holds until the next change.
func (l *Ledger) Verdict(n int) *Verdict { return &l.judged(n).verdict }

// judged brings what a unit's records say up to date.
func (l *Ledger) judged(n int) *unit {
	u := &l.units[n]
	if u.fresh {
		return u
	}
	before, decided := u.verdict.Votes, u.verdict.State.Decided()
	u.sealed, u.sealers = l.sealed(u)
	u.verdict = judge(l.votes(u), int(u.inputs), int(l.job.Head.Policy.Votes))
	if answer, ok := l.Final(n); ok {
		u.verdict.settle(answer)
	}
	u.reopen()
	u.fresh, u.wake = true, time.Time{}
	u.held = u.held && u.verdict.State.Decided()
	l.census.move(before, u.verdict.Votes)
	if u.verdict.State.Decided() && !decided {
		l.proven(&u.verdict)
	}
	return u
}

// mayVote reports whether a worker's word can count at the job's level.
func (l *Ledger) mayVote(worker jobs.NodeID) bool {
	return l.job.Head.Policy.Level != jobs.Trusted || l.trust[worker]
}

// sealed are the seals that count, in the order of their ids, and the number of their workers:
// granted, and by a worker that sealed one thing only. Who seals two answers could reveal the
// one its partner gave.
func (l *Ledger) sealed(u *unit) (out []*jobs.Record, workers int) {
	for _, s := range u.seals {
		b := s.Body.(*jobs.Seal)
		if b.Replica >= jobs.MaxVotes || !l.mayVote(s.Author) || contradicts(u.seals, s) || !l.granted(s.Author, b) {
			continue
		}
		if !slices.ContainsFunc(out, by(s.Author)) {
			workers++
		}
		out = append(out, s)
	}
	slices.SortFunc(out, compareIDs)
	return out, workers
}

// votes are the reveals of a unit that count, one for each worker, in the order of worker ids.
// A worker that contradicts itself has none.
func (l *Ledger) votes(u *unit) []Vote {
	var out []Vote
	for _, r := range u.reveals { // sorted by author, then by id: the choice does not depend on arrival
		if len(out) > 0 && out[len(out)-1].Worker == r.Author {
			continue
		}
		b := r.Body.(*jobs.Reveal)
		c, known := l.contents[b.Tuples]
		if !known || !l.fits(r, c) {
			continue
		}
		if seal, ok := l.opens(u, r); ok {
			out = append(out, Vote{Worker: r.Author, Reveal: r, Seal: seal, Tuples: c.tuples, Own: seal == nil})
		}
	}
	return out
}

// opens reports whether a reveal counts, once its tuples are known: its author revealed nothing
// else, and it is the submitter's own, or opens the seal that is returned.
func (l *Ledger) opens(u *unit, r *jobs.Record) (seal *jobs.Record, ok bool) {
	if contradicts(u.reveals, r) {
		return nil, false
	}
	if r.Author == l.job.Head.Submitter {
		return nil, true
	}
	b := r.Body.(*jobs.Reveal)
	commitment := jobs.Commit(l.job.ID, l.shard, b.Unit, r.Author, b.Tuples, b.Nonce)
	i := slices.IndexFunc(u.sealed, func(s *jobs.Record) bool {
		sb := s.Body.(*jobs.Seal)
		return s.Author == r.Author && sb.Replica == b.Replica && sb.Commitment == commitment
	})
	if i < 0 {
		return nil, false
	}
	return u.sealed[i], true
}

// Independent reports whether each of two votes names the other's seal: neither worker can
// have seen the other's result before it was bound to its own. Checkable offline, no clock.
func Independent(a, b Vote) bool {
	return a.Seal != nil && b.Seal != nil &&
		slices.Contains(a.Reveal.Body.(*jobs.Reveal).Seals, b.Seal.ID) &&
		slices.Contains(b.Reveal.Body.(*jobs.Reveal).Seals, a.Seal.ID)
}

// votedBy reports whether a worker's vote is among those counted.
func (v *Verdict) votedBy(worker jobs.NodeID) bool {
	return slices.ContainsFunc(v.Votes, func(x Vote) bool { return x.Worker == worker })
}

// judge is the policy: one tuple with the needed votes, and more than any other.
func judge(votes []Vote, inputs, need int) Verdict {
	if len(votes) == 0 {
		return Verdict{Wanted: need}
	}
	v := Verdict{State: Agreed, Votes: votes, Wanted: len(votes), inputs: inputs, need: need}
	var scratch [jobs.MaxVotes]tally
	for i := range inputs {
		in, missing := judgeInput(votes, i, need, scratch[:0])
		v.Wanted = max(v.Wanted, min(len(votes)+missing, jobs.MaxVotes))
		v.count(in.State)
	}
	return v
}

// weight orders the states of inputs: a unit is in the weightiest of its inputs' states.
func weight(s State) int {
	switch s {
	case Agreed:
		return 0
	case Failed:
		return 1
	case Stuck:
		return 2
	case Disputed:
		return 3
	}
	return 4 // open: something is still to be run
}

type tally struct {
	tuple jobs.Tuple
	votes int
}

// judgeInput judges one input and says how many more votes could decide it.
func judgeInput(votes []Vote, i, need int, tallies []tally) (InputVerdict, int) {
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
	var top, second tally
	for _, t := range tallies {
		if t.votes > top.votes {
			top, second = t, top
		} else if t.votes > second.votes {
			second = t
		}
	}
	switch {
	case top.votes >= need && top.votes > second.votes:
		return decided(top.tuple, top.votes), 0
	case gaveUp >= GaveUpDonors:
		return InputVerdict{State: Stuck, Tuple: jobs.Tuple{Outcome: jobs.GaveUp}, Votes: gaveUp}, 0
	case len(votes) >= jobs.MaxVotes:
		return InputVerdict{State: Disputed}, 0
	}
	return InputVerdict{State: Open}, max(need-top.votes, 1)
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
