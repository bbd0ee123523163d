package node

import (
	"context"

	"github.com/shoalgrid/shoal/internal/api"
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
	d := &api.Detail{Schema: api.DetailSchema, Job: *n.reading(c)}
	all, perCell := c.Cells(cells)
	d.Map.PerCell = int64(perCell)
	for i := range all {
		d.Map.Cells = append(d.Map.Cells, unitsOf(&all[i]))
	}
	return d, nil
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
