package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// steps of the burner that take about a tenth of a second.
const burn = 1 << 26

// TestGrid is what the grid promises, tried on real processes: nodes are killed with SIGKILL,
// restarted as they were, cut off and lied to, and the job still ends with the right answers.
func TestGrid(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of processes for minutes")
	}
	honest := gridtest.Build(t)
	faulty := gridtest.Build(t, "shoalfault")
	for _, s := range []struct {
		name string
		exe  string
		run  func(*testing.T, *gridtest.Grid)
	}{
		{"the nearest keep and die", honest, gridKeepsAtTheNearest}, // the longest first
		{"submitter, first node and a donor die", honest, gridSurvivesItsFounders},
		{"everyone is killed at random", honest, gridSurvivesRandomKills},
		{"every worker dies between seal and reveal", faulty, gridRevealsLater},
		{"one of five donors lies", faulty, gridDeliversNoLie},
		{"two of seven lie together", faulty, gridBelievesNoRing},
		{"a strong job's submitter is away", honest, gridIsNotFinalAlone},
		{"one of five donors copies", faulty, gridPaysNoThief},
		{"two machines of one key", honest, gridObeysEitherMachine},
		{"answers at home", honest, gridLeavesAnswersAtHome},
		{"large blobs", honest, gridMovesLargeBlobs},
		{"inputs that fail", honest, gridReportsFailures},
		{"one node", honest, gridOfOne},
		{"two nodes", honest, gridOfTwo},
		{"three nodes", honest, gridOfThree},
		{"evidence", honest, gridProves},
		{"one home, one node", honest, gridGuardsItsHomes},
		{"whose work", honest, gridChoosesWhose},
		{"no gossip", honest, gridWithoutGossip},
		{"bootstrap gone", honest, gridWithoutBootstrap},
		{"donors without inbound", honest, gridWithoutInbound},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, gridtest.New(t, s.exe))
		})
	}
}

// wantResults asks a node for a job's answers, which must be these, all of them.
func wantResults(t *testing.T, n *gridtest.Node, job string, want []byte) {
	t.Helper()
	s := n.Shoal("results", job)
	if s.Code != 0 || !bytes.Equal(s.Out, want) {
		t.Fatalf("results: exit code %d, %d bytes, right up to byte %d of %d\n%s", s.Code, len(s.Out), same(s.Out, want), len(want), s.Err)
	}
}

// same is how many bytes two outputs have in common at their beginning.
func same(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// wantDone checks the last reading of a job: done, with an answer to every input that at least
// two donors agreed on.
func wantDone(t *testing.T, j *api.Job) {
	t.Helper()
	if j.State != api.JobDone || j.Inputs.Done != j.Inputs.Total || j.Inputs.Failed != 0 || j.Units.Agreed != j.Units.Total || j.Executions < 2*j.Units.Total {
		t.Fatalf("the job is not done as it should be: %+v", j)
	}
}

// oneAtWork is one of the nodes that works on something now.
func oneAtWork(t *testing.T, g *gridtest.Grid, nodes []*gridtest.Node) *gridtest.Node {
	t.Helper()
	var at *gridtest.Node
	g.Until("some donor works", func() bool {
		for _, n := range nodes {
			if n.Works() {
				at = n
				return true
			}
		}
		return false
	})
	return at
}

// gridSurvivesItsFounders: the submitter and the node that all others joined by die as soon as
// submit has returned, a donor dies at work and comes back; a node that joins afterwards reads
// what the program gives when it is run alone.
func gridSurvivesItsFounders(t *testing.T, g *gridtest.Grid) {
	const inputs = 60
	program, span := writeBurner(t, burn), fmt.Sprintf("1..%d", inputs)
	first := g.Found("first", "up")
	donors := g.Donors(4)
	submitter := g.Start("submitter", "up")
	g.Meet(5, append(donors, first, submitter)...)

	job, said := submitter.Submit(program, "--range", span, "--per-unit", "2", "--lease", "5s")
	if !strings.Contains(said, "keepers hold it: safe to disconnect") { // 5 of 5, or itself and 4 of 4
		t.Errorf("not safe to disconnect:\n%s", said)
	}
	submitter.Kill()
	first.Kill()

	witness := donors[3]
	witness.AwaitInputs(job, inputs/5)
	victim := oneAtWork(t, g, donors[:3])
	victim.Kill()
	witness.AwaitInputs(job, inputs/2)
	victim.Restart()
	wantDone(t, witness.AwaitEnd(job))

	g.Bootstrap = []string{witness.Addr()}
	late := g.Start("late", "up")
	wantResults(t, late, job, burntRange(burn, inputs))
	alone := g.Node("alone").Shoal("run", program, "--range", span)
	if !bytes.Equal(alone.Out, burntRange(burn, inputs)) {
		t.Errorf("the program run alone gives something else: exit code %d\n%s", alone.Code, alone.Err)
	}
}

// gridDeliversNoLie: one of five donors flips a bit of every result. It is the first at work, so that
// the others cannot be done before it has lied.
func gridDeliversNoLie(t *testing.T, g *gridtest.Grid) {
	const inputs = 20
	submitter := g.Found("submitter", "up")
	liar := g.Node("liar")
	liar.Setenv("SHOAL_FAULT=lie")
	liar.Start("donate", "--cores", "1")
	g.Meet(1, liar, submitter)
	job, _ := submitter.Submit(writeBurner(t, burn/4), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s")
	g.Until("the liar has sealed something", func() bool { j := submitter.Job(job); return j != nil && j.Units.Sealed > 0 })

	g.Meet(5, append(g.Donors(4), liar, submitter)...)
	j := submitter.AwaitEnd(job)
	wantDone(t, j)
	if j.Executions <= 2*j.Units.Total {
		t.Errorf("%d executions of %d units: the liar took no part, so this test says nothing", j.Executions, j.Units.Total)
	}
	wantResults(t, submitter, job, burntRange(burn/4, inputs))
}
