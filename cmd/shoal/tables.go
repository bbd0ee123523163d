package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/words"
)

// progressLine is how far a job is, in one line.
func progressLine(j *api.Job) string {
	parts := []string{fmt.Sprintf("%d/%d inputs", j.Inputs.Done, j.Inputs.Total)}
	if j.Inputs.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", j.Inputs.Failed))
	}
	if j.Donors > 0 {
		parts = append(parts, words.Count(j.Donors, "donor"))
	}
	if j.Degraded {
		parts = append(parts, "degraded")
	}
	if j.Final {
		return strings.Join(append(parts, j.State), " · ")
	}
	if j.Arriving > 0 {
		parts = append(parts, "fetching "+words.Count(j.Arriving, "unit"))
	}
	if j.RatePerSecond > 0 {
		number, unit := words.Rate(j.RatePerSecond)
		parts = append(parts, number+"/"+unit)
	}
	if left := timeLeft(j); left != "" {
		parts = append(parts, left)
	}
	if j.Waits != "" {
		parts = append(parts, oneLine(j.Waits))
	}
	return strings.Join(parts, " · ")
}

// timeLeft is when a job may end, as a range, where there is evidence.
func timeLeft(j *api.Job) string {
	words := func(seconds int64) string { return span(time.Duration(seconds) * time.Second) }
	switch {
	case j.ETALowSeconds != nil && j.ETAHighSeconds != nil && words(*j.ETALowSeconds) != words(*j.ETAHighSeconds):
		return words(*j.ETALowSeconds) + " to " + words(*j.ETAHighSeconds) + " left"
	case j.ETASeconds != nil:
		return "about " + words(*j.ETASeconds) + " left"
	}
	return ""
}

// statusTable is a node at a glance.
func statusTable(w io.Writer, s *api.Status) {
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	row("node", "%s · up %s · shoal %s · engine %s", words.Peer(s.Node.Peer), span(time.Duration(s.Node.UptimeSeconds)*time.Second), s.Node.Version, s.Node.Engine)
	reach := "not reachable from outside"
	if s.Grid.Reachable && len(s.Grid.Addrs) > 0 {
		reach = "reachable on " + where(s.Grid.Addrs)
	}
	row("grid", "%s · %s", words.Count(s.Grid.Peers, "peer"), reach)
	d := s.Donating
	state := d.State
	if d.State == api.DonatingOn && len(s.Working) > 0 {
		state = working(s.Working)
	} else if d.Why != "" {
		state += ": " + oneLine(d.Why)
	}
	if d.State != api.DonatingOff {
		if d.Until != nil && !strings.Contains(d.Why, d.Until.Local().Format("15:04")) {
			state += ", until " + d.Until.Local().Format("15:04")
		}
		state += " · " + lent(d)
	}
	row("donating", "%s", state)
	if d.State != api.DonatingOff {
		moreAbout(row, &d)
	}
	if t := s.Today; t.Units > 0 {
		row("today", "%s CPU for %s · %s, %d accepted, %d waiting for a partner", span(time.Duration(t.CPUSeconds*float64(time.Second))),
			words.Count(t.Submitters, "submitter"), words.Count(t.Units, "unit"), t.Accepted, t.Waiting)
	}
	if d.State != api.DonatingOff {
		offerRows(row, s.Offered)
	}
	label := "notice"
	for _, n := range s.Notices {
		row(label, "%s", noticeWords(n))
		label = ""
	}
	if len(s.Jobs) == 0 {
		return
	}
	var jobs strings.Builder
	jobTable(&jobs, s.Jobs)
	label = "jobs"
	for line := range strings.Lines(jobs.String()) {
		fmt.Fprintf(w, "%-9s %s", label, line)
		label = ""
	}
}

// moreAbout says what else keeps a donor from working, and why it lends less than it could.
func moreAbout(row func(label, format string, args ...any), d *api.DonateStatus) {
	for _, why := range d.Reasons {
		if why != d.Why {
			row("", "also: %s", oneLine(why))
		}
	}
	for _, note := range d.Notes {
		row("", "%s", oneLine(note))
	}
}

func jobTable(w io.Writer, jobs []api.Job) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range jobs {
		j := &jobs[i]
		fmt.Fprintf(tab, "%s\t%s\t%s\n", words.Short(j.Job), oneLine(cmp.Or(j.Name, "-")), progressLine(j))
	}
	tab.Flush() // into memory
}

// settingsHelp is what every setting means, for the help and the documents made of it.
func settingsHelp(all []config.Setting) string {
	var b strings.Builder
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range all {
		fmt.Fprintf(tab, "  %s\t%s\t%s\n", s.Name, cmp.Or(s.Default, "-"), s.About)
	}
	tab.Flush() // into memory
	return b.String()
}

// settingsTable is the settings of a home.
func settingsTable(w io.Writer, list []shownSetting) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range list {
		if s.Origin == "" {
			fmt.Fprintf(tab, "%s\t%s\n", s.Name, cmp.Or(oneLine(s.Value), "-"))
			continue
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\n", s.Name, cmp.Or(oneLine(s.Value), "-"), oneLine(s.Origin))
	}
	tab.Flush() // into memory
}

