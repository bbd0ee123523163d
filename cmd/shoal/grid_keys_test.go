package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// sameKey starts a second machine of a node's key: a home of its own, with nothing in it but a copy
// of the key.
func sameKey(t *testing.T, g *gridtest.Grid, of *gridtest.Node, name string) *gridtest.Node {
	t.Helper()
	second := g.Node(name)
	key, err := os.ReadFile(filepath.Join(of.Home, keyFile))
	if err == nil {
		err = os.MkdirAll(second.Home, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(second.Home, keyFile), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second.Start("up")
	return second
}

// gridObeysEitherMachine: a person has the key on two machines. The one that has submitted a strong
// job goes away; the other, which has nothing but the key, asks for votes, judges and finishes. Back
// again, the first says the same. Then it places another job, and the second, while both are on,
// looks at that and cancels it.
func gridObeysEitherMachine(t *testing.T, g *gridtest.Grid) {
	const inputs = 6
	first := g.Found("first", "up")
	donors := g.Donors(3)
	desk := g.Start("desk", "up")
	peer := desk.Peer()
	g.Meet(4, append(donors, first, desk)...)
	want := burntRange(burn/4, inputs)
	job, _ := desk.Submit(writeBurner(t, burn/4), "--range", fmt.Sprintf("1..%d", inputs), "--per-unit", "1", "--lease", "10s", "--verify", "strong")
	desk.Kill()

	laptop := sameKey(t, g, desk, "laptop")
	if laptop.Peer() != peer {
		t.Fatalf("the laptop is %s, not %s", laptop.Peer(), peer)
	}
	if s := laptop.Shoal("wait", job, "--timeout", "2m"); s.Code != 0 {
		t.Fatalf("wait: exit code %d\n%s", s.Code, s.Err)
	}
	j := laptop.AwaitEnd(job)
	wantDone(t, j)
	if !j.Own || j.Provisional != 0 || j.OwnRuns == 0 && j.Executions <= 2*j.Units.Total {
		t.Errorf("nobody asked for more votes than the keepers gather, and yet it is done: %+v", j)
	}
	wantResults(t, laptop, job, want)
	if s := laptop.Shoal("watch", job); s.Code != 0 || !strings.Contains(string(s.Out), "done") {
		t.Errorf("watch: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}
	laptop.Kill()
	desk.Restart()
	wantDone(t, desk.AwaitEnd(job))
	wantResults(t, desk, job, want)

	long, _ := desk.Submit(writeBurner(t, 20*burn), "--range", "1..500", "--per-unit", "1")
	laptop.Restart()
	g.Until("somebody works on it", func() bool { j := laptop.Job(long); return j != nil && j.Own && j.Units.Running > 0 })
	if s := laptop.Shoal("results", long); s.Code != api.CodeTimeout {
		t.Errorf("results of an open job: exit code %d\n%s", s.Code, s.Err)
	}
	if s := laptop.Shoal("cancel", long); s.Code != 0 || !strings.Contains(s.Err, "cancelled: nothing of ") {
		t.Fatalf("cancel from the other machine: exit code %d\n%s", s.Code, s.Err)
	}
	cancelled := func(n *gridtest.Node) func() bool {
		return func() bool { j := n.Job(long); return j != nil && j.State == api.JobCancelled && j.Final }
	}
	g.Until("the machine that submitted it knows", cancelled(desk))
	for _, d := range donors {
		g.Until(d.Name+" has let it go", func() bool { return !d.Works() })
	}
	if s := laptop.Shoal("status", long); s.Code != 0 || !bytes.Contains(s.Out, []byte("cancelled")) {
		t.Errorf("status: exit code %d\n%s%s", s.Code, s.Out, s.Err)
	}
	if s := donors[0].Shoal("cancel", long); s.Code != api.CodeRefused {
		t.Errorf("cancel by somebody else: exit code %d\n%s", s.Code, s.Err)
	}
}
