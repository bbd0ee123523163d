package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// awaitLevels is levels, once somebody had time to come into sight.
func (n *Node) awaitLevels(ctx context.Context, h *jobs.Head, units int) []api.Level {
	n.bringUp()
	n.awaitKeepers(ctx, firstPeers)
	return n.levels(h, units)
}

// levels is what each level would cost for a job, in the grid as it is seen from here.
func (n *Node) levels(h *jobs.Head, units int) []api.Level {
	var out []api.Level
	for l := jobs.Trusted; l <= jobs.Paranoid; l++ {
		out = append(out, n.level(l, h, units))
	}
	return out
}

// level is what one level costs for a job of so many units.
func (n *Node) level(l jobs.Level, h *jobs.Head, units int) api.Level {
	v := view{donors: n.net.donating(), here: n.donatingNow(), trust: h.Policy.Trust}
	if l == jobs.Trusted {
		v.donors = slices.DeleteFunc(v.donors, func(id jobs.NodeID) bool { return !slices.Contains(v.trust, id) })
	}
	v.known = n.judge.Known(v.donors)
	networks := map[string]bool{}
	for _, id := range v.donors {
		if at := n.net.NetworkOf(id); at != "" {
			networks[at] = true
		}
	}
	v.networks = len(networks)
	out := v.level(l, units)
	out.Chosen = l == h.Policy.Level
	return out
}

// view is who could work on a job, as far as this node sees.
type view struct {
	donors   []jobs.NodeID
	known    []trust.Donor // of each, what this submitter's earlier jobs have shown
	networks int           // that they are in, private ones not counted
	here     bool          // this node works on its own jobs
	trust    []jobs.NodeID // whom the submitter names
}

// level is what a level costs among those in view.
func (v *view) level(l jobs.Level, units int) api.Level {
	policy := jobs.Policy{Level: l, Votes: l.Votes()}
	lots := len(v.donors) >= scheduler.Crowd && l != jobs.Trusted
	cost := trust.Estimate(policy, v.known, units, lots)
	out := api.Level{
		Level: l.String(), Donors: len(v.donors), Networks: v.networks, ByLot: lots,
		Executions: cost.Executions, OwnShare: cost.Own,
		AwayExecutions: float64(policy.Votes), AwayFinal: l < jobs.Strong,
		Missing: v.missing(l, int(policy.Votes)),
	}
	out.Possible = out.Missing == ""
	for _, d := range v.known {
		if d.Proven() {
			out.Proven++
		}
	}
	return out
}

// missing is what those in view are short of for a level; "": they are enough. At strong they
// always are: what nobody else can vouch for the submitter runs itself.
func (v *view) missing(l jobs.Level, votes int) string {
	switch {
	case l == jobs.Paranoid && v.networks < jobs.ParanoidVotes:
		return fmt.Sprintf("needs donors in %d networks, %d in sight", jobs.ParanoidVotes, v.networks)
	case l == jobs.Trusted && len(v.trust) == 0 && !v.here:
		return "needs a peer that you name: --trust PEER"
	case l == jobs.Trusted && len(v.donors) == 0 && !v.here:
		return fmt.Sprintf("needs a peer that you name, none of %d is in sight", len(v.trust))
	case l == jobs.Standard && len(v.donors) < votes && !v.here:
		return fmt.Sprintf("needs %s, %d in sight", words.Count(votes, "donor"), len(v.donors))
	}
	return ""
}

// canMeet refuses a job at a level that the donors in sight cannot meet: it would wait for ever,
// and would never be given less than it asks for. What runs here needs nobody.
func (n *Node) canMeet(ctx context.Context, h *jobs.Head, s *api.Submission) error {
	if s.WaitForDonors || s.Alone || s.Local || s.DryRun {
		return nil
	}
	switch {
	case h.Policy.Level == jobs.Trusted && len(h.Policy.Trust) == 0 && !n.donatingNow():
		return &api.Error{
			Code: api.CodeRefused, Message: "level trusted needs a peer that you name, or this machine",
			Hint: "--trust PEER names one; shoal donate lets this machine work on it; --wait-for-donors submits it all the same",
		}
	case h.Policy.Level != jobs.Paranoid:
		return nil
	}
	n.bringUp()
	n.awaitKeepers(ctx, firstPeers)
	if l := n.level(jobs.Paranoid, h, 1); !l.Possible {
		return &api.Error{
			Code:    api.CodeRefused,
			Message: "level paranoid " + l.Missing,
			Hint:    "--wait-for-donors submits it all the same; --verify strong is for a grid like this",
		}
	}
	return nil
}
