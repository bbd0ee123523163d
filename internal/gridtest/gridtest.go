// Package gridtest runs grids of real shoal processes for tests. Each node is a process with a
// home of its own, listening on loopback, joined by an address and by nothing else; it can be
// killed like by a power cut and started again. A test speaks with its nodes as people do,
// through the command, or as commands do, through the local API.
package gridtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

const (
	// Patience is how long a test waits for what takes seconds on an idle machine: a busy one
	// is slower, a broken grid never gets there.
	Patience = 2 * time.Minute

	look        = 50 * time.Millisecond // between two looks at a condition
	askTimeout  = 10 * time.Second      // of one question to a node
	sayTimeout  = 3 * time.Minute       // of one command
	tailOfLog   = 12                    // lines of a node's log in a failed test's output
	logFileMode = 0o600
)

// Build builds the shoal command with build tags and gives its path.
func Build(t testing.TB, tags ...string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "shoal")
	cmd := exec.Command("go", "build", "-tags", strings.Join(tags, ","), "-o", exe, "github.com/shoalgrid/shoal/cmd/shoal")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build shoal: %v\n%s", err, out)
	}
	return exe
}

// Grid is some nodes of one test. What it starts ends with the test.
type Grid struct {
	t   testing.TB
	exe string
	dir string // of homes and logs

	// Bootstrap is what the nodes that are started from now on join by.
	Bootstrap []string
	// Env is added to the environment of the processes that are started from now on.
	Env []string

	nodes []*Node
}

// New is a grid without nodes. Its processes are killed at the end of the test; after a failure
// their logs are kept, and the end of each is shown.
func New(t testing.TB, exe string) *Grid {
	g := &Grid{t: t, exe: exe, dir: t.TempDir()}
	t.Cleanup(func() {
		for _, n := range g.nodes {
			n.Kill()
		}
		if t.Failed() {
			g.keepLogs()
		}
	})
	return g
}

func (g *Grid) keepLogs() {
	dir, err := os.MkdirTemp("", "shoal-grid-logs-")
	if err != nil {
		g.t.Logf("logs are lost: %v", err)
		return
	}
	g.t.Logf("the nodes' logs are in %s", dir)
	for _, n := range g.nodes {
		text, err := os.ReadFile(n.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, n.Name+".log"), text, logFileMode)
		}
		if err != nil {
			g.t.Logf("log of %s: %v", n.Name, err)
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		g.t.Logf("%s:\n  %s", n.Name, strings.Join(lines[max(0, len(lines)-tailOfLog):], "\n  "))
	}
}

// Until looks again and again until cond holds; the test fails if it never does. The words say
// what is waited for.
func (g *Grid) Until(what string, cond func() bool) {
	g.t.Helper()
	if !g.UntilWithin(Patience, cond) {
		g.t.Fatalf("waited %s in vain: %s", Patience, what)
	}
}

// UntilWithin looks again and again until cond holds or the time is over.
func (g *Grid) UntilWithin(limit time.Duration, cond func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// Node is a home of that name where nothing runs yet.
func (g *Grid) Node(name string) *Node { return g.NodeAt(name, filepath.Join(g.dir, name)) }

// NodeAt is a node in a given home.
func (g *Grid) NodeAt(name, home string) *Node {
	n := &Node{Name: name, Home: home, API: api.NewClient(home), grid: g, log: filepath.Join(g.dir, name+".log"), env: slices.Clone(g.Env)}
	g.nodes = append(g.nodes, n)
	return n
}

// Start makes a node and starts a command in it that stays: up or donate, with what flags it
// needs beside those of every node. It waits until the node answers.
func (g *Grid) Start(name string, words ...string) *Node {
	g.t.Helper()
	n := g.Node(name)
	n.Start(words...)
	return n
}

// Found starts the grid's first node; all later ones join by it.
func (g *Grid) Found(name string, words ...string) *Node {
	g.t.Helper()
	n := g.Start(name, words...)
	g.Bootstrap = []string{n.Addr()}
	return n
}

// Crew starts n nodes of the same kind at once.
func (g *Grid) Crew(kind string, n int, words ...string) []*Node {
	g.t.Helper()
	var crew []*Node
	for i := range n {
		crew = append(crew, g.Node(fmt.Sprintf("%s-%d", kind, i+1)))
		crew[i].Launch(words...)
	}
	for _, c := range crew {
		c.await()
	}
	return crew
}

// Donors starts n nodes that work for others, one program at a time.
func (g *Grid) Donors(n int) []*Node {
	g.t.Helper()
	return g.Crew("donor", n, "donate", "--cores", "1")
}

// Meet waits until each of the nodes sees at least so many others.
func (g *Grid) Meet(others int, nodes ...*Node) {
	g.t.Helper()
	for _, n := range nodes {
		g.Until(fmt.Sprintf("%s sees %d others", n.Name, others), func() bool {
			s := n.Status()
			return s != nil && s.Grid.Peers >= others
		})
	}
}
