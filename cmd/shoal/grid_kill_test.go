package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// gridSurvivesRandomKills: a submit, the submitter's node, the first node and donors are killed
// at random points and started again as they were, with nothing else done.
func gridSurvivesRandomKills(t *testing.T, g *gridtest.Grid) {
	const inputs = 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))

	first := g.Found("first", "up")
	donors := g.Donors(3)
	submitter := g.Node("submitter")
	words := []string{writeBurner(t, burn), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s"}
	killAtRandom(g, chance, submitter, words)
	submitter.Start("up")
	g.Meet(4, append(donors, first, submitter)...)
	job, _ := submitter.Submit(words...)

	victims := []*gridtest.Node{submitter, first, donors[0], donors[0], donors[1], donors[1]}
	chance.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	witness, part := donors[2], inputs/(len(victims)+1)
	for i, n := range victims {
		witness.AwaitInputs(job, int64(part*i+chance.IntN(part)))
		n.Kill()
		n.Restart()
	}
	wantDone(t, submitter.AwaitEnd(job))
	wantResults(t, submitter, job, burntRange(burn, inputs))
	if s := submitter.Shoal("status"); strings.Count(string(s.Out), "burn.wasm") != 1 {
		t.Errorf("the submit that was killed left another job behind:\n%s", s.Out)
	}
	wantNoPartial(t, append(victims, witness))
}

// killAtRandom kills a submit somewhere between its start and its end.
func killAtRandom(g *gridtest.Grid, chance *rand.Rand, n *gridtest.Node, words []string) {
	kill := n.Begin(append([]string{"submit"}, words...)...)
	looks := chance.IntN(20)
	g.Until("some time has passed", func() bool { looks--; return looks < 0 })
	kill()
}

// wantNoPartial checks that no output lies in any home that looks whole and is not: what is
// being written carries a name of its own, and is gone once its node has run again.
func wantNoPartial(t *testing.T, nodes []*gridtest.Node) {
	t.Helper()
	for _, n := range nodes {
		left, err := filepath.Glob(filepath.Join(n.Home, "tmp", "spool-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", n.Name, left, err)
		}
	}
}

// gridGuardsItsHomes: a second node on a home is refused with the pid of the first, also where
// the home's path is longer than a socket's may be, where all else works as anywhere.
func gridGuardsItsHomes(t *testing.T, g *gridtest.Grid) {
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30), "home")
	if err := os.MkdirAll(filepath.Dir(deep), 0o700); err != nil {
		t.Fatal(err)
	}
	n := g.NodeAt("deep", deep)
	n.Setenv("XDG_RUNTIME_DIR=" + t.TempDir()) // where its socket is then, also when it is killed
	n.Start("up")
	g.Bootstrap = []string{n.Addr()}
	for range 2 {
		s := n.Shoal("up")
		if s.Code == 0 || !strings.Contains(s.Err, fmt.Sprint(n.PID())) {
			t.Errorf("a second node: exit code %d, and pid %d is not named:\n%s", s.Code, n.PID(), s.Err)
		}
		n.Kill() // leaves its socket behind
		n.Restart()
		g.Bootstrap = []string{n.Addr()}
	}
	g.Meet(2, append(g.Donors(2), n)...)
	job, _ := n.Submit(writeBurner(t, 1), "--range", "1..4", "--per-unit", "1")
	wantDone(t, n.AwaitEnd(job))
	wantResults(t, n, job, burntRange(1, 4))
}
