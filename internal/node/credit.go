package node

import (
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/worker"
)

// Credit is what this node did for others, and what others earned from its own jobs.
func (n *Node) Credit(context.Context) (*api.Credit, error) {
	c := &api.Credit{Peer: n.self.String()}
	done, err := n.worker.Account()
	if err != nil {
		return nil, err
	}
	for _, d := range slices.Backward(done) {
		done := doneOf(d)
		done.SubmitterName = n.nameOf(d.Submitter)
		c.Done = append(c.Done, done)
	}
	given := map[jobs.NodeID]evidence.Share{}
	err = n.submitter.All(func(_ *submit.Own, j *jobs.Job) error {
		for id, share := range n.follow(j).Credit() {
			if id != n.self {
				total := given[id]
				total.Add(share)
				given[id] = total
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, s := range given {
		c.Earned = append(c.Earned, api.Earned{Submitter: c.Peer, Donor: id.String(), Units: s.Units, Inputs: s.Inputs, Fuel: s.Fuel, LateFuel: s.Late})
	}
	api.SortEarned(c.Earned)
	return c, nil
}

func doneOf(d worker.Dealing) api.Done {
	out := api.Done{
		CPUSeconds: d.CPU.Seconds(), Units: d.Units, Inputs: d.Inputs, Accepted: d.Accepted, Disagreed: d.Disagreed, GaveUp: d.GaveUp, Unused: d.Unused,
	}
	if d.Day > 0 {
		out.Day = time.Unix(d.Day*24*60*60, 0).UTC().Format(time.DateOnly)
	}
	if !d.Submitter.IsZero() {
		out.Submitter = d.Submitter.String()
	}
	return out
}
