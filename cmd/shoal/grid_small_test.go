package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// wantWait waits until a node says of a job that it waits for this.
func wantWait(t *testing.T, g *gridtest.Grid, n *gridtest.Node, job, want string) {
	t.Helper()
	var last *api.Job
	if !g.UntilWithin(gridtest.Patience, func() bool {
		last = n.Job(job)
		return last != nil && last.Waits == want
	}) {
		t.Fatalf("status never says %q; last seen: %+v", want, last)
	}
}

// wantSaid checks that a command has said something.
func wantSaid(t *testing.T, said, want string) {
	t.Helper()
	if !strings.Contains(said, want) {
		t.Errorf("%q was not said:\n%s", want, said)
	}
}

// gridOfOne: a job that is submitted with nobody in sight waits in its home, is published when
// a node runs there and others have come, and a job of a lone donor's own ends by its own word.
func gridOfOne(t *testing.T, g *gridtest.Grid) {
	program := writeBurner(t, 1)
	home := g.Node("home")
	job, said := home.Submit(program, "--range", "1..4", "--per-unit", "1")
	wantSaid(t, said, "no other node in sight: the job waits in this home and is published when a node runs here")

	home.Start("up")
	g.Bootstrap = []string{home.Addr()}
	if s := home.Shoal("status", job); !strings.Contains(string(s.Out), "needs 2 more donors, 0 known") {
		t.Errorf("status does not say what the job waits for:\n%s", s.Out)
	}
	g.Donors(2)
	wantDone(t, home.AwaitEnd(job))
	wantResults(t, home, job, burntRange(1, 4))
}

// gridOfTwo: with fewer donors in sight than votes submit says so, status says what the job
// waits for, and it ends as soon as another donor comes.
func gridOfTwo(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	g.Meet(1, g.Donors(1)[0], submitter)
	seen := func() bool { s := submitter.Shoal("peers"); return bytes.Contains(s.Out, []byte("donor")) }
	g.Until("the submitter sees the donor", seen)

	job, said := submitter.Submit(writeBurner(t, 1), "--range", "1..6", "--per-unit", "2")
	wantSaid(t, said, "1 donor seen, 2 votes needed: waits for another, or donate here, or --trust PEER")
	wantWait(t, g, submitter, job, "needs 1 more donor, 1 known")
	if j := submitter.Job(job); j == nil || j.Final {
		t.Fatalf("one donor's word was enough: %+v", j)
	}
	if s := submitter.Shoal("donate"); s.Code != 0 {
		t.Fatalf("donate in the running node: exit code %d\n%s", s.Code, s.Err)
	}
	j := submitter.AwaitEnd(job)
	if j.State != api.JobDone || j.Inputs.Done != 6 {
		t.Fatalf("the job is not done: %+v", j)
	}
	wantResults(t, submitter, job, burntRange(1, 6))
}

// gridOfThree: two donors and a submitter, who leaves, are enough.
func gridOfThree(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	donors := g.Donors(2)
	g.Meet(2, append(donors, submitter)...)
	job, said := submitter.Submit(writeBurner(t, burn/4), "--range", "1..12", "--per-unit", "1")
	wantSaid(t, said, "2 of 2 keepers hold it: safe to disconnect")
	submitter.Kill()
	wantDone(t, donors[0].AwaitEnd(job))
	wantResults(t, donors[1], job, burntRange(burn/4, 12))
}
