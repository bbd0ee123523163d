// Package sim is a whole grid in one process: the real keeper, client, worker, submitter and
// collector of every node, over a network, disks and blobs in memory. Inside a synctest bubble
// its time is virtual, so hours of leases pass in milliseconds.
package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// Network is the name of the simulated grid.
const Network = "sim"

// Grid is the nodes and what connects them. Make one with New.
type Grid struct {
	Latency time.Duration // of a message, one way
	Logger  *slog.Logger

	mu    sync.Mutex
	nodes []*Node
	live  map[jobs.NodeID]*Node
	cut   func(a, b *Node) bool // true: the two do not reach each other
	board *board

	calls, bytes int64
}

// New makes an empty grid.
func New() *Grid {
	return &Grid{live: map[jobs.NodeID]*Node{}, board: newBoard(), Logger: slog.New(slog.DiscardHandler)}
}

// Node is one node of the grid: its key, disk and blobs outlive its process.
type Node struct {
	Name string
	grid *Grid
	key  ed25519.PrivateKey
	disk *memory
	blob *blobs

	Keeper    *keeper.Keeper
	Client    *client.Client
	Worker    *worker.Worker
	Submitter *submit.Submitter

	changed strand.Signal
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Kind says what a node does.
type Kind struct {
	Donates bool
	Slots   int // guests at a time; 0: one
	Keeps   bool
	RunsOwn bool
	// Run answers an input; nil: Echo.
	Run func(input []byte) []byte
	// Takes is how long an input takes.
	Takes time.Duration
	// Ran is told of each input that was run; nil: nobody.
	Ran func(*jobs.Job)
}

// Add makes a node and starts it.
func (g *Grid) Add(k Kind) *Node {
	g.mu.Lock()
	seed := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(len(g.nodes))))
	n := &Node{Name: fmt.Sprintf("n%d", len(g.nodes)), grid: g, key: ed25519.NewKeyFromSeed(seed[:]), disk: newDisk()}
	n.blob = newBlobs(n)
	g.nodes = append(g.nodes, n)
	g.mu.Unlock()
	n.Start(k)
	return n
}

// Twin makes another machine with a node's key, and a disk of its own. At most one of them keeps.
func (g *Grid) Twin(of *Node, k Kind) *Node {
	g.mu.Lock()
	n := &Node{Name: of.Name + "'", grid: g, key: of.key, disk: newDisk()}
	n.blob = newBlobs(n)
	g.nodes = append(g.nodes, n)
	g.mu.Unlock()
	n.Start(k)
	return n
}

// ID is the node's name in the protocol.
func (n *Node) ID() jobs.NodeID { return jobs.NodeID(n.key.Public().(ed25519.PublicKey)) }

// Sign signs as the node.
func (n *Node) Sign(m []byte) []byte { return ed25519.Sign(n.key, m) }

// Start begins, or after Kill begins again, with the disk as it was left.
func (n *Node) Start(k Kind) {
	g := n.grid
	net := &link{n}
	var err error
	n.Keeper, err = keeper.New(keeper.Config{
		Network: Network, Signer: n, Peers: net, Disk: n.disk.table('k'), Blobs: n.blob, Logger: g.Logger, Changed: &n.changed,
	})
	if err != nil {
		panic(err) // disks in memory do not fail
	}
	n.Client = client.New(Network, net, n.Keeper)
	n.Submitter = submit.New(submit.Config{
		Network: Network, Signer: n, Keepers: n.Client, Home: n.Keeper, Disk: n.disk.table('j'), Blobs: n.blob, Logger: g.Logger,
	})
	if k.Run == nil {
		k.Run = Echo
	}
	n.Worker = worker.New(worker.Config{
		Network: Network, Signer: n, Nonce: n.nonce, Keepers: n.Client, Board: g.board.view(), Blobs: n.blob, Disk: n.disk.table('w'),
		Runner: runner{k}, Profiles: []jobs.Profile{0}, Slots: max(k.Slots, 1), RunOwn: func(*jobs.Job) bool { return k.RunsOwn },
		Logger: g.Logger,
	})
	if k.Donates {
		n.Worker.SetMode(worker.Donating)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.done.Go(func() { _ = n.Keeper.Run(ctx) })
	n.done.Go(func() { _ = n.Worker.Run(ctx) })
	g.mu.Lock()
	if k.Keeps {
		g.live[n.ID()] = n
	}
	g.mu.Unlock()
	g.stir()
}

// Kill ends the node's process without a word. Its disk stays.
func (n *Node) Kill() {
	n.grid.mu.Lock()
	delete(n.grid.live, n.ID())
	n.grid.mu.Unlock()
	left := n.disk.copy() // what it writes as it ends is lost
	n.cancel()
	n.done.Wait()
	n.disk = left
	n.grid.stir()
}

// stir tells every node that peers changed, as a network would.
func (g *Grid) stir() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.nodes {
		n.changed.Raise()
		if n.Client != nil {
			n.Client.ForgetAll()
		}
	}
}

