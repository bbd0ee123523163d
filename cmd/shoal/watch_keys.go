package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/shoalgrid/shoal/internal/api"
)

// watchView is what the full screen shows, and what the person has chosen of it. Readings and
// keys come in, a picture goes out; it asks nobody for anything.
type watchView struct {
	width, height int
	colour        bool

	status *api.Status
	job    *api.Job // the one that was asked for; nil: all of them
	err    error    // of the last look: what is shown is old

	ref       string // asked for on the command line
	open      string // full id of the job that is shown alone; "" is the list
	cursor    string // full id of the job that is chosen in the list
	order     int    // of orders
	filter    string
	filtering bool
	help      bool

	units  bool        // the open job's units are shown
	cell   int         // the chosen one of the map
	detail *api.Detail // the last that was read
	wants  *wanted
}

func newWatchView(ref string, colour bool) *watchView {
	return &watchView{ref: ref, colour: colour, wants: newWanted()}
}

// reading is what a look has brought: one of status, job and detail, or err.
type reading struct {
	status *api.Status
	job    *api.Job
	detail *api.Detail
	err    error
}

// order is a way to sort the list.
type order struct {
	name    string
	compare func(a, b *api.Job) int
}

func orders() []order {
	newest := func(a, b *api.Job) int { return b.Created.Compare(a.Created) }
	return []order{
		{"newest first", newest},
		{"name", func(a, b *api.Job) int { return cmp.Or(strings.Compare(a.Name, b.Name), newest(a, b)) }},
		{"least done first", func(a, b *api.Job) int { return cmp.Or(cmp.Compare(share(a), share(b)), newest(a, b)) }},
		{"state", func(a, b *api.Job) int { return cmp.Or(strings.Compare(b.State, a.State), newest(a, b)) }},
	}
}

func share(j *api.Job) float64 { return float64(j.Inputs.Done) / float64(max(j.Inputs.Total, 1)) }

// Init is tea.Model's.
func (v *watchView) Init() tea.Cmd { return nil }

// Update is tea.Model's.
func (v *watchView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	defer v.wantUnits()
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		v.width, v.height = m.Width, m.Height
	case reading:
		return v, v.take(m)
	case tea.KeyMsg:
		return v, v.keys(m)
	}
	return v, nil
}

// keys takes what was typed: letters that came together one by one.
func (v *watchView) keys(k tea.KeyMsg) (cmd tea.Cmd) {
	if k.Type != tea.KeyRunes {
		return v.key(k)
	}
	for _, r := range k.Runes {
		if cmd == nil {
			cmd = v.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
		}
	}
	return cmd
}

// take shows a reading. A job that was asked for by name ends the screen when it ends.
func (v *watchView) take(r reading) tea.Cmd {
	v.err = r.err
	if r.status != nil {
		v.status = r.status
	}
	if r.detail != nil {
		v.detail = r.detail
	}
	if r.job != nil {
		v.job, v.open = r.job, cmp.Or(v.open, r.job.Job)
		if r.job.Final {
			return tea.Quit
		}
	}
	return nil
}

func (v *watchView) key(k tea.KeyMsg) tea.Cmd {
	if k.Type == tea.KeyCtrlC {
		return tea.Quit
	}
	if v.filtering {
		v.typeFilter(k)
		return nil
	}
	if k.String() == "q" {
		return tea.Quit
	}
	if v.units && !v.help && k.String() != "?" {
		v.unitKey(k)
		return nil
	}
	switch k.String() {
	case "?", "h":
		v.help = !v.help
	case "esc", "left", "backspace":
		switch {
		case v.help:
			v.help = false
		case v.open != "" && v.ref == "":
			v.open = ""
		default:
			v.filter = ""
		}
	case "enter", "right":
		list := v.listed()
		switch {
		case v.open != "":
			v.units, v.cell, v.detail = true, 0, nil
		case len(list) > 0:
			v.open = list[v.chosen(list)].Job
		}
	case "s":
		v.order = (v.order + 1) % len(orders())
	case "/":
		v.filtering = true
	case "up", "k":
		v.move(-1)
	case "down", "j":
		v.move(1)
	case "home", "g":
		v.move(-1 << 20)
	case "end", "G":
		v.move(1 << 20)
	}
	return nil
}

// typeFilter takes a key while the person writes what the list is to be narrowed to.
func (v *watchView) typeFilter(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyEnter:
		v.filtering = false
	case tea.KeyEsc:
		v.filtering, v.filter = false, ""
	case tea.KeyBackspace:
		if runes := []rune(v.filter); len(runes) > 0 {
			v.filter = string(runes[:len(runes)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		for _, r := range k.Runes {
			if unicode.IsPrint(r) && len(v.filter) < 64 {
				v.filter += string(r)
			}
		}
	}
}

// move moves the choice in the list.
func (v *watchView) move(by int) {
	list := v.listed()
	if len(list) == 0 {
		return
	}
	at := v.chosen(list)
	v.cursor = list[max(0, min(len(list)-1, at+by))].Job
}

// chosen is the place of the chosen job in the list: a job keeps being chosen while others
// come and go around it.
func (v *watchView) chosen(list []api.Job) int {
	at := slices.IndexFunc(list, func(j api.Job) bool { return j.Job == v.cursor })
	return max(at, 0)
}

// listed is the jobs that the list shows, in its order.
func (v *watchView) listed() []api.Job {
	if v.status == nil {
		return nil
	}
	wanted := strings.ToLower(v.filter)
	var list []api.Job
	for i := range v.status.Jobs {
		j := v.status.Jobs[i]
		if strings.Contains(strings.ToLower(j.Job+" "+j.Name+" "+j.State), wanted) {
			list = append(list, j)
		}
	}
	slices.SortStableFunc(list, func(a, b api.Job) int { return orders()[v.order].compare(&a, &b) })
	return list
}

// shown is the job that is shown alone, or nil.
func (v *watchView) shown() *api.Job {
	if v.job != nil && v.job.Job == v.open {
		return v.job
	}
	if v.status == nil || v.open == "" {
		return nil
	}
	for i := range v.status.Jobs {
		if v.status.Jobs[i].Job == v.open {
			return &v.status.Jobs[i]
		}
	}
	return nil
}
