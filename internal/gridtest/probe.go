package gridtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Probe is a stranger in the grid who asks its nodes what they keep. It keeps nothing itself.
type Probe struct {
	t     testing.TB
	host  *p2p.Host
	nodes map[*Node]jobs.NodeID
}

// NewProbe joins a probe to all of the nodes.
func NewProbe(t testing.TB, nodes ...*Node) *Probe {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Probe{t: t, nodes: map[*Node]jobs.NodeID{}}
	cfg := p2p.Config{Key: key, Network: "main", Passing: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	for _, n := range nodes {
		cfg.Bootstrap = append(cfg.Bootstrap, n.Addr())
		if p.nodes[n], err = jobs.ParseNodeID(n.Peer()); err != nil {
			t.Fatal(err)
		}
	}
	if p.host, err = p2p.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.host.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the probe ended: %v", err)
		}
		if err := p.host.Close(); err != nil {
			t.Logf("the probe closed badly: %v", err)
		}
	})
	return p
}

// Holders are the nodes that say they keep a shard of a job, by name in order. Nodes that do
// not answer are not among them.
func (p *Probe) Holders(job string, shard uint32) []string {
	p.t.Helper()
	id, err := jobs.ParseJobID(job)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for n, peer := range p.nodes {
		if !n.Ended() && p.holds(peer, protocol.ShardRef{Job: id, Shard: shard}) {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *Probe) holds(peer jobs.NodeID, ref protocol.ShardRef) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	raw, err := p.host.Call(ctx, peer, protocol.ID, protocol.EncodeRequest(protocol.Manifest, ref))
	if err != nil {
		return false
	}
	var a protocol.ManifestAnswer
	return protocol.DecodeAnswer(raw, &a) == nil
}

// Nearest are the living nodes, but for some, that are nearest to a shard's key by XOR
// distance, at most as many as keep it, by name in order.
func (p *Probe) Nearest(job string, shard uint32, but ...*Node) []string {
	p.t.Helper()
	id, err := jobs.ParseJobID(job)
	if err != nil {
		p.t.Fatal(err)
	}
	key := scheduler.Key(id, shard, 0)
	var alive []*Node
	for n := range p.nodes {
		if !n.Ended() && !slices.Contains(but, n) {
			alive = append(alive, n)
		}
	}
	slices.SortFunc(alive, func(a, b *Node) int {
		da, db := p2p.Distance(key, p.nodes[a]), p2p.Distance(key, p.nodes[b])
		return bytes.Compare(da[:], db[:])
	})
	var names []string
	for _, n := range alive[:min(scheduler.Keepers, len(alive))] {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}
