package node

import (
	"context"
	"fmt"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// levels is what each level would cost for a job, in the grid as it is seen from here.
func (n *Node) levels(ctx context.Context, h *jobs.Head) []api.Level {
	n.bringUp()
	n.awaitKeepers(ctx, firstPeers)
	var out []api.Level
	for l := jobs.Trusted; l <= jobs.Paranoid; l++ {
		out = append(out, n.level(l, h))
	}
	return out
}

// level is what one level costs.
func (n *Node) level(l jobs.Level, h *jobs.Head) api.Level {
	ids := n.net.donating()
	known := n.judge.Known(ids)
	out := api.Level{Level: l.String(), Chosen: l == h.Policy.Level, Donors: len(ids)}
	networks := map[string]bool{}
	for i, id := range ids {
		if known[i].Proven() {
			out.Proven++
		}
		if at := n.net.NetworkOf(id); at != "" {
			networks[at] = true
		}
	}
	out.Networks = len(networks)
	first := map[jobs.Level]uint8{jobs.Trusted: 1, jobs.Standard: 2, jobs.Strong: 2, jobs.Paranoid: trust.ParanoidVotes}[l]
	rule := trust.RuleOf(jobs.Policy{Level: l, Votes: first})
	out.Executions, out.OwnShare = rule.Estimate(trust.PlanOf(l), known)
	switch l {
	case jobs.Trusted:
		out.Possible = len(h.Policy.Trust) > 0
	case jobs.Standard:
		out.Possible = len(ids) >= int(first)
	case jobs.Strong:
		out.Possible = true // what nobody else can vouch for the submitter runs itself
	case jobs.Paranoid:
		out.Possible = len(networks) >= trust.ParanoidVotes
	}
	return out
}

// canMeet refuses a job at a level that the donors in sight cannot meet: it would wait for ever,
// and would never be given less than it asks for. What runs here needs nobody.
func (n *Node) canMeet(ctx context.Context, h *jobs.Head, s *api.Submission) error {
	if h.Policy.Level != jobs.Paranoid || s.WaitForDonors || s.Alone || s.Local || s.DryRun {
		return nil
	}
	n.bringUp()
	n.awaitKeepers(ctx, firstPeers)
	if l := n.level(jobs.Paranoid, h); !l.Possible {
		return &api.Error{
			Code:    api.CodeRefused,
			Message: fmt.Sprintf("level paranoid needs donors in %d networks, %d in sight", trust.ParanoidVotes, l.Networks),
			Hint:    "--wait-for-donors submits it all the same; --verify strong is for a grid like this",
		}
	}
	return nil
}
