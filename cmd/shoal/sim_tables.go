package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/sim/world"
)

// simSchema names what shoal sim prints.
const simSchema = "shoal.sim/1"

// simReport is a run, or the sum of many, as a program reads it.
type simReport struct {
	Schema      string         `json:"schema"`
	Seed        uint64         `json:"seed"`
	Seeds       int            `json:"seeds,omitempty"`
	FailedSeeds int            `json:"failed_seeds,omitempty"`
	Nodes       int            `json:"nodes"`
	Liars       int            `json:"liars"`
	Units       int            `json:"units"`
	Accepted    int            `json:"accepted"`
	Wrong       int            `json:"wrong"`
	Lies        int            `json:"lies"`
	Vices       map[string]int `json:"vices,omitempty"` // how often each was committed
	Faults      int            `json:"faults"`
	Executions  int            `json:"executions"`
	Extra       world.Causes   `json:"extra"`
	Messages    int            `json:"messages"`
	Bytes       int64          `json:"bytes"`
	Seconds     int64          `json:"virtual_seconds"`
	Broken      []simBreach    `json:"broken,omitempty"`
	Trace       string         `json:"trace"`
}

type simBreach struct {
	Invariant string `json:"invariant"`
	What      string `json:"what"`
}

func simulated(r *world.Report) *simReport {
	out := &simReport{
		Schema: simSchema, Seed: r.Seed, Nodes: r.Nodes, Liars: r.Liars, Units: r.Units, Accepted: r.Accepted, Wrong: r.Wrong, Lies: r.Lies, Vices: r.Vices,
		Faults: r.Faults, Executions: r.Executions, Extra: r.Causes, Messages: r.Messages, Bytes: r.Bytes, Seconds: int64(r.Took / time.Second), Trace: r.Trace,
	}
	for _, b := range r.Broken {
		out.Broken = append(out.Broken, simBreach{b.Invariant, b.What})
	}
	return out
}

// simTable sums one run up.
func simTable(w io.Writer, r *world.Report) {
	fmt.Fprintf(w, "seed        %d · %d nodes, %d of them lie · %s in the grid's time\n", r.Seed, r.Nodes, r.Liars, r.Took.Round(time.Second))
	simCounts(w, r)
	fmt.Fprintf(w, "trace       %s\n", r.Trace)
	simPromises(w, r)
}

func simCounts(w io.Writer, r *world.Report) {
	fmt.Fprintf(w, "answers     %d of %d units, %d wrong · %d lies told\n", r.Accepted, r.Units, r.Wrong, r.Lies)
	if len(r.Vices) > 0 {
		fmt.Fprintf(w, "vices       %s\n", simVices(r))
	}
	fmt.Fprintf(w, "executions  %d · beyond the votes needed: %d disputed, %d after liars, %d after crashes, %d out of contact, %d at once, %d asked for by the submitter, %d unexplained\n",
		r.Executions, r.Causes.Dispute, r.Causes.Hostile, r.Causes.Crash, r.Causes.Contact, r.Causes.Race, r.Causes.Asked, r.Causes.Unexplained)
	per := 0
	if r.Accepted > 0 {
		per = r.Messages / r.Accepted
	}
	fmt.Fprintf(w, "messages    %d, %d a unit · %d faults\n", r.Messages, per, r.Faults)
}

// simVices is what the liars did, and how often.
func simVices(r *world.Report) string {
	var said []string
	for _, name := range slices.Sorted(maps.Keys(r.Vices)) {
		said = append(said, fmt.Sprintf("%s %d", name, r.Vices[name]))
	}
	return strings.Join(said, ", ")
}

// simPromises says which held.
func simPromises(w io.Writer, r *world.Report) {
	broken := map[string]string{}
	for _, b := range r.Broken {
		if broken[b.Invariant] == "" {
			broken[b.Invariant] = b.What
		}
	}
	if len(broken) == 0 {
		fmt.Fprintf(w, "promises    all %d held\n", len(world.Invariants()))
		return
	}
	for _, i := range world.Invariants() {
		if what := broken[i[0]]; what != "" {
			fmt.Fprintf(w, "BROKEN      %s, %s: %s\n", i[0], i[1], what)
		}
	}
}

// simTotal sums many runs up.
func simTotal(w io.Writer, out *simReport, r *world.Report) {
	fmt.Fprintf(w, "seeds       %d to %d · %d nodes, %d of them lie · %d failed\n", out.Seed, out.Seed+uint64(out.Seeds)-1, r.Nodes, r.Liars, out.FailedSeeds)
	simCounts(w, r)
	if out.FailedSeeds == 0 {
		fmt.Fprintf(w, "promises    all %d held in every run\n", len(world.Invariants()))
	}
}

// simFailed tells of a run that broke a promise.
func (u *ui) simFailed(r *world.Report, replay string) {
	u.say("seed %d: %s: %s\n  %s", r.Seed, r.Broken[0].Invariant, r.Broken[0].What, replay)
}

// storyLines says what a simulation tells.
type storyLines struct{ ui *ui }

// Write implements io.Writer for whole lines.
func (s storyLines) Write(line []byte) (int, error) {
	s.ui.say("%s", strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// simProgress is how far many runs are.
func (u *ui) simProgress(done, of, failed int) {
	u.live(fmt.Sprintf("%d of %d runs, %d failed", done, of, failed))
}
