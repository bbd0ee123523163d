package trust

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Nearest chooses which of some units, by their votes, the submitter had best run itself, when it
// runs others already and can run so many more: those whose voters its run brings nearest to
// standing. A few donors with standing can vouch for the rest; many that are half known cannot. It
// gives places in units, the best first.
func (b *Book) Nearest(units, running [][]Vote, most int) (chosen []int) {
	earned := map[jobs.NodeID]uint32{} // by the runs that were chosen
	earn := func(votes []Vote) {
		for _, v := range votes {
			earned[v.Worker]++
		}
	}
	for _, votes := range running {
		earn(votes)
	}
	worth := func(votes []Vote) (sum int) {
		for _, v := range votes {
			d := b.Get(v.Worker)
			if have := int(d.Accepted + earned[v.Worker]); d.Heard() && !v.Own && !v.Late && have < provenAfter {
				sum += 1 + have*have // five of one donor are worth more than one of five
			}
		}
		return sum
	}
	for len(chosen) < min(most, len(units)) {
		best, most := -1, -1
		for i, votes := range units {
			if w := worth(votes); w > most && !slices.Contains(chosen, i) {
				best, most = i, w
			}
		}
		chosen = append(chosen, best)
		earn(units[best])
	}
	return chosen
}
