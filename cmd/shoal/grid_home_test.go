package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// gridLeavesAnswersAtHome: what a home has collected it gives without a node: all of another's job
// that was read there once, with its proof, and of its own job, which is not done, what there is.
func gridLeavesAnswersAtHome(t *testing.T, g *gridtest.Grid) {
	const few, many, steps = 6, 400, burn / 4
	submitter := g.Found("submitter", "up")
	donors := g.Donors(2)
	reader := g.Start("reader", "up")
	g.Meet(3, append(donors, submitter, reader)...)

	done, _ := submitter.Submit(writeBurner(t, 1), "--range", "1..6", "--per-unit", "1")
	wantDone(t, submitter.AwaitEnd(done))
	wantResults(t, reader, done, burntRange(1, few))
	reader.Kill()
	wantResults(t, reader, done[:8], burntRange(1, few))
	proof := filepath.Join(t.TempDir(), "proof")
	if s := reader.Shoal("results", done, "-d", filepath.Join(t.TempDir(), "out"), "--evidence", proof); s.Code != 0 {
		t.Fatalf("evidence without a node: exit code %d\n%s", s.Code, s.Err)
	}
	if s := g.Node("stranger").Shoal("verify", proof); s.Code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}

	open, _ := submitter.Submit(writeBurner(t, steps), "--range", "1..400", "--per-unit", "1")
	submitter.AwaitInputs(open, 4)
	submitter.Kill()
	for _, d := range donors { // else they could tell a home that asked
		d.Kill()
	}
	s := submitter.Shoal("results", open)
	if s.Code != api.CodeNoNode || !strings.Contains(s.Err, "not every answer of job ") || strings.Count(s.Err, "\n") != 2 {
		t.Errorf("results without a node: exit code %d\n%s", s.Code, s.Err)
	}
	given, all := len(s.Out)/8, burntRange(steps, many)
	for out := s.Out; len(out) >= 8; out = out[8:] {
		at := 0
		for at < len(all) && !bytes.Equal(all[at:at+8], out[:8]) {
			at += 8
		}
		if at == len(all) {
			t.Fatalf("answer %d of %d is none of the job's, or not in order", given-len(out)/8+1, given)
		}
		all = all[at+8:]
	}
	if given < 4 || given >= many || len(s.Out)%8 != 0 {
		t.Errorf("%d of %d answers, when 4 were seen: %d bytes", given, many, len(s.Out))
	}
}
