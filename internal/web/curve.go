package web

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
)

// curve is how many inputs were done when, and where that may lead.
type curve struct {
	Width, Height int
	Line          string // points of what was
	Fan           string // points of the range of what may come; "" without evidence
	Begin, End    string // of the time shown
	OK            bool   // there is something to show
}

const (
	curveWidth  = 560
	curveHeight = 96
)

func newCurve(d *api.Detail) curve {
	c := curve{Width: curveWidth, Height: curveHeight}
	if len(d.Pace) < 2 || d.Job.Inputs.Total == 0 {
		return c
	}
	last := d.Pace[len(d.Pace)-1]
	end := last.Seconds
	if d.Job.ETAHighSeconds != nil {
		end += float64(*d.Job.ETAHighSeconds)
	}
	if end < 1 {
		return c
	}
	x := func(seconds float64) float64 { return seconds / end * curveWidth }
	y := func(done int64) float64 {
		return curveHeight - 2 - float64(done)/float64(d.Job.Inputs.Total)*(curveHeight-4)
	}
	var line strings.Builder
	for _, s := range d.Pace {
		fmt.Fprintf(&line, "%.1f,%.1f ", x(s.Seconds), y(s.Done))
	}
	c.OK, c.Line, c.End = true, strings.TrimSpace(line.String()), seconds(end)
	if d.Job.ETALowSeconds != nil && d.Job.ETAHighSeconds != nil {
		total := d.Job.Inputs.Total
		c.Fan = fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f", x(last.Seconds), y(last.Done),
			x(last.Seconds+float64(*d.Job.ETALowSeconds)), y(total), x(end), y(total))
	}
	return c
}
