package scheduler

import "github.com/shoalgrid/shoal/jobs"

// DrawsDue are the numbers of the draws that a submitter who is present makes now: for the units
// that are open to claims, and for those that will be before half a draw's units more are claimed.
// A later secret is a better one, since nobody can prepare for it; nil where there is no lot.
func (s *Summary) DrawsDue() (numbers []uint16) {
	if s.Lottery == nil {
		return nil
	}
	claimed := 0 // units up to the last that somebody has to do with
	for n := range s.Len() {
		if s.Unit(n).State != Open {
			claimed = n + 1
		}
	}
	reach := claimed + openAtOnce(int(s.Lottery.Donors)) + jobs.DrawUnits/2
	for first := 0; first < min(reach, s.Len()); first += jobs.DrawUnits {
		for n := first; n < min(first+jobs.DrawUnits, s.Len()); n++ {
			if !s.Unit(n).State.Decided() {
				numbers = append(numbers, uint16(first/jobs.DrawUnits))
				break
			}
		}
	}
	return numbers
}

// openAtOnce is how many units with free replicas a crowd of donors is shown.
func openAtOnce(donors int) int { return max(leastOpen, donors/2) }
