package node

import (
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// What each level costs, and whether it can be had at all, follows from who is in view.
func TestLevelsInView(t *testing.T) {
	crowd := func(n int, known trust.Donor) *view {
		v := &view{donors: make([]jobs.NodeID, n), known: make([]trust.Donor, n)}
		for i := range v.known {
			v.known[i] = known
		}
		return v
	}
	friend := []jobs.NodeID{{1}}
	here, named, gone, spread := crowd(0, trust.Donor{}), crowd(1, trust.Donor{}), crowd(0, trust.Donor{}), crowd(scheduler.Crowd, trust.Donor{})
	here.here, named.trust, gone.trust, spread.networks = true, friend, friend, jobs.ParanoidVotes
	for _, c := range []struct {
		name    string
		view    *view
		level   jobs.Level
		missing string
		own     bool // most units are run here
		lot     bool
	}{
		{"nobody named", crowd(9, trust.Donor{}), jobs.Trusted, "needs a peer that you name: --trust PEER", false, false},
		{"nobody named, but this node works", here, jobs.Trusted, "", false, false},
		{"the named peer is away", gone, jobs.Trusted, "needs a peer that you name, none of 1 is in sight", false, false},
		{"the named peer is here", named, jobs.Trusted, "", false, false},
		{"one donor", crowd(1, trust.Donor{}), jobs.Standard, "needs 2 donors, 1 in sight", false, false},
		{"nobody but this node", here, jobs.Standard, "", false, false},
		{"two donors", crowd(2, trust.Donor{}), jobs.Standard, "", false, false},
		{"a crowd", spread, jobs.Standard, "", false, true},
		{"nobody is known", crowd(8, trust.Donor{}), jobs.Strong, "", true, false},
		{"all are known", crowd(8, trust.Donor{Accepted: 90}), jobs.Strong, "", false, false},
		{"a LAN", crowd(8, trust.Donor{}), jobs.Paranoid, "needs donors in 7 networks, 0 in sight", false, false},
		{"seven networks", spread, jobs.Paranoid, "", false, true},
	} {
		got := c.view.level(c.level, 10)
		if got.Missing != c.missing || got.Possible != (c.missing == "") || got.OwnShare > 0.5 != c.own || got.ByLot != c.lot {
			t.Errorf("%s, %s: %+v", c.name, c.level, got)
		}
		if final := c.level < jobs.Strong; got.AwayFinal != final || got.AwayExecutions != float64(c.level.Votes()) {
			t.Errorf("%s, %s, without its submitter: %+v", c.name, c.level, got)
		}
	}
}
