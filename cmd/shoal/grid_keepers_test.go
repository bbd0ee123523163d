package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// awaitHolders waits until a shard is held by exactly the living nodes that are nearest to its
// key, and gives their names.
func awaitHolders(t *testing.T, g *gridtest.Grid, p *gridtest.Probe, job string, shard uint32) []string {
	t.Helper()
	var held, nearest []string
	if !g.UntilWithin(gridtest.Patience, func() bool {
		held, nearest = p.Holders(job, shard), p.Nearest(job, shard)
		return slices.Equal(held, nearest)
	}) {
		t.Fatalf("shard %d is held by %v; nearest to its key are %v", shard, held, nearest)
	}
	return held
}

// gridKeepsAtTheNearest: in a grid of twelve each shard is held by its five nearest nodes and by
// no other; they are killed one after the other, with the submitter gone, and the job ends.
func gridKeepsAtTheNearest(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	donors := g.Donors(11)
	all := append(slices.Clone(donors), submitter)
	g.Meet(11, all...)
	probe := gridtest.NewProbe(t, all...)

	wide, _ := submitter.Submit(writeBurner(t, burn), "--range", "1..3000", "--per-unit", "1")
	for shard := range uint32(3) { // of at most 1,024 units
		awaitHolders(t, g, probe, wide, shard)
	}
	if s := submitter.Shoal("cancel", wide); s.Code != 0 {
		t.Fatalf("cancel: exit code %d\n%s", s.Code, s.Err)
	}

	const inputs = 200
	job, _ := submitter.Submit(writeBurner(t, burn), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s")
	keepers := awaitHolders(t, g, probe, job, 0)
	submitter.Kill()
	witness := donors[slices.IndexFunc(donors, func(n *gridtest.Node) bool { return !slices.Contains(keepers, n.Name) })]
	for i, name := range keepers {
		witness.AwaitInputs(job, int64(inputs*i/10))
		if j := witness.Job(job); j == nil || j.Final {
			t.Fatalf("the job ended before all of its keepers were killed: %+v", j)
		}
		all[slices.IndexFunc(all, func(n *gridtest.Node) bool { return n.Name == name })].Kill()
		awaitHolders(t, g, probe, job, 0)
	}
	wantDone(t, witness.AwaitEnd(job))
	wantResults(t, witness, job, burntRange(burn, inputs))
}

// gridRevealsLater: on every unit a worker dies between its seal and its reveal, and comes back
// only to reveal; the first time all keepers of the job are others by then. Of each unit's two
// workers one is such, because only one other donates.
func gridRevealsLater(t *testing.T, g *gridtest.Grid) {
	const inputs = 4
	submitter := g.Found("submitter", "up")
	old := append(g.Crew("old", 4, "up"), submitter)
	g.Meet(4, old...)
	mortals := []*gridtest.Node{g.Node("mortal-1"), g.Node("mortal-2")}
	job, _ := submitter.Submit(writeBurner(t, 1), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s")

	sealAndDie(g, gridtest.Patience, mortals)
	var j *api.Job
	g.Until("the seals are seen", func() bool { j = old[0].Job(job); return j != nil && j.Units.Sealed > 0 })
	if j.Inputs.Done > 0 {
		t.Fatalf("nothing should be revealed yet: %+v", j)
	}
	fresh := g.Crew("fresh", 5, "up")
	probe := gridtest.NewProbe(t, append(slices.Clone(old), fresh...)...)
	for _, n := range old {
		n.Kill()
		awaitHolders(t, g, probe, job, 0)
	}
	witness := fresh[0]
	g.Bootstrap = []string{witness.Addr()}
	g.Start("partner", "donate", "--cores", "1")

	for round := 1; ; round++ {
		for _, m := range mortals {
			m.Setenv("SHOAL_FAULT=")
			m.Start("up") // reveals what is sealed, takes nothing new
		}
		g.Until("what is sealed is revealed", func() bool { return revealed(mortals) })
		if j := witness.Job(job); j != nil && j.Final {
			wantDone(t, j)
			wantResults(t, witness, job, burntRange(1, inputs))
			return
		}
		if round == 3*inputs {
			t.Fatalf("the job is not done after %d rounds: %+v", round, witness.Job(job))
		}
		for _, m := range mortals {
			m.Kill()
		}
		sealAndDie(g, 5*time.Second, mortals)
	}
}

// sealAndDie lets nodes donate until each has sealed something, at which it dies. One that
// has sealed all there is lives on, so no longer than the time.
func sealAndDie(g *gridtest.Grid, limit time.Duration, mortals []*gridtest.Node) {
	for _, m := range mortals {
		m.Setenv("SHOAL_FAULT=seal-die")
		m.Launch("donate", "--cores", "1")
	}
	for _, m := range mortals {
		g.UntilWithin(limit, m.Ended)
		m.Kill()
	}
}

// revealed reports whether no node has a result left that it has sealed and not seen decided.
func revealed(nodes []*gridtest.Node) bool {
	for _, n := range nodes {
		if s := n.Status(); s == nil || s.Today.Waiting > 0 {
			return false
		}
	}
	return true
}

// gridWithout is a job through a grid that lacks something.
func gridWithout(t *testing.T, g *gridtest.Grid, submitter *gridtest.Node, witness func() *gridtest.Node, before func()) {
	t.Helper()
	const inputs = 20
	before()
	job, _ := submitter.Submit(writeBurner(t, burn/16), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "5s")
	w := witness()
	wantDone(t, w.AwaitEnd(job))
	wantResults(t, w, job, burntRange(burn/16, inputs))
}

// gridWithoutGossip: heads of jobs are copied from peers instead, by those that were there
// before the job and by those that come later.
func gridWithoutGossip(t *testing.T, g *gridtest.Grid) {
	g.Env = []string{"SHOAL_NO_GOSSIP=1"}
	submitter := g.Found("submitter", "up")
	donors := g.Donors(1)
	g.Meet(1, submitter, donors[0])
	late := func() *gridtest.Node { return g.Crew("late", 1, "donate", "--cores", "1")[0] }
	gridWithout(t, g, submitter, late, func() {})
}

// gridWithoutBootstrap: the node that all joined by dies before there is a job.
func gridWithoutBootstrap(t *testing.T, g *gridtest.Grid) {
	first := g.Found("first", "up")
	donors := g.Donors(3)
	submitter := g.Start("submitter", "up")
	g.Meet(4, append(donors, first, submitter)...)
	gridWithout(t, g, submitter, func() *gridtest.Node { return donors[0] }, first.Kill)
}

// gridWithoutInbound: donors that nobody can dial work all the same, and keep nothing.
func gridWithoutInbound(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	keepers := append(g.Crew("up", 2, "up"), submitter)
	g.Env = []string{"SHOAL_NO_INBOUND=1"}
	donors := g.Donors(2)
	g.Meet(4, submitter)
	for _, d := range donors {
		if s := d.Status(); s == nil || s.Grid.Reachable || len(s.Grid.Addrs) > 0 {
			t.Fatalf("%s can be dialled: %+v", d.Name, s)
		}
		if s := submitter.Shoal("peers", "--output", "jsonl"); !strings.Contains(string(s.Out), `"roles":["`+api.RoleDonor+`"]`) {
			t.Fatalf("the donors should be donors and nothing else:\n%s", s.Out)
		}
	}
	gridWithout(t, g, submitter, func() *gridtest.Node { return keepers[0] }, func() {})
}
