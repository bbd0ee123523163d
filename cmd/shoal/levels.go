package main

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
)

// pledge is what a level promises, and what it does not, in words. The figures are measured
// (RATIONALE, "Why are strong's votes asked for one after the other?").
type pledge struct{ promise, not string }

func pledges() map[string]pledge {
	return map[string]pledge{
		"trusted":  {"the word of a peer you name", "anything against that peer, or its broken hardware"},
		"standard": {"two donors gave it, neither seeing the other's; final at once", "colluders: a hostile share f gets about f² of all units wrong"},
		"strong":   {"an error below 1 in a million by your own record of each donor; liars, whitewashers, betrayers and faulty hardware", "a patient cartel: of 10 % it gets 0 to 2 answers of a job wrong, however large, before it is found; and your node must come back to finish"},
		"paranoid": {"seven donors of seven networks agree; a cartel of 10 % has 1 unit in 10 million", "a cartel of 30 %: about 2 units in 10,000"},
	}
}

// levels says of each level what it costs here, what it promises and what it does not.
func (u *ui) levels(list []api.Level) {
	for _, l := range list {
		u.say("%s", levelLine(l))
		p := pledges()[l.Level]
		u.say("          promises: %s", p.promise)
		u.say("          does not hold against: %s", p.not)
	}
}

// levelLine is what one level costs in the grid as it is seen from here.
func levelLine(l api.Level) string {
	parts := []string{fmt.Sprintf("%-9s %.2f executions an answer if nobody lies", l.Level, l.Executions)}
	if l.OwnShare >= 0.005 {
		parts = append(parts, fmt.Sprintf("%.0f %% of units run here", 100*l.OwnShare))
	}
	switch {
	case l.Level == "strong":
		parts = append(parts, fmt.Sprintf("%d of %s known to you", l.Proven, count(int64(l.Donors), "donor")))
	case l.Level == "paranoid":
		parts = append(parts, fmt.Sprintf("%d of 7 networks in sight", l.Networks))
	}
	if !l.Possible {
		parts = append(parts, "not possible here now")
	}
	if l.Chosen {
		parts = append(parts, "chosen")
	}
	return strings.Join(parts, " · ")
}
