// Package node builds every part of a shoal node, starts them in order and stops them in
// reverse, and is what the local API drives.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/identity"
	"github.com/shoalgrid/shoal/internal/metrics"
	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler/keeper"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/worker"
)

// Options say what a node does. Config is a person's settings, the rest is the command's.
type Options struct {
	Home    string
	Config  config.Config
	Version string
	Donate  bool
	Weak    bool // donate also where an essential lock of the sandbox is missing
	Passing bool // leaves soon: keeps nothing for others
	Offline bool // the network comes up only when a job is offered to the grid
	Faults  Faults
	Machine Machine // nil: this one
	Logger  *slog.Logger
}

// Faults switch things off, for tests of what happens without them.
type Faults struct {
	NoGossip  bool
	NoInbound bool
}

// Node is one running process with one key.
type Node struct {
	opts    Options
	network string
	self    jobs.NodeID
	log     *slog.Logger
	started time.Time

	identity  *identity.Identity
	store     *store.Store
	blobs     *blobs
	net       *overlay
	keeper    *keeper.Keeper
	client    *client.Client
	submitter *submit.Submitter
	judge     *collect.Judge
	worker    *worker.Worker
	sandbox   *wasm.Sandbox
	board     *boardDriver
	names     *names
	notices   *noticeBoard
	machine   Machine
	moves     *transfers

	steps   steps
	counts  counts
	metrics *metrics.Metrics
	sent    atomic.Uint64 // bytes of blobs that others fetched here
	mu      sync.Mutex
	host    *p2p.Host
	goUp    chan struct{} // closed when the network should come up
	isUp    chan struct{} // closed when it is, or has failed to
	upErr   error
	offers  chan struct{} // the publisher should look
	donate  donation
	lending lending

	deciding sync.Mutex
	runHere  map[jobs.JobID]bool
	lives    map[jobs.JobID]life
	held     map[jobs.JobID]submit.Held
	collect  map[jobs.JobID]*collecting
	ctx      context.Context // ends with the node
	end      context.CancelFunc
	running  bool
	group    sync.WaitGroup
}

type collecting struct {
	*collect.Collector
	cancel context.CancelFunc
	used   time.Time
}

// Profiles that this build runs.
func profiles() []jobs.Profile {
	var ps []jobs.Profile
	for p := range wasm.MaxProfile + 1 {
		ps = append(ps, jobs.Profile(p))
	}
	return ps
}

// Open builds a node in its home. It holds the home until Close.
func Open(opts Options) (_ *Node, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		opts: opts, network: opts.Config.Network, log: opts.Logger, started: time.Now(),
		goUp: make(chan struct{}), isUp: make(chan struct{}), offers: make(chan struct{}, 1),
		runHere: map[jobs.JobID]bool{}, lives: map[jobs.JobID]life{}, held: map[jobs.JobID]submit.Held{}, collect: map[jobs.JobID]*collecting{},
		donate:  donation{on: opts.Donate},
		lending: lending{config: opts.Config, stamp: config.Stamp(opts.Home)}, machine: opts.Machine,
	}
	if n.machine == nil {
		n.machine = thisMachine(opts.Home, opts.Logger)
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	if n.identity, err = identity.Open(opts.Home); err != nil {
		return nil, err
	}
	if n.store, err = store.Open(opts.Home, store.Options{Quota: uint64(opts.Config.Disk), Logger: opts.Logger}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.store.Close()
		}
	}()
	n.self = n.identity.ID()
	n.metrics = metrics.New(n.measure)
	if err := n.recallPause(n.started); err != nil {
		return nil, err
	}
	return n, n.build()
}

func (n *Node) table(name string) disk.Disk { return table{n.store.Table(name)} }

