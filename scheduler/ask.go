package scheduler

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// askedFor takes in for which units the submitter wants how many votes, and whose. Of several
// asks the most counts, and everyone that one of them names.
func (l *Ledger) askedFor(a *jobs.Ask) {
	for _, x := range a.Units {
		if int(x.Unit) >= len(l.units) {
			continue
		}
		u := &l.units[x.Unit]
		if x.Votes > jobs.MaxVotes {
			x.Votes = jobs.OwnRun
		}
		u.asked = max(u.asked, x.Votes)
		for _, v := range a.Voters {
			if !slices.Contains(u.voters, v) && len(u.voters) < jobs.MaxVoters*jobs.MaxVotes {
				u.voters = append(u.voters, v)
			}
		}
		u.fresh = false
	}
}

// Asked is how many votes the submitter asked for; jobs.OwnRun: its own run.
func (l *Ledger) Asked(n int) uint8 { return l.units[n].asked }

// Named are the voters that the submitter wants for a unit; nobody: whoever comes. It must not be
// changed.
func (l *Ledger) Named(n int) []jobs.NodeID { return l.units[n].voters }

// reopen takes back that a unit is decided, as long as it has fewer votes than its submitter asked
// for: at its level keepers gather, and only the submitter finishes.
func (u *unit) reopen() {
	v := &u.verdict
	if v.chosen > 0 || int(u.asked) <= len(v.Votes) || slices.ContainsFunc(v.Votes, func(x Vote) bool { return x.Own }) {
		return
	}
	v.State = Open
	v.Wanted = max(v.Wanted, min(int(u.asked), jobs.MaxVotes))
}

// mayStill reports whether a worker may take a replica beyond the first round: where the submitter
// names the voters it wants, only they may.
func (u *unit) mayStill(worker jobs.NodeID, replica, first uint8) bool {
	return replica < first || len(u.voters) == 0 || slices.Contains(u.voters, worker)
}

// narrowAsked leaves of the free replicas those that a worker may take where the submitter names
// the voters it wants.
func (l *Ledger) narrowAsked(s *Summary, worker jobs.NodeID) {
	first := byte(1)<<l.job.Head.Policy.Votes - 1
	for n := range l.units {
		if u := &l.units[n]; len(u.voters) > 0 && !slices.Contains(u.voters, worker) {
			s.Units[2*n+1] &= first
		}
	}
}
