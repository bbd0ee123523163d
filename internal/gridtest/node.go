package gridtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/shoalgrid/shoal/internal/api"
)

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
	if words[0] == "donate" && !slices.Contains(words, "--when") { // whoever sits at the machine
		flags = append(flags, "--when", "always", "--cores-in-use", "4096", "--on-battery")
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
	ctx, cancel := context.WithTimeout(context.Background(), sayTimeout)
	defer cancel()
	var out, said bytes.Buffer
	cmd := n.command(ctx, words)
	cmd.Stdout, cmd.Stderr = &out, &said
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
	id := n.id()
	if len(id.Addrs) == 0 {
		n.grid.t.Fatalf("%s has no address", n.Name)
	}
	return id.Addrs[0]
}

// Peer is the node's name in the grid.
func (n *Node) Peer() string {
	n.grid.t.Helper()
	return n.id().Peer
}

func (n *Node) id() *api.ID {
	n.grid.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	id, err := n.API.ID(ctx)
	if err != nil {
		n.grid.t.Fatalf("%s: %v", n.Name, err)
	}
	return id
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
