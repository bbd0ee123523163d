package main

// How an account of work is told.

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// creditTable tells what was done for whom, then who earned what of whom.
func creditTable(w io.Writer, c *api.Credit) {
	now := time.Now().UTC()
	creditChart(w, c.Done, now, terminalGlyphs())
	creditSince(w, c, now)
}

// creditSince tells an account as it stands at a time.
func creditSince(w io.Writer, c *api.Credit, now time.Time) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(c.Done) > 0 {
		fmt.Fprintf(tab, "done here\tfor\tCPU\tinputs\tunits\taccepted\t\n")
		for _, span := range []struct {
			name string
			days int
		}{{"today", 1}, {"7 days", 7}, {"all", -1}} {
			doneRows(tab, span.name, doneSince(c.Done, now, span.days))
		}
		tab.Flush() // into memory
		fmt.Fprintln(w)
	}
	if len(c.Earned) == 0 {
		fmt.Fprintln(w, "nobody has earned anything here yet")
		return
	}
	fmt.Fprintf(tab, "from\tearned by\tfuel\tinputs\tunits\t\n")
	for i, e := range c.Earned {
		from := e.Submitter
		if i > 0 && c.Earned[i-1].Submitter == from {
			from = ""
		}
		late := ""
		if e.LateFuel > 0 {
			late = words.Comma(e.LateFuel) + " more late: not counted"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", words.Peer(from), e.Donor, words.Comma(e.Fuel), words.Comma(e.Inputs), words.Comma(e.Units), late)
	}
	tab.Flush() // into memory
}

// doneSince adds up, by submitter in the order they come, the days that reach back so far.
func doneSince(rows []api.Done, now time.Time, days int) []api.Done {
	first := ""
	if days > 0 {
		first = now.AddDate(0, 0, 1-days).Format(time.DateOnly)
	}
	var out []api.Done
	at := map[string]int{}
	for _, r := range rows {
		if days > 0 && r.Day < first {
			continue
		}
		i, ok := at[r.Submitter]
		if !ok {
			i = len(out)
			at[r.Submitter] = i
			out = append(out, api.Done{Submitter: r.Submitter, SubmitterName: r.SubmitterName})
		}
		o := &out[i]
		o.CPUSeconds += r.CPUSeconds
		o.Units, o.Inputs, o.Accepted = o.Units+r.Units, o.Inputs+r.Inputs, o.Accepted+r.Accepted
		o.Disagreed, o.GaveUp, o.Unused = o.Disagreed+r.Disagreed, o.GaveUp+r.GaveUp, o.Unused+r.Unused
	}
	return out
}

func doneRows(w io.Writer, label string, rows []api.Done) {
	if len(rows) == 0 {
		fmt.Fprintf(w, "%s\tnobody\t\t\t\t\t\n", label)
	}
	for _, r := range rows {
		from := "others"
		if r.Submitter != "" {
			from = who(r.SubmitterName, r.Submitter)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", label, from, span(time.Duration(r.CPUSeconds*float64(time.Second))),
			words.Comma(r.Inputs), words.Comma(r.Units), words.Comma(r.Accepted), notAccepted(r))
		label = ""
	}
}

// notAccepted says what became of the units that were not accepted.
func notAccepted(r api.Done) string {
	var parts []string
	for _, p := range []struct {
		n   int64
		why string
	}{{r.Disagreed, "with another answer than was agreed"}, {r.GaveUp, "given up"}, {r.Unused, "not needed any more"}} {
		if p.n > 0 {
			parts = append(parts, words.Comma(p.n)+" "+p.why)
		}
	}
	return strings.Join(parts, ", ")
}

// shareWords is what a donor gave.
func shareWords(inputs, fuel, late uint64) string {
	text := words.Count(inputs, "input") + " · " + words.Comma(fuel) + " instructions"
	if late > 0 {
		text += fmt.Sprintf(", %s more late: not counted", words.Comma(late))
	}
	return text
}
