// Package gridtest runs grids of real shoal processes for tests. Each node is a process with a
// home of its own, listening on loopback, joined by an address and by nothing else; it can be
// killed like by a power cut and started again. A test speaks with its nodes as people do,
// through the command, or as commands do, through the local API.
package gridtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// Node is one home, and the process that runs in it when one does.
type Node struct {
	Name string
	Home string
	API  *api.Client

	grid  *Grid
	log   string
	env   []string
	words []string // of the command that was started last

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has
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

// Start starts a command that stays in the node's home, and waits until the node answers.
func (n *Node) Start(words ...string) {
	n.grid.t.Helper()
	n.Launch(words...)
	n.await()
}

// Restart starts the same command again, as a person or a service manager would.
func (n *Node) Restart() {
	n.grid.t.Helper()
	n.Start(n.words...)
}

// Setenv changes the environment of the node's next process; "NAME=" empties a variable.
func (n *Node) Setenv(pair string) { n.env = append(n.env, pair) }

// Launch is Start without the wait.
func (n *Node) Launch(words ...string) {
	n.grid.t.Helper()
	n.words = words
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, logFileMode)
	if err != nil {
		n.grid.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	cmd := n.command(context.Background(), append(slices.Clone(words), "-v"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		n.grid.t.Fatalf("start %s: %v", n.Name, err)
	}
	ended := make(chan struct{})
	n.mu.Lock()
	n.cmd, n.ended = cmd, ended
	n.mu.Unlock()
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed: its exit code says nothing
	}()
}

// command is shoal with these words in the node's home. Commands that may start a node of
// their own are told how to join.
func (n *Node) command(ctx context.Context, words []string) *exec.Cmd {
	flags := []string{"--home", n.Home}
	if slices.Contains([]string{"up", "donate", "run", "submit"}, words[0]) {
		flags = append(flags, "--no-mdns", "--listen", "127.0.0.1:0")
		for _, b := range n.grid.Bootstrap {
			flags = append(flags, "--bootstrap", b)
		}
	}
	// Flags go first: what follows a "--" is the program's.
	words = slices.Concat(words[:1], flags, words[1:])
	cmd := exec.CommandContext(ctx, n.grid.exe, words...)
	cmd.Env = append(os.Environ(), n.env...)
	return cmd
}

func (n *Node) await() {
	n.grid.t.Helper()
	n.grid.Until(n.Name+" answers", func() bool {
		if n.Ended() {
			n.grid.t.Fatalf("%s ended at once", n.Name)
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		id, err := n.API.ID(ctx)
		return err == nil && (len(id.Addrs) > 0 || slices.Contains(n.env, "SHOAL_NO_INBOUND=1"))
	})
}

// Kill ends the process as a power cut would, if one runs.
func (n *Node) Kill() {
	n.mu.Lock()
	cmd, ended := n.cmd, n.ended
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // fails only where it has ended already
	<-ended
	n.API.Close()
}

// Ended reports whether the node's process has ended.
func (n *Node) Ended() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended == nil {
		return true
	}
	select {
	case <-n.ended:
		return true
	default:
		return false
	}
}

// PID is the number of the node's process.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

// Said is what a command said, and how it ended.
type Said struct {
	Out  []byte
	Err  string
	Code int
}

// Shoal runs a command in the node's home to its end.
func (n *Node) Shoal(words ...string) Said {
	n.grid.t.Helper()
	return n.ShoalWith("", words...)
}

// ShoalWith is Shoal with something on stdin.
func (n *Node) ShoalWith(stdin string, words ...string) Said {
	n.grid.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sayTimeout)
	defer cancel()
	var out, said bytes.Buffer
	cmd := n.command(ctx, words)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		n.grid.t.Fatalf("shoal %s: %v\n%s", strings.Join(words, " "), errors.Join(err, ctx.Err()), said.String())
	}
	return Said{Out: out.Bytes(), Err: said.String(), Code: cmd.ProcessState.ExitCode()}
}

// Submit submits a job and gives its id and what was said.
func (n *Node) Submit(words ...string) (job, said string) {
	n.grid.t.Helper()
	s := n.Shoal(append([]string{"submit"}, words...)...)
	if s.Code != 0 {
		n.grid.t.Fatalf("submit: exit code %d\n%s", s.Code, s.Err)
	}
	return strings.TrimSpace(string(s.Out)), s.Err
}

// Begin starts a command that a test will not wait for, and gives what kills it.
func (n *Node) Begin(words ...string) (kill func()) {
	n.grid.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sayTimeout)
	cmd := n.command(ctx, words)
	if err := cmd.Start(); err != nil {
		n.grid.t.Fatalf("start shoal %s: %v", words[0], err)
	}
	kill = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait() // it is killed: its exit code says nothing
	})
	n.grid.t.Cleanup(kill)
	return kill
}

// Addr is a loopback address that others join by.
func (n *Node) Addr() string {
	n.grid.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	id, err := n.API.ID(ctx)
	if err != nil || len(id.Addrs) == 0 {
		n.grid.t.Fatalf("%s has no address: %v", n.Name, err)
	}
	return id.Addrs[0]
}

// Peer is the node's name in the grid.
func (n *Node) Peer() string {
	n.grid.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	id, err := n.API.ID(ctx)
	if err != nil {
		n.grid.t.Fatalf("%s: %v", n.Name, err)
	}
	return id.Peer
}

// Status is the node at a glance; nil while it does not answer.
func (n *Node) Status() *api.Status {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	s, err := n.API.Status(ctx)
	if err != nil {
		return nil
	}
	return s
}

// Job is how far a job is, as this node sees it; nil while it does not know.
func (n *Node) Job(id string) *api.Job {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	j, err := n.API.Job(ctx, id)
	if err != nil {
		return nil
	}
	return j
}

// AwaitInputs waits until the node sees at least so many inputs of a job done.
func (n *Node) AwaitInputs(id string, done int64) {
	n.grid.t.Helper()
	var last *api.Job
	n.grid.Until(fmt.Sprintf("%s sees %d inputs done", n.Name, done), func() bool {
		if j := n.Job(id); j != nil {
			last = j
		}
		return last != nil && last.Inputs.Done >= done
	})
}

// AwaitEnd waits until the node sees the job's end, and gives that reading.
func (n *Node) AwaitEnd(id string) *api.Job {
	n.grid.t.Helper()
	var last *api.Job
	if !n.grid.UntilWithin(Patience, func() bool {
		if j := n.Job(id); j != nil {
			last = j
		}
		return last != nil && last.Final
	}) {
		n.grid.t.Fatalf("%s waited %s in vain for the job's end; last seen: %+v", n.Name, Patience, last)
	}
	return last
}

// Works reports whether the node works on a unit now.
func (n *Node) Works() bool {
	s := n.Status()
	return s != nil && len(s.Working) > 0
}

// Peak is the most memory that the node's process has held at any time, in bytes; 0 where this
// system does not tell.
func (n *Node) Peak() uint64 {
	n.grid.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
