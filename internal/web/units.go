package web

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
)

// unitMap is a job's units as a grid of cells, each a unit or as many.
type unitMap struct {
	PerCell       int64
	Width, Height int
	Layers        []layer // a path for each state: so a page has few elements, however many cells
	Runs          []run
	MoreRuns      int
	Legend        []legend
}

type layer struct {
	State string // the name of its colour
	Path  string
}

// run is a row of the table that says the same as the map.
type run struct {
	From, To int64 // units, from 1
	State    string
}

type legend struct {
	State string
	Units int64
	Means string
}

const (
	cellSize   = 14
	largeCell  = 22 // where there are few
	cellGap    = 3
	mapColumns = 40
	maxRuns    = 60
)

// The states of a cell, from what a person should see first.
const (
	cellDisputed = "disputed"
	cellStuck    = "stuck"
	cellFailed   = "failed"
	cellAgreed   = "agreed"
	cellPartly   = "partly agreed"
	cellSealed   = "sealed"
	cellRunning  = "running"
	cellOpen     = "open"
)

func cellStates() []string {
	return []string{cellAgreed, cellPartly, cellSealed, cellRunning, cellOpen, cellFailed, cellStuck, cellDisputed}
}

// cellState is what a cell shows of its units.
func cellState(u api.Units) string {
	switch {
	case u.Disputed > 0:
		return cellDisputed
	case u.Stuck > 0:
		return cellStuck
	case u.Failed > 0:
		return cellFailed
	case u.Agreed == u.Total:
		return cellAgreed
	case u.Agreed > 0:
		return cellPartly
	case u.Sealed > 0:
		return cellSealed
	case u.Running > 0:
		return cellRunning
	}
	return cellOpen
}

func newUnitMap(d *api.Detail) unitMap {
	cells := d.Map.Cells
	side := cellSize
	if len(cells) <= mapColumns {
		side = largeCell
	}
	m := unitMap{PerCell: d.Map.PerCell, Width: min(max(len(cells), 1), mapColumns)*side - cellGap, Legend: newLegend(d.Job.Units)}
	m.Height = (max(len(cells), 1)+mapColumns-1)/mapColumns*side - cellGap
	paths := map[string]*strings.Builder{}
	first := int64(1)
	for i, c := range cells {
		state := cellState(c)
		if paths[state] == nil {
			paths[state] = &strings.Builder{}
		}
		fmt.Fprintf(paths[state], "M%d %dh%dv%dh-%dz", i%mapColumns*side, i/mapColumns*side, side-cellGap, side-cellGap, side-cellGap)
		m.addRun(run{From: first, To: first + c.Total - 1, State: state})
		first += c.Total
	}
	for _, state := range cellStates() {
		if p := paths[state]; p != nil {
			m.Layers = append(m.Layers, layer{State: state, Path: p.String()})
		}
	}
	return m
}

// addRun tells cells of one state that follow each other together.
func (m *unitMap) addRun(r run) {
	if n := len(m.Runs); n > 0 && m.MoreRuns == 0 && m.Runs[n-1].State == r.State {
		m.Runs[n-1].To = r.To
		return
	}
	if len(m.Runs) == maxRuns {
		m.MoreRuns++
		return
	}
	m.Runs = append(m.Runs, r)
}

// newLegend names the states that there are.
func newLegend(u api.Units) []legend {
	var out []legend
	for _, l := range []legend{
		{cellAgreed, u.Agreed, "enough donors say the same"},
		{cellSealed, u.Sealed, "done, waiting to be checked"},
		{cellRunning, u.Running, "a donor works on it"},
		{cellOpen, u.Open, "nobody has taken it yet"},
		{cellFailed, u.Failed, "agreed, and some input failed"},
		{cellStuck, u.Stuck, "three donors gave up"},
		{cellDisputed, u.Disputed, "donors do not agree"},
	} {
		if l.Units > 0 {
			out = append(out, l)
		}
	}
	return out
}
