package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// gridProves: the answers of a job that strangers ran are proved to somebody else, in a home where
// nothing ever was; what they earned follows from the same file, and what they say of themselves
// fits it.
func gridProves(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	donors := g.Donors(3)
	g.Meet(3, append(donors, submitter)...)
	program := writeBurner(t, 1)
	job, _ := submitter.Submit(program, "--range", "1..12", "--per-unit", "2")
	wantDone(t, submitter.AwaitEnd(job))

	dir := t.TempDir()
	proof, out := filepath.Join(dir, "proof"), filepath.Join(dir, "out")
	if s := submitter.Shoal("results", job, "-d", out, "--evidence", proof); s.Code != 0 {
		t.Fatalf("results: exit code %d\n%s", s.Code, s.Err)
	}
	stranger := g.Node("stranger")
	s := stranger.Shoal("verify", proof, "-d", out, "--rerun", "3", "--program", program, "--output", "json")
	var found verifyDocument
	if err := json.Unmarshal(s.Out, &found); err != nil || s.Code != 0 {
		t.Fatalf("verify: exit code %d, %v\n%s%s", s.Code, err, s.Out, s.Err)
	}
	if !found.Valid || found.Job != job || found.Units.Proved != 6 || found.Units.Independent != 6 || found.Outputs.Right != 12 || found.Rerun.Same != 6 {
		t.Errorf("verify found %s", s.Out)
	}

	var earned api.Credit
	s = stranger.Shoal("credit", "--evidence", proof, "--output", "json")
	if err := json.Unmarshal(s.Out, &earned); err != nil || s.Code != 0 {
		t.Fatalf("credit: exit code %d, %v\n%s%s", s.Code, err, s.Out, s.Err)
	}
	inputs := uint64(0)
	for _, e := range earned.Earned {
		if inputs += e.Inputs; e.Fuel == 0 {
			t.Errorf("no fuel for %d inputs of %s", e.Inputs, e.Donor)
		}
	}
	for of, want := range map[string]int{submitter.Peer(): len(earned.Earned), donors[0].Peer(): 0} {
		var chosen api.Credit
		s := stranger.Shoal("credit", "--evidence", proof, "--submitter", of, "--output", "json")
		if err := json.Unmarshal(s.Out, &chosen); err != nil || len(chosen.Earned) != want {
			t.Errorf("credit of submitter %s alone: %d donors, not %d: %v", of, len(chosen.Earned), want, err)
		}
	}
	if inputs != 2*12 {
		t.Errorf("credit for %d inputs, with two votes for each of 12", inputs)
	}
	g.Until("the donors' own accounts are of 12 units", func() bool {
		units := int64(0)
		for _, d := range donors {
			var own api.Credit
			if json.Unmarshal(d.Shoal("credit", "--output", "json").Out, &own) != nil {
				return false
			}
			for _, r := range own.Done {
				units += r.Accepted
			}
		}
		return units == 12
	})

	text, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)*2/3] ^= 1
	write(t, proof, string(text))
	if s := stranger.Shoal("verify", proof); s.Code != api.CodeRefused {
		t.Errorf("a flipped bit: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}
	fetchesToRunAgain(t, g, submitter)
}

// fetchesToRunAgain: somebody to whom nothing was given but the proof runs units again with the program
// and the inputs that the grid still has, once a node runs there.
func fetchesToRunAgain(t *testing.T, g *gridtest.Grid, submitter *gridtest.Node) {
	dir := t.TempDir()
	proof, lines := filepath.Join(dir, "proof"), filepath.Join(dir, "lines")
	var text strings.Builder
	for n := range 8 {
		fmt.Fprintln(&text, n, strings.Repeat("of many ", 1<<10))
	}
	write(t, lines, text.String())
	job, _ := submitter.Submit(writeBurner(t, 2), "--lines", lines, "--per-unit", "2")
	wantDone(t, submitter.AwaitEnd(job))
	if s := submitter.Shoal("results", job, "-d", filepath.Join(dir, "out"), "--evidence", proof); s.Code != 0 {
		t.Fatalf("results: exit code %d\n%s", s.Code, s.Err)
	}
	sceptic := g.Node("sceptic")
	if s := sceptic.Shoal("verify", proof, "--rerun", "2"); s.Code != api.CodeRefused || !strings.Contains(s.Err, "no node runs here to ask the grid") {
		t.Errorf("without a node: exit code %d\n%s", s.Code, s.Err)
	}
	sceptic.Start("up")
	s := sceptic.Shoal("verify", proof, "--rerun", "4", "--output", "json")
	var found verifyDocument
	if err := json.Unmarshal(s.Out, &found); err != nil || s.Code != 0 || found.Rerun == nil || found.Rerun.Same != 8 {
		t.Errorf("with one: exit code %d, %v\n%s%s", s.Code, err, s.Out, s.Err)
	}
}
