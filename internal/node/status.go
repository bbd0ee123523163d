package node

import (
	"context"
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
		e := api.Peer{Peer: p.ID.String(), Name: n.nameOf(p.ID), Addr: p.Addr, LatencyMS: float64(p.Latency) / float64(time.Millisecond), Agent: p.Agent}
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
		Node: api.NodeStatus{Peer: n.self.String(), Version: n.opts.Version, UptimeSeconds: int64(time.Since(n.started).Seconds()), Engine: wasm.Engine()},
		Grid: api.GridStatus{Peers: len(n.net.peers()), Addrs: n.addrs()},
		Jobs: list, Donating: n.donateStatus(),
	}
	if host, err := n.net.up(); err == nil {
		s.Grid.Reachable = host.Server()
	}
	if ahead, known := n.net.skew(); known {
		seconds := ahead.Round(time.Millisecond).Seconds()
		s.Grid.ClockSkewSeconds = &seconds
	}
	account, err := n.worker.Account()
	if err != nil {
		return nil, err
	}
	s.Today = todayOf(account, time.Now())
	s.Today.Waiting = int64(n.worker.Stats().Waiting)
	working, _ := n.worker.Working()
	for _, j := range working {
		s.Working = append(s.Working, api.Work{
			Job: j.Job.ID.String(), Name: j.Job.Head.Name, Description: j.Job.Head.Description, Units: j.Units,
			Submitter: j.Job.Head.Submitter.String(), SubmitterName: n.nameOf(j.Job.Head.Submitter),
		})
	}
	s.Offered = n.offered()
	notices, err := n.Notices(ctx)
	if err != nil {
		return nil, err
	}
	for _, notice := range notices {
		if !notice.Own && len(s.Notices) < newestNotices {
			s.Notices = append(s.Notices, notice)
		}
	}
	return s, nil
}

// todayOf adds up what an account tells of the day.
func todayOf(account []worker.Dealing, now time.Time) (t api.Today) {
	day := now.Unix() / (24 * 60 * 60)
	for _, d := range account {
		if d.Day != day {
			continue
		}
		t.Submitters++ // all beyond those that are told one by one count as one
		t.CPUSeconds += d.CPU.Seconds()
		t.Units += d.Units
		t.Accepted += d.Accepted
	}
	return t
}

// newestNotices is how many of them a status has.
const newestNotices = 4

var _ api.Node = (*Node)(nil)