// Close ends every node.
func (g *Grid) Close() {
	g.mu.Lock()
	nodes := append([]*Node(nil), g.nodes...)
	g.mu.Unlock()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(n.Kill)
	}
	wg.Wait()
}

func (n *Node) nonce(job jobs.JobID, shard uint32, unit uint16) jobs.Digest {
	m := hmac.New(sha256.New, n.key.Seed())
	fmt.Fprint(m, job, shard, unit)
	return jobs.Digest(m.Sum(nil))
}

// Job is what a test submits: the numbers from 0 as inputs.
type Job struct {
	Inputs  int
	PerUnit int
	Unknown bool        // what a unit costs: nobody has estimated it
	Policy  jobs.Policy // zero: standard
}

// Submit makes and places a job, and puts it on the board.
func (n *Node) Submit(ctx context.Context, j Job) (*jobs.Job, error) {
	program, err := n.blob.Put(bytes.NewReader([]byte("program")), 1<<20)
	if err != nil {
		return nil, err
	}
	if j.Policy.Votes == 0 {
		j.Policy = jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 120}
	}
	unitTime := uint32(1)
	if j.Unknown {
		unitTime = 0
	}
	now := time.Now().Unix()
	job, err := n.Submitter.Create(ctx, submit.Spec{
		Head: jobs.Head{
			Created: now, Expires: now + 14*24*3600, Program: program, Policy: j.Policy, UnitTime: unitTime,
			Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: 60_000},
		},
		PerUnit: max(j.PerUnit, 1),
		Inputs: func(_ func(jobs.Input) error, addRange func(int64, int64) error) error {
			return addRange(0, int64(j.Inputs)-1)
		},
	})
	if err != nil {
		return nil, err
	}
	if _, _, err := n.Submitter.Publish(ctx, job, nil); err != nil {
		return nil, err
	}
	n.grid.board.add(job)
	return job, nil
}

// Collect gathers a job's answers at this node until ctx ends or all are accepted.
func (n *Node) Collect(ctx context.Context, job *jobs.Job) (*collect.Collector, error) {
	c, err := collect.New(n.collecting(job), job)
	if err != nil {
		return nil, err
	}
	return c, c.Run(ctx)
}

// collecting is what this node collects a job with.
func (n *Node) collecting(job *jobs.Job) collect.Config {
	cfg := collect.Config{Keepers: n.Client, Disk: n.disk.table('c'), Blobs: n.blob, Logger: n.grid.Logger}
	if job.Head.Submitter == n.ID() {
		var err error
		if cfg.Judge, err = collect.NewJudge(cfg.Disk, Network, n); err != nil {
			panic(err) // disks in memory do not fail
		}
	}
	return cfg
}

// Traffic is the number of calls between nodes, and their bytes.
func (g *Grid) Traffic() (calls, size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls, g.bytes
}

// KeepersOf are the live nodes that keep a shard.
func (g *Grid) KeepersOf(ref protocol.ShardRef) (out []*Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.live {
		for _, held := range n.Keeper.Held() {
			if held == ref {
				out = append(out, n)
			}
		}
	}
	return out
}

// Echo answers an input with itself.
func Echo(input []byte) []byte { return input }

// runner runs inputs as a Kind says.
type runner struct{ k Kind }

func (r runner) Start(_ context.Context, p worker.Program) (worker.Guest, error) {
	return guest{r.k, p.Job}, nil
}

type guest struct {
	k   Kind
	job *jobs.Job
}

func (g guest) Run(ctx context.Context, in worker.Input, stdout io.Writer) (worker.Report, error) {
	data, err := io.ReadAll(in.Stdin)
	if err != nil {
		return worker.Report{}, err
	}
	if g.k.Takes > 0 {
		timer := time.NewTimer(g.k.Takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return worker.Report{}, ctx.Err()
		}
	}
	out := g.k.Run(data)
	if g.k.Ran != nil {
		g.k.Ran(g.job)
	}
	_, err = stdout.Write(out)
	return worker.Report{Tuple: jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf(out).Digest, Size: uint64(len(out))}, CPU: g.k.Takes}, err
}

func (guest) Pause() error  { return nil }
func (guest) Resume() error { return nil }
func (guest) Close() error  { return nil }

// board is the one board of the grid: gossip that always arrives.
type board struct {
	mu    sync.Mutex
	board *scheduler.Board
	views []*view
}

type view struct {
	*board
	changed strand.Signal
}

func newBoard() *board { return &board{board: scheduler.NewBoard()} }

func (b *board) view() *view {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := &view{board: b}
	b.views = append(b.views, v)
	return v
}

func (b *board) add(j *jobs.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.board.Add(j, true, time.Now().Unix()); err != nil {
		return // expired: nobody would take it either
	}
	for _, v := range b.views {
		v.changed.Raise()
	}
}

func (v *view) Jobs() []*jobs.Job {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.board.board.Jobs()
}

func (v *view) Changed() *strand.Signal { return &v.changed }
