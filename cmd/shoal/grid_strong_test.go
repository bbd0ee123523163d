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

// gridIsNotFinalAlone: the submitter of a strong job goes away as soon as it is published. Its donors
// end with answers that are agreed, not final, which every command says; only when the submitter is
// back are they given without a mark. Until then only the keepers may read answers that others could
// still copy, so without the submitter the grid has no more nodes than keep.
func gridIsNotFinalAlone(t *testing.T, g *gridtest.Grid) {
	const inputs = 6
	first := g.Found("first", "up")
	keeper := g.Start("keeper", "up")
	submitter := g.Start("submitter", "up")
	g.Meet(2, first, keeper, submitter) // without it there is a majority yet
	want := burntRange(burn/4, inputs)

	job, said := submitter.Submit(writeBurner(t, burn/4), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "10s", "--verify", "strong")
	wantSaid(t, said, "another level: trusted needs a peer that you name: --trust PEER · standard needs 2 donors, 0 in sight · paranoid needs donors in 7 networks, 0 in sight")
	submitter.Kill() // before anybody works on it: it has asked for nothing
	at := g.Donors(3)[0]
	g.Until("all is agreed", func() bool { j := at.Job(job); return j != nil && j.Provisional == inputs })

	wantSaid(t, string(at.Shoal("status", job).Out), "6 units agreed, not final: only the submitter's node finishes a strong job")
	wantSaid(t, string(at.Shoal("explain", job).Out), "6 units agreed, not final: its submitter has still to check some of them")
	if s := at.Shoal("results", job); s.Code != 6 || len(s.Out) > 0 {
		t.Errorf("results of a job that is not final: exit code %d, %d bytes", s.Code, len(s.Out))
	}
	if s := at.Shoal("results", job, "--provisional"); s.Code != 0 || string(s.Out) != string(want) {
		t.Errorf("results --provisional: exit code %d, %d bytes of %d\n%s", s.Code, len(s.Out), len(want), s.Err)
	}
	marks := func(s gridtest.Said) int { return strings.Count(string(s.Out), `"provisional":true`) }
	if s := at.Shoal("results", job, "--provisional", "--output", "jsonl"); marks(s) != inputs {
		t.Errorf("%d of %d answers are marked as provisional:\n%s", marks(s), inputs, s.Out)
	}
	proof := filepath.Join(t.TempDir(), "proof")
	at.Shoal("results", job, "--provisional", "-d", filepath.Join(t.TempDir(), "out"), "--evidence", proof)
	if s := g.Node("stranger").Shoal("verify", proof); s.Code == 0 || !strings.Contains(string(s.Out)+s.Err, "agreed, not final") {
		t.Errorf("verify takes what is not final: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}

	submitter.Restart()
	wantDone(t, submitter.AwaitEnd(job))
	j := at.AwaitEnd(job)
	if j.Provisional != 0 || !j.Final {
		t.Errorf("the submitter has finished, and a donor says: %+v", j)
	}
	wantResults(t, at, job, want)
	if s := at.Shoal("results", job, "--output", "jsonl"); marks(s) != 0 {
		t.Errorf("final answers are marked as provisional:\n%s", s.Out)
	}
}
