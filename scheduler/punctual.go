package scheduler

import (
	"math/bits"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Punctual picks, of some votes that give the same answer (a bit each), those that cannot be copies
// of another of them: each was sealed before any of the others was revealed. All others are late,
// and earn nothing. need is how many votes make an answer.
//
// There is no clock. A reveal names the seals that its author had read, so who names whom is all
// that is known of the order, and a liar may leave out what it likes. What it cannot do is to be
// named by a vote that was revealed before it sealed. So a *round* is some donors' votes, as many as
// make an answer, that lead to each other by who names whom and to no vote outside: what others
// leave out takes nothing from it. If there is exactly one, those are punctual that all of it
// names; if there are several, nobody knows which came first, and none is. Where the round never
// came together, because one of it sealed and did not reveal, those are punctual that all others
// name. The submitter's own run is in no round, and must name whom it vouches for.
func Punctual(votes []Vote, same uint32, need int) uint32 {
	if bits.OnesCount32(same) < min(need, 2) {
		return 0
	}
	names, own := naming(votes, same)
	donors := same &^ own
	out := donors
	switch rounds := roundsOf(names, donors, need); len(rounds) {
	case 0:
	case 1:
		out, same = rounds[0], rounds[0]|own
	default:
		return 0
	}
	for i := range votes {
		if same&(1<<i) != 0 {
			out &= names[i]
		}
	}
	return out
}

// naming is which of some votes each of them names, itself among them, and which are the
// submitter's own.
func naming(votes []Vote, same uint32) (names []uint32, own uint32) {
	names = make([]uint32, len(votes))
	for i := range votes {
		if votes[i].Own {
			own |= 1 << i
		}
		names[i] = 1 << i
		seals := votes[i].Reveal.Body.(*jobs.Reveal).Seals
		for k := range votes {
			if s := votes[k].Seal; same&(1<<k) != 0 && s != nil && slices.Contains(seals, s.ID) {
				names[i] |= 1 << k
			}
		}
	}
	return names, own & same
}

// roundsOf are the sets of at least so many donors' votes that lead to each other and to no other.
func roundsOf(names []uint32, donors uint32, need int) (rounds []uint32) {
	leads := slices.Clone(names)
	for k := range leads {
		for i := range leads {
			if leads[i]&(1<<k) != 0 && donors&(1<<k) != 0 {
				leads[i] |= leads[k]
			}
		}
	}
	for i, round := range leads {
		if donors&(1<<i) == 0 || bits.OnesCount32(round) < need || bits.TrailingZeros32(round) != i {
			continue
		}
		closed := true
		for k := range leads {
			closed = closed && (round&(1<<k) == 0 || leads[k] == round)
		}
		if closed {
			rounds = append(rounds, round)
		}
	}
	return rounds
}

// Awaits reports whether a unit has a vote that names the seal of a worker without one: what is
// known of its votes may not be all.
func (l *Ledger) Awaits(n int) bool {
	u := l.judged(n)
	for i := range u.verdict.Votes {
		for _, id := range u.verdict.Votes[i].Reveal.Body.(*jobs.Reveal).Seals {
			k := slices.IndexFunc(u.sealed, func(s *jobs.Record) bool { return s.ID == id })
			if k >= 0 && !u.verdict.votedBy(u.sealed[k].Author) {
				return true
			}
		}
	}
	return false
}
