package evidence

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// supporters are the votes, one bit each, that gave what an input's verdict is.
func supporters(v *scheduler.Verdict, input int, t jobs.Tuple) (mask uint32) {
	for k := range v.Votes {
		if v.Votes[k].Tuples[input] == t {
			mask |= 1 << k
		}
	}
	return mask
}

// circle judges which votes are independent of each other, each set of votes once.
type circle struct {
	votes []scheduler.Vote
	known map[uint32]int
}

// size is the largest number of votes among those in mask that are all independent of each other.
func (c *circle) size(mask uint32) int {
	if n, ok := c.known[mask]; ok || mask == 0 {
		return n
	}
	first := bits.TrailingZeros32(mask)
	rest := mask &^ (1 << first)
	with := uint32(0)
	for k := range c.votes {
		if rest&(1<<k) != 0 && scheduler.Independent(c.votes[first], c.votes[k]) {
			with |= 1 << k
		}
	}
	n := max(c.size(rest), 1+c.size(with))
	c.known[mask] = n
	return n
}

// standingOf is how a decided verdict came about.
func standingOf(v *scheduler.Verdict, need int) Standing {
	if slices.ContainsFunc(v.Votes, func(x scheduler.Vote) bool { return x.Own }) {
		return Vouched
	}
	c := &circle{v.Votes, map[uint32]int{}}
	for i := range v.Inputs() {
		in := v.Input(i)
		if in.State != scheduler.Stuck && need > 1 && c.size(supporters(v, i, in.Tuple)) < need {
			return Late
		}
	}
	return Independent
}

// Shares are what each donor of a decided unit gave to it. The submitter's own runs earn nothing,
// nor does a late vote, which may be a copy: scheduler.Punctual says whose are not.
func Shares(v *scheduler.Verdict, p *jobs.Policy) map[jobs.NodeID]Share {
	out := map[jobs.NodeID]Share{}
	for _, x := range v.Votes {
		if !x.Own {
			out[x.Worker] = Share{}
		}
	}
	punctual := map[uint32]uint32{} // by supporters: as a rule the same of every input
	for i := range v.Inputs() {
		in := v.Input(i)
		if in.State == scheduler.Stuck {
			continue
		}
		same := supporters(v, i, in.Tuple)
		first, ok := punctual[same]
		if !ok {
			first = scheduler.Punctual(v.Votes, same, int(p.Votes))
			punctual[same] = first
		}
		for k, x := range v.Votes {
			if x.Own || same&(1<<k) == 0 {
				continue
			}
			s := out[x.Worker]
			if first&(1<<k) != 0 {
				s.Units = 1
				s.Inputs++
				s.Fuel += in.Tuple.Fuel
			} else {
				s.Late += in.Tuple.Fuel
			}
			out[x.Worker] = s
		}
	}
	return out
}

// unmet says what a unit's level asks for and its decided verdict does not have; "" for nothing.
func unmet(l *scheduler.Ledger, v *scheduler.Verdict, s Standing) string {
	p := &l.Job().Head.Policy
	if s == Vouched || v.Done == 0 {
		return ""
	}
	switch p.Level {
	case jobs.Paranoid:
		if s == Late {
			return "some of its votes are late: paranoid asks for votes that are all independent"
		}
		votes := answering(v.Votes)
		if slices.ContainsFunc(votes, func(x scheduler.Vote) bool { return !slices.Equal(x.Tuples, votes[0].Tuples) }) {
			return "its votes are not unanimous, which paranoid asks for"
		}
		if n := networks(l, votes); n < int(p.Votes) {
			return fmt.Sprintf("its votes come from %d networks, paranoid asks for %d", n, p.Votes)
		}
	}
	return ""
}

// answering are the votes with an answer to every input: to give up, for want of time or memory, is
// no other answer.
func answering(votes []scheduler.Vote) []scheduler.Vote {
	return slices.DeleteFunc(slices.Clone(votes), func(x scheduler.Vote) bool { return x.Reveal.Body.(*jobs.Reveal).GaveUp })
}

// networks is how many networks the votes' workers were seen in by those who granted them.
// Private addresses are none.
func networks(l *scheduler.Ledger, votes []scheduler.Vote) int {
	seen := map[string]bool{}
	for _, x := range votes {
		if x.Seal == nil {
			continue
		}
		if n := l.Network(x.Seal); n != "" {
			seen[n] = true
		}
	}
	return len(seen)
}
