package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// gridBelievesNoRing: two of seven donors tell the same lie about everything. At strong, of a
// submitter that knows nobody and donates nothing, only right answers come out.
func gridBelievesNoRing(t *testing.T, g *gridtest.Grid) {
	const inputs = 30
	submitter := g.Found("submitter", "up")
	all := append(g.Donors(5), submitter)
	for i := range 2 {
		liar := g.Node(fmt.Sprintf("liar%d", i))
		liar.Setenv("SHOAL_FAULT=lie")
		liar.Start("donate", "--cores", "1", "--when", "always")
		all = append(all, liar)
	}
	g.Meet(5, all...)

	job, said := submitter.Submit(writeBurner(t, burn/4), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "10s", "--verify", "strong")
	if !strings.Contains(said, "strong") || !strings.Contains(said, "final when this node has judged them all") {
		t.Errorf("submit does not say what strong is:\n%s", said)
	}
	if early := all[0].Shoal("results", job); len(early.Out) > 0 {
		t.Errorf("a donor gives answers that are not final: %d bytes", len(early.Out))
	}
	j := submitter.AwaitEnd(job)
	wantDone(t, j)
	if j.Provisional != 0 || j.OwnRuns == 0 {
		t.Errorf("done, with %d provisional units and %d own runs of a submitter that knew nobody", j.Provisional, j.OwnRuns)
	}
	wantResults(t, submitter, job, burntRange(burn/4, inputs))

	proof := filepath.Join(t.TempDir(), "proof")
	if s := submitter.Shoal("results", job, "-d", filepath.Join(t.TempDir(), "out"), "--evidence", proof); s.Code != 0 {
		t.Fatalf("results --evidence: exit code %d\n%s", s.Code, s.Err)
	}
	if s := g.Node("stranger").Shoal("verify", proof); s.Code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}

	if s := submitter.Shoal("submit", writeBurner(t, burn), "--range", "1..9", "--verify", "paranoid"); s.Code != 7 || !strings.Contains(s.Err, "7 networks") {
		t.Errorf("paranoid without seven networks: exit code %d\n%s", s.Code, s.Err)
	}
}
