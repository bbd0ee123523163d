package node

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler"
)

// Detail reads a job as the page shows it.
func (n *Node) Detail(ctx context.Context, ref string, cells int) (*api.Detail, error) {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	c := n.follow(job)
	d := &api.Detail{Job: *n.reading(c), Shares: n.sharesOf(c)}
	all, perCell := c.Cells(cells)
	d.Map.PerCell = int64(perCell)
	for i := range all {
		d.Map.Cells = append(d.Map.Cells, unitsOf(&all[i]))
	}
	samples := c.Pace()
	for _, s := range samples {
		d.Pace = append(d.Pace, api.PaceSample{Seconds: s.At.Sub(samples[0].At).Seconds(), Done: int64(s.Done)})
	}
	if d.Job.Own && !d.Job.Final {
		d.Holders = n.holdersOf(ctx, c)
	}
	err = c.Failures(ctx, api.MaxFailures, func(a collect.Answer) {
		d.Failures = append(d.Failures, resultOf(job, a, false))
	})
	return d, err
}

// holdersTime is how long a job's keepers may take to say who works on it: nothing waits for them.
const holdersTime = time.Second

// holdersOf are those who work on a job now. What cannot be had in time is left out.
func (n *Node) holdersOf(ctx context.Context, c *collecting) []api.Holder {
	ctx, cancel := context.WithTimeout(ctx, holdersTime)
	defer cancel()
	all, err := c.Holders(ctx)
	if err != nil {
		n.log.Debug("who works on a job is not known", "job", c.Job().ID.Short(), "error", err)
	}
	var out []api.Holder
	for _, h := range all[:min(len(all), api.MaxHolders)] {
		e := api.Holder{Peer: h.Worker.String(), Name: n.nameOf(h.Worker), Held: int64(len(h.Units))}
		for _, u := range h.Units[:min(len(h.Units), api.MaxHeldUnits)] {
			e.Units = append(e.Units, int64(u)+1)
		}
		out = append(out, e)
	}
	return out
}

// unitsOf is a cell in the words of the API.
func unitsOf(c *collect.Cell) api.Units {
	u := api.Units{
		Open: int64(c[scheduler.Open]), Running: int64(c[scheduler.Running]), Sealed: int64(c[scheduler.Sealed]), Agreed: int64(c[scheduler.Agreed]),
		Failed: int64(c[scheduler.Failed]), Stuck: int64(c[scheduler.Stuck]), Disputed: int64(c[scheduler.Disputed]),
	}
	u.Total = u.Open + u.Running + u.Sealed + u.Agreed + u.Failed + u.Stuck + u.Disputed
	return u
}

// sharesOf are the donors who gave most, and what.
func (n *Node) sharesOf(c *collecting) []api.Share {
	type share struct {
		donor jobs.NodeID
		api.Share
	}
	var all []share
	credit := c.Credit()
	for donor, units := range c.Voted() {
		all = append(all, share{donor, api.Share{Peer: donor.String(), Name: n.nameOf(donor), Units: int64(units), Fuel: credit[donor].Fuel}})
	}
	slices.SortFunc(all, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.Units, a.Units), bytes.Compare(a.donor[:], b.donor[:]))
	})
	var out []api.Share
	for _, s := range all[:min(len(all), api.MaxShares)] {
		out = append(out, s.Share)
	}
	return out
}
