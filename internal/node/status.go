package node

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/worker"
)

// ID is this node's name and where others reach it.
func (n *Node) ID(context.Context) (*api.ID, error) {
	return &api.ID{Peer: n.self.String(), Addrs: n.addrs()}, nil
}

func (n *Node) addrs() []string {
	host, err := n.net.up()
	if err != nil {
		return nil
	}
	return host.Addrs()
}

// Ready waits until the network is up, or has failed to come up.
func (n *Node) Ready(ctx context.Context) error {
	n.bringUp()
	select {
	case <-n.isUp:
	case <-ctx.Done():
		return ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.upErr
}

// Peers lists the nodes this one is connected with.
func (n *Node) Peers(ctx context.Context) ([]api.Peer, error) {
	n.net.greet(ctx)
	list := []api.Peer{}
	for _, p := range n.net.peers() {
		does := n.net.does(p.ID)
		e := api.Peer{Peer: p.ID.String(), Addr: p.Addr, LatencyMS: float64(p.Latency) / float64(time.Millisecond), Agent: p.Agent}
		if does.Donating {
			e.Roles = append(e.Roles, api.RoleDonor)
		}
		if p.Server {
			e.Roles = append(e.Roles, api.RoleKeeper)
		}
		list = append(list, e)
	}
	return list, nil
}

// Status is everything at a glance.
func (n *Node) Status(ctx context.Context) (*api.Status, error) {
	list, err := n.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	s := &api.Status{
		Schema: api.StatusSchema,
		Node:   api.NodeStatus{Peer: n.self.String(), Version: n.opts.Version, UptimeSeconds: int64(time.Since(n.started).Seconds()), Engine: wasm.Engine()},
		Grid:   api.GridStatus{Peers: len(n.net.peers()), Addrs: n.addrs()},
		Jobs:   list, Donating: n.donateStatus(),
	}
	if host, err := n.net.up(); err == nil {
		s.Grid.Reachable = host.Server()
	}
	w := n.worker.Stats()
	s.Today = api.Today{CPUSeconds: w.CPU.Seconds(), Submitters: w.For, Units: int64(w.Units), Accepted: int64(w.Done), Waiting: int64(w.Waiting)}
	working, _ := n.worker.Working()
	for _, j := range working {
		s.Working = append(s.Working, api.Work{Job: j.Job.ID.String(), Name: j.Job.Head.Name, Submitter: j.Job.Head.Submitter.String(), Units: j.Units})
	}
	return s, nil
}

func (n *Node) donateStatus() api.DonateStatus {
	working, idle := n.worker.Working()
	n.mu.Lock()
	defer n.mu.Unlock()
	d := api.DonateStatus{
		State: api.DonatingOff, Why: "not asked to: shoal donate", Cores: n.worker.Slots(), TotalCores: runtime.NumCPU(),
		Memory: uint64(n.opts.Config.Memory), Disk: uint64(n.opts.Config.Quota),
	}
	switch {
	case n.donate.on && n.donate.paused:
		d.State, d.Why = api.DonatingPaused, "paused by you: shoal resume"
		if !n.donate.until.IsZero() {
			until := n.donate.until
			d.Until = &until
		}
	case n.donate.on && n.donate.finishing:
		d.State, d.Why = api.DonatingFinishing, "ends what is running, takes nothing new"
	case n.donate.on:
		d.State, d.Why = api.DonatingOn, ""
		if len(working) == 0 {
			d.Why = idle
			if len(n.net.peers()) == 0 {
				d.Why = "no other node in sight"
			}
		}
	}
	return d
}

func (n *Node) donatingNow() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.donate.on && !n.donate.paused && !n.donate.finishing
}

// applyMode tells the worker what the person wants.
func (n *Node) applyMode() {
	n.mu.Lock()
	d := n.donate
	n.mu.Unlock()
	mode := worker.OwnOnly
	switch {
	case d.on && d.paused:
		mode = worker.Paused
	case d.on && d.finishing:
		mode = worker.Finishing
	case d.on:
		mode = worker.Donating
	}
	n.worker.SetMode(mode)
}

func (n *Node) change(f func(*donation) error) error {
	n.mu.Lock()
	err := f(&n.donate)
	n.mu.Unlock()
	if err == nil {
		n.applyMode()
	}
	return err
}

// Donate turns donating on.
func (n *Node) Donate(ctx context.Context, d api.Donation) error {
	if err := n.locked(ctx, d.AllowWeakSandbox); err != nil {
		return err
	}
	n.bringUp()
	if d.Cores > 0 {
		n.worker.SetSlots(d.Cores)
	}
	return n.change(func(x *donation) error {
		*x = donation{on: true}
		return nil
	})
}

// locked refuses to donate where strangers' programs could not be locked in, unless weak
// says that they may run all the same.
func (n *Node) locked(ctx context.Context, weak bool) error {
	err := n.sandbox.Locked(ctx)
	var missing *wasm.WeakError
	switch {
	case !errors.As(err, &missing):
		return err
	case weak:
		n.sandbox.AllowWeak(true)
		n.log.Warn("strangers' programs are not locked in as they should be", "cause", missing)
		return nil
	}
	return &api.Error{
		Code: api.CodeRefused, Message: "not donating: " + missing.Error(),
		Hint: "use a system that has it, or take the risk with --allow-weak-sandbox",
	}
}

var errNotDonating = &api.Error{Code: api.CodeUsage, Message: "this node is not donating", Hint: "begin with: shoal donate"}

// Pause stops donating for a time; 0 is until Resume.
func (n *Node) Pause(_ context.Context, d time.Duration) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.until = true, time.Time{}
		if d > 0 {
			x.until = time.Now().Add(d)
		}
		return nil
	})
}

// Resume ends a pause.
func (n *Node) Resume(context.Context) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.finishing, x.until = false, false, time.Time{}
		return nil
	})
}

// Finish ends what is running, takes nothing new, and then turns donating off.
func (n *Node) Finish(context.Context) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.finishing = false, true
		return nil
	})
}

func (n *Node) endPause(now time.Time) {
	n.mu.Lock()
	over := n.donate.paused && !n.donate.until.IsZero() && now.After(n.donate.until)
	n.mu.Unlock()
	if over {
		_ = n.Resume(context.Background()) // fails only where nothing is donated any more
	}
}

func (n *Node) endFinish() {
	n.mu.Lock()
	finishing := n.donate.finishing
	n.mu.Unlock()
	if !finishing {
		return
	}
	if working, _ := n.worker.Working(); len(working) == 0 && n.worker.Stats().Waiting == 0 {
		_ = n.change(func(x *donation) error { *x = donation{}; return nil }) // cannot fail
	}
}

// Finished reports whether a finish has come to its end.
func (n *Node) Finished() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.donate.on
}

var _ api.Node = (*Node)(nil)