func (n *Node) build() (err error) {
	home := n.opts.Home
	n.net = newOverlay(n.self)
	if n.moves, err = newTransfers(n.table("lending"), n.started); err != nil {
		return err
	}
	n.moves.wish(uint64(n.opts.Config.Rate), uint64(n.opts.Config.Monthly), "")
	n.blobs = &blobs{Blobs: n.store.Blobs(), net: n.net, moves: n.moves}
	temp := filepath.Join(home, "tmp")
	if err := clearTemp(temp); err != nil {
		return err
	}
	n.sandbox, err = wasm.New(wasm.Options{
		CacheDir: filepath.Join(home, "compiled"), Prefix: strings.Fields(os.Getenv("SHOAL_EXEC_PREFIX")), Logger: n.log,
	})
	if err != nil {
		return err
	}
	if n.opts.Donate {
		if err := n.locked(n.ctx, n.opts.Weak); err != nil {
			return err
		}
	}
	n.keeper, err = keeper.New(keeper.Config{
		Network: n.network, Signer: n.identity, Peers: n.net, Disk: n.table("keeper"), Blobs: n.blobs, Logger: n.log,
		Changed: &n.net.changed, OnControl: n.onControl,
	})
	if err != nil {
		return err
	}
	n.client = client.New(n.network, n.net, n.keeper)
	n.submitter = submit.New(submit.Config{
		Network: n.network, Signer: n.identity, Keepers: n.client, Home: n.keeper, Disk: n.table("jobs"), Blobs: n.blobs, Logger: n.log,
	})
	if n.judge, err = collect.NewJudge(n.table("results"), n.network, n.identity); err != nil {
		return fmt.Errorf("the record of donors: %w", err)
	}
	if n.board, err = newBoardDriver(n, n.table("board")); err != nil {
		return err
	}
	if n.names, err = openNames(n.table("names")); err != nil {
		return err
	}
	if n.notices, err = openNotices(n, n.table("notices")); err != nil {
		return err
	}
	n.worker = worker.New(worker.Config{
		Network: n.network, Signer: n.identity, Nonce: n.nonce, Keepers: n.faultyKeepers(n.client), Board: n.board, Blobs: n.blobs,
		Disk: n.table("worker"), Runner: faultyRunner(runner{n.sandbox, &n.counts}), Profiles: profiles(), Temp: temp,
		Slots: runtime.NumCPU(), MaxSlots: runtime.NumCPU(), OwnSlots: runtime.NumCPU(), RunOwn: n.runOwn, Logger: n.log,
	})
	n.board.finished = n.worker.Finished
	choice, err := n.opts.Config.Choice()
	n.worker.Choose(choice)
	return err
}

// clearTemp makes the folder for growing outputs, empty: what is in it nobody will finish.
func clearTemp(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(dir, "spool-*"))
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) nonce(job jobs.JobID, shard uint32, unit uint16) jobs.Digest {
	return n.identity.Secret("nonce", job[:], fmt.Append(nil, shard, "/", unit))
}

// runOwn reports whether a job of this node's is run here: when it donates, and when the job
// was begun with run.
func (n *Node) runOwn(j *jobs.Job) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runHere[j.ID] || n.donate.on && !n.lending.decision.Paused
}

// Run does everything a node does until ctx ends; an error says which part could not go on.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, n.end)
	defer stop()
	n.mu.Lock()
	n.running = true
	n.mu.Unlock()
	n.decide(time.Now())
	part := func(name string, f func(context.Context) error) {
		n.group.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part("keeper", n.keeper.Run)
	part("network", n.runNetwork)
	part("worker", n.worker.Run)
	part("publisher", n.publishLoop)
	part("housekeeping", n.housekeeping)
	part("lending", n.lend)
	if err := n.resume(); err != nil {
		cancel(err)
	}
	if !n.opts.Offline {
		n.bringUp()
	}
	<-ctx.Done()
	n.end()
	n.group.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Close lets the home go. Run, if it was called, must have returned.
func (n *Node) Close() error {
	n.end()
	n.group.Wait()
	n.mu.Lock()
	host := n.host
	n.mu.Unlock()
	if host != nil {
		if err := host.Close(); err != nil {
			n.log.Debug("network closed badly", "error", err)
		}
	}
	n.store.Close()
	return nil
}

// housekeeping ends a finish, collects garbage and lets idle collectors go.
func (n *Node) housekeeping(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	gc := time.Now().Add(gcEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-second.C:
			n.endFinish()
			n.idleCollectors(now)
			if now.After(gc) {
				gc = now.Add(gcEvery)
				if err := n.moves.keep(ctx); err != nil {
					n.log.Warn("what has moved this month is not on disk", "error", err)
				}
				if _, err := n.store.Blobs().GC(ctx, now); err != nil {
					n.log.Warn("blobs that nobody needs remain", "error", err)
				}
			}
		}
	}
}

const gcEvery = 10 * time.Minute
