package trust

import "github.com/shoalgrid/shoal/jobs"

// Estimate is what an answer costs among some donors, as this submitter knows them, when none of
// them lies: executions in all, and the share of units that the submitter runs itself.
func (r Rule) Estimate(p Plan, donors []Donor) (executions, own float64) {
	if r.Need == 0 {
		return float64(r.First), 0
	}
	all, proven := r.pool(donors, false), r.pool(donors, true)
	open := map[Weight]float64{0: 1} // how probable it is that votes weigh so much and decide nothing
	for n := 1; n <= jobs.MaxVotes && len(open) > 0; n++ {
		from := proven
		if n <= r.First {
			from = all
		}
		if n > len(donors) || len(from) == 0 {
			break
		}
		next := map[Weight]float64{}
		for have, p := range open {
			executions += p
			for w, share := range from {
				if sum := have + w; sum < r.Need || n < r.First {
					next[sum] += p * share
				}
			}
		}
		open = next
	}
	for _, p := range open { // what is left is run by the submitter
		executions += p
		own += p
	}
	return executions + p.Quiet*(1-own), own
}

// pool is the shares of donors by weight, those with standing only or all that are heard. Weights
// are cut down to whole tenths of a bit, except that what is enough for two stays enough.
func (r Rule) pool(donors []Donor, proven bool) map[Weight]float64 {
	out, n := map[Weight]float64{}, 0.0
	for _, d := range donors {
		if d.Proven() || d.Heard() && !proven {
			n++
		}
	}
	for _, d := range donors {
		if d.Proven() || d.Heard() && !proven {
			w := d.Weight()
			if 2*w < r.Need {
				w -= w % 100
			}
			out[min(w, r.Need/2)] += 1 / n
		}
	}
	return out
}
