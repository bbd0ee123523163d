package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// View is tea.Model's: the whole screen, line by line, each cut to its width.
func (v *watchView) View() string {
	if v.width == 0 {
		return ""
	}
	lines := v.head()
	switch j := v.shown(); {
	case v.help:
		lines = append(lines, watchKeys...)
	case j != nil && v.units:
		lines = append(lines, v.unitMap(j, len(lines))...)
	case j != nil:
		lines = append(lines, v.one(j)...)
	case v.ref != "":
		lines = append(lines, "looking for job "+v.ref+" …")
	default:
		lines = append(lines, v.list(v.height-len(lines)-1)...)
	}
	for len(lines) < v.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), v.height-1))], v.foot())
	for i, line := range lines {
		lines[i] = v.cut(line)
	}
	return strings.Join(lines, "\n")
}

// watchKeys is the help of the full screen.
var watchKeys = []string{
	"up, down   choose a job        enter   show it alone, then its units      esc   back",
	"s          sort by the next    /       filter by id, name or state",
	"q          leave; the jobs go on",
}

// head is the node, in the words of status.
func (v *watchView) head() []string {
	if v.status == nil {
		return []string{v.bold("shoal"), ""}
	}
	var text strings.Builder
	only := *v.status
	only.Jobs = nil
	statusTable(&text, &only)
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	return append(lines, "")
}

func (v *watchView) list(height int) []string {
	jobs := v.listed()
	title := fmt.Sprintf("%s · %s", words.Count(len(jobs), "job"), orders()[v.order].name)
	if v.filter != "" || v.filtering {
		title += " · /" + v.filter
	}
	lines := []string{v.bold(title)}
	if len(jobs) == 0 {
		hint := "no job was submitted from here yet: shoal submit PROGRAM INPUT..."
		if v.filter != "" {
			hint = "none has that in its id, name or state"
		}
		return append(lines, hint)
	}
	at, room := v.chosen(jobs), max(1, height-1)
	from := max(0, min(at-room/2, len(jobs)-room))
	for i := from; i < min(len(jobs), from+room); i++ {
		j := &jobs[i]
		mark := "  "
		if i == at {
			mark = "> "
		}
		line := fmt.Sprintf("%s%s  %s %-20s %s", mark, words.Short(j.Job), bar(j), fit(oneLine(j.Name), 20), progressLine(j))
		if i == at {
			line = v.bold(v.cut(line))
		}
		lines = append(lines, line)
	}
	return lines
}

// one is a job alone.
func (v *watchView) one(j *api.Job) []string {
	var text strings.Builder
	jobDetail(&text, j)
	lines := []string{v.bold(fit(bar(j)+" "+progressLine(j), v.width)), ""}
	return append(lines, strings.Split(strings.TrimRight(text.String(), "\n"), "\n")...)
}

func (v *watchView) foot() string {
	switch {
	case v.filtering:
		return "filter: " + v.filter + "_   enter keeps it, esc drops it"
	case v.err != nil:
		return "the node does not answer; shown is what it said last: " + oneLine(api.AsError(v.err).Message)
	case v.units:
		return "arrows choose · esc back · ? keys · q leave · " + time.Now().Format("15:04:05")
	case v.open != "" && v.ref != "":
		return "enter units · ? keys · q leave · " + time.Now().Format("15:04:05")
	case v.open != "":
		return "enter units · esc back · ? keys · q leave · " + time.Now().Format("15:04:05")
	}
	return "enter open · s sort · / filter · ? keys · q leave · " + time.Now().Format("15:04:05")
}

func (v *watchView) bold(text string) string {
	if !v.colour {
		return text
	}
	return bold + text + "\x1b[0m"
}

// cut keeps a line within the screen; one with a style was cut before.
func (v *watchView) cut(line string) string {
	if strings.Contains(line, "\x1b[") {
		return line
	}
	return fit(line, v.width)
}
