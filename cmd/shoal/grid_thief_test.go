package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// gridPaysNoThief: one of five donors computes nothing. It repeats its neighbours' seals and reveals
// as they are, and seals as its own the answers that it can read. Nobody is given a wrong answer, and
// whoever reads the records afterwards, the late copies among them, finds nothing that it earned.
func gridPaysNoThief(t *testing.T, g *gridtest.Grid) {
	const inputs = 40
	submitter := g.Found("submitter", "up")
	donors := g.Donors(4)
	thief := g.Node("thief")
	thief.Setenv("SHOAL_FAULT=copy")
	thief.Start("donate", "--cores", "2")
	g.Meet(5, append(donors, thief, submitter)...)

	job, _ := submitter.Submit(writeBurner(t, burn/4), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s")
	wantDone(t, submitter.AwaitEnd(job))
	wantResults(t, submitter, job, burntRange(burn/4, inputs))
	g.Until("the thief has seen what became of four of its copies", func() bool {
		var own api.Credit
		said := thief.Shoal("credit", "--output", "json")
		units := int64(0)
		if json.Unmarshal(said.Out, &own) == nil {
			for _, r := range own.Done {
				units += r.Units
			}
		}
		return units >= 4
	})

	g.Bootstrap = []string{donors[0].Addr()}
	late := g.Start("late", "up")
	wantResults(t, late, job, burntRange(burn/4, inputs))
	dir := t.TempDir()
	proof := filepath.Join(dir, "proof")
	if s := late.Shoal("results", job, "-d", filepath.Join(dir, "out"), "--evidence", proof); s.Code != 0 {
		t.Fatalf("results --evidence: exit code %d\n%s", s.Code, s.Err)
	}
	s := late.Shoal("credit", "--evidence", proof, "--output", "json")
	var earned api.Credit
	if err := json.Unmarshal(s.Out, &earned); err != nil || s.Code != 0 {
		t.Fatalf("credit: exit code %d, %v\n%s%s", s.Code, err, s.Out, s.Err)
	}
	// Whose partner's vote was late, because the thief's seal had completed the round, earns alone.
	all := uint64(0)
	for _, e := range earned.Earned {
		all += e.Inputs
		if e.Donor == thief.Peer() && (e.Inputs > 0 || e.Units > 0 || e.Fuel > 0) {
			t.Errorf("the thief earned %d instructions for %d inputs", e.Fuel, e.Inputs)
		}
	}
	if all < inputs || all > 2*inputs {
		t.Errorf("credit for %d inputs, with one or two punctual votes for each of %d", all, inputs)
	}
}
