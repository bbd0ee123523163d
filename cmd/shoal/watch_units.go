package main

import (
	"fmt"
	"strings"
	"sync"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// wanted is what the view wants to be read beside the overview. The view writes it, the one who
// looks reads it.
type wanted struct {
	mu    sync.Mutex
	job   string // full id; "": nothing
	cells int
	now   chan struct{} // has a value when it has changed
}

func newWanted() *wanted { return &wanted{now: make(chan struct{}, 1)} }

func (w *wanted) set(job string, cells int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.job == job && w.cells == cells {
		return
	}
	w.job, w.cells = job, cells
	select {
	case w.now <- struct{}{}:
	default:
	}
}

func (w *wanted) get() (job string, cells int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.job, w.cells
}

// unitState is a state of units, how many are in it, and how it is shown.
type unitState struct {
	n          int64
	sign       byte
	word, says string
	style      string
}

// unitStates are the states of a unit, those first that a person should see among others.
func unitStates(u *api.Units) []unitState {
	return []unitState{
		{u.Disputed, '?', "disputed", "donors do not agree", red},
		{u.Stuck, '!', "stuck", "donors gave up on it", red},
		{u.Failed, 'x', "failed", "agreed: some of its inputs fail", red},
		{u.Running, 'o', "running", "a donor is at it", bold},
		{u.Sealed, '+', "sealed", "has a donor's word, needs another's, or is on its way here", ""},
		{u.Open, '.', "open", "not begun", dim},
		{u.Agreed, '#', "agreed", "its answers are here", ""},
	}
}

// Where the map is on the screen.
const (
	cellWidth = 2 // a mark and a sign
	underMap  = 7 // lines below it
)

// mapSize is how many cells fit beside each other, and below each other under so many lines.
func (v *watchView) mapSize(above int) (columns, rows int) {
	return max(1, v.width/cellWidth), max(1, v.height-above-underMap)
}

// wantUnits has the units read that fit on the screen, or none.
func (v *watchView) wantUnits() {
	if !v.units || v.open == "" {
		v.wants.set("", 0)
		return
	}
	columns, rows := v.mapSize(len(v.head()))
	v.wants.set(v.open, min(columns*rows, api.MaxCells))
}

// unitKey moves the choice in the map; esc leaves it.
func (v *watchView) unitKey(k tea.KeyMsg) {
	columns, _ := v.mapSize(0)
	switch k.String() {
	case "esc", "backspace", "u":
		v.units = false
	case "left", "h":
		v.cell--
	case "right", "l":
		v.cell++
	case "up", "k":
		v.cell -= columns
	case "down", "j":
		v.cell += columns
	case "home", "g":
		v.cell = 0
	case "end", "G":
		v.cell = 1 << 30
	}
	last := 0
	if v.detail != nil {
		last = len(v.detail.Map.Cells) - 1
	}
	v.cell = max(0, min(v.cell, last))
}

// unitMap is the units of a job, and what there is to say of the chosen ones.
func (v *watchView) unitMap(j *api.Job, above int) []string {
	d := v.detail
	if d == nil || d.Job.Job != j.Job {
		return []string{"looking at the units of " + words.Short(j.Job) + " …"}
	}
	columns, rows := v.mapSize(above)
	cells := d.Map.Cells
	chosen := max(0, min(v.cell, len(cells)-1))
	first := max(0, chosen/columns-rows+1) * columns
	var lines []string
	for at := first; at < len(cells) && len(lines) < rows; at += columns {
		var line strings.Builder
		for i := at; i < min(at+columns, len(cells)); i++ {
			line.WriteString(v.cellSign(&cells[i], i == chosen))
		}
		lines = append(lines, line.String())
	}
	lines = append(lines, "", v.legend())
	if len(cells) > 0 {
		lines = append(lines, v.bold(fit(cellWords(d, chosen), v.width)))
	}
	return append(lines, aboutUnits(d)...)
}

// cellSign is a cell as it is drawn.
func (v *watchView) cellSign(u *api.Units, chosen bool) string {
	mark := " "
	if chosen {
		mark = ">"
	}
	for _, s := range unitStates(u) {
		switch {
		case s.n == 0:
		case v.colour && s.style != "":
			return mark + s.style + string(s.sign) + "\x1b[0m"
		default:
			return mark + string(s.sign)
		}
	}
	return mark + " "
}

func (v *watchView) legend() string {
	var parts []string
	for _, s := range unitStates(&api.Units{}) {
		parts = append(parts, string(s.sign)+" "+s.word)
	}
	return strings.Join(parts, "  ")
}

// cellWords says what the chosen cell is.
func cellWords(d *api.Detail, at int) string {
	u, per := &d.Map.Cells[at], d.Map.PerCell
	first := int64(at)*per + 1
	if u.Total == 1 {
		for _, s := range unitStates(u) {
			if s.n > 0 {
				return fmt.Sprintf("unit %d of %d · %s: %s", first, d.Job.Units.Total, s.word, s.says)
			}
		}
	}
	var parts []string
	for _, s := range unitStates(u) {
		if s.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", s.n, s.word))
		}
	}
	return fmt.Sprintf("units %d to %d of %d · %s", first, first+u.Total-1, d.Job.Units.Total, strings.Join(parts, ", "))
}

// aboutUnits is who worked on them, and what failed.
func aboutUnits(d *api.Detail) []string {
	var lines, parts []string
	for _, s := range d.Shares[:min(len(d.Shares), 4)] {
		parts = append(parts, fmt.Sprintf("%s %s", words.Peer(s.Peer), words.Count(s.Units, "unit")))
	}
	if len(parts) > 0 {
		lines = append(lines, "donors  "+strings.Join(parts, " · "))
	}
	for _, r := range d.Failures[:min(len(d.Failures), 2)] {
		lines = append(lines, "failed  "+oneLine(inputName(r))+": "+failureWords(r))
	}
	return lines
}