// jobDetail is one job in full.
func jobDetail(w io.Writer, j *api.Job) {
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	row("job", "%s  %s", j.Job, oneLine(j.Name))
	row("state", "%s%s", j.State, map[bool]string{true: ", final"}[j.Final])
	row("inputs", "%s", progressLine(j))
	row("units", "%s", unitWords(j.Units))
	from := who(j.SubmitterName, j.Submitter)
	if j.Own {
		from = "this node"
	}
	row("program", "%s", j.Program)
	row("from", "%s · %s · %s each · %s", from, ago(j.Created), words.Count(j.Votes, "vote"), j.Level)
	row("work", "%s by %s", words.Count(j.Executions, "execution"), words.Count(j.Donors, "donor"))
	if j.OwnRuns > 0 {
		row("own runs", "%s run by the submitter", words.Count(j.OwnRuns, "unit"))
	}
	if j.Rings > 0 {
		row("liars", "%s", liarWords(j))
	}
	if j.Provisional > 0 && !j.Final {
		row("not final", "%s agreed, not final: %s", words.Count(j.Provisional, "unit"), whoFinishes(j))
	}
	switch {
	case j.Local:
		row("held", "here alone, as --local asks")
	case j.Final || j.Held == 0 && !j.Own:
	default:
		row("held", "%s", custody(j.Held, j.Keepers, j.Keepers > 0 && j.Held >= j.Keepers))
	}
}

// explanationText is where a job stands, and under it why, with something to try for each reason.
func explanationText(w io.Writer, e *api.Explanation) {
	j := e.Job
	j.Waits = "" // which is the first reason
	fmt.Fprintf(w, "%s  %s  %s\n", words.Short(j.Job), oneLine(j.Name), progressLine(&j))
	for _, r := range e.Reasons {
		fmt.Fprintf(w, "why  %s\n", oneLine(r.What))
		if r.Try != "" {
			fmt.Fprintf(w, "try  %s\n", oneLine(r.Try))
		}
	}
}

// liarWords is what a job has seen of lies.
func liarWords(j *api.Job) string {
	found := "donors lied together about " + words.Count(j.Rings, "unit") + ": they are out, and what leaned on them was voted on again"
	if j.Degraded {
		return found + " · degraded: the votes for looking again at all other answers are spent"
	}
	return found
}

// whoFinishes says what makes provisional answers final.
func whoFinishes(j *api.Job) string {
	if j.Own {
		return "all must be in (shoal results --provisional gives them now)"
	}
	return "only the submitter's node finishes a " + j.Level + " job"
}

func unitWords(u api.Units) string {
	parts := []string{fmt.Sprintf("%d of %d agreed", u.Agreed, u.Total)}
	for _, p := range []struct {
		n    int64
		word string
	}{{u.Failed, "failed"}, {u.Running, "running"}, {u.Sealed, "sealed"}, {u.Open, "open"}, {u.Stuck, "stuck"}, {u.Disputed, "disputed"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(parts, " · ")
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(max(0, time.Since(t))) + " ago"
}

func peerTable(w io.Writer, peers []api.Peer) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range peers {
		latency := "-"
		if p.LatencyMS > 0 {
			latency = fmt.Sprintf("%.1f ms", p.LatencyMS)
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Peer, cmp.Or(oneLine(p.Name), "-"), printable(p.Addr), cmp.Or(strings.Join(p.Roles, ","), "-"), latency, oneLine(p.Agent))
	}
	tab.Flush() // into memory
}

func checkTable(w io.Writer, name string, d *checkDocument) {
	if !d.Accepted {
		return // the error says why
	}
	fmt.Fprintf(w, "%s: the grid takes it\n", name)
	if d.Finished {
		fmt.Fprintf(w, "ran twice, one answer: %s of output, %s of memory%s\n", words.Size(d.OutputBytes), words.Size(d.PeakMemory), fuelWords(d.Fuel))
		if d.Interpreted != "" {
			fmt.Fprintf(w, "interpreted: %s\n", d.Interpreted)
		}
		fmt.Fprintf(w, "tuple %s\n", d.Tuple)
	}
	for _, fixed := range d.Fixed {
		fmt.Fprintln(w, "fixed by the grid: "+fixed)
	}
}

// fuelWords tells the instructions of a run, where they were counted.
func fuelWords(fuel uint64) string {
	if fuel == 0 {
		return ""
	}
	return ", " + words.Count(fuel, "instruction")
}

// demoSummary is what a demo has shown.
func demoSummary(w io.Writer, j *api.Job, d *demoDocument) {
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", label, fmt.Sprintf(format, args...))
	}
	row("inputs", "%s in %s, %s", words.Count(j.Inputs.Total, "number"), words.Count(j.Units.Total, "unit"), j.State)
	row("donors", "%d", j.Donors)
	row("executions", "%d, %.2f a unit", j.Executions, float64(j.Executions)/float64(max(j.Units.Total, 1)))
	row("killed", "%s", cmp.Or(strings.Join(d.Killed, ", "), "nobody"))
	if j.Units.Agreed == j.Units.Total && j.Votes == 2 {
		row("checked", "every answer agreed by 2 donors")
	}
	row("primes", "2^p-1 is prime for p = %s", strings.Trim(fmt.Sprint(d.Primes), "[]"))
	row("took", "%.0f s", d.Seconds)
}
