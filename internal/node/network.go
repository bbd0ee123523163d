package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// bringUp lets the network come up, if it is not up.
func (n *Node) bringUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.goUp:
	default:
		close(n.goUp)
	}
}

// runNetwork runs the network from when it should be up.
func (n *Node) runNetwork(ctx context.Context) error {
	select {
	case <-n.goUp:
	case <-ctx.Done():
		return nil
	}
	p2p.LibraryLogs(n.log.Handler())
	c := &n.opts.Config
	cfg := p2p.Config{
		Key: n.identity.Key(), Network: n.network, Agent: "shoal/" + n.opts.Version,
		Bootstrap: c.Bootstrap, MDNS: c.MDNS, Gossip: !n.opts.Faults.NoGossip, NoInbound: n.opts.Faults.NoInbound, Passing: n.opts.Passing,
		Dir: filepath.Join(n.opts.Home, "network"), ValidateHead: n.validateHead, PreferHead: preferHead,
		Metrics: n.metrics.Registerer(), Blocks: blocks{n.store.Blobs(), n.moves, &n.sent}, Logger: n.log, Listen: listenAddrs(c), Port: int(c.Listen.Port()),
	}
	host, err := p2p.New(cfg)
	n.mu.Lock()
	n.host, n.upErr = host, err
	n.mu.Unlock()
	if err != nil {
		close(n.isUp)
		return err
	}
	host.Handle(protocol.ID, n.handle)
	n.net.use(host)
	close(n.isUp)
	n.group.Go(func() { n.board.run(ctx, host) })
	n.group.Go(func() { n.greetLoop(ctx, host) })
	n.group.Go(func() { n.joinBy(ctx, host) })
	return host.Run(ctx)
}

// joinBy dials the nodes that this one was told to join by, and says which cannot be reached: the
// host goes on trying by itself.
func (n *Node) joinBy(ctx context.Context, host *p2p.Host) {
	for _, addr := range n.opts.Config.Bootstrap {
		if err := host.Connect(ctx, addr); err != nil && ctx.Err() == nil {
			n.log.Info("cannot join by this address for now", "bootstrap", addr, "error", err)
		}
	}
}

// handle answers a peer.
func (n *Node) handle(ctx context.Context, from jobs.NodeID, request []byte) ([]byte, error) {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return nil, p2p.ErrMalformed
	}
	n.counts.asked(verb)
	n.keeper.Meet(from) // whoever speaks with this node is met, long before its first claim
	switch verb {
	case protocol.Board:
		var q protocol.BoardRequest
		if err := protocol.DecodeRequest(body, &q); err != nil {
			return nil, p2p.ErrMalformed
		}
		return protocol.EncodeAnswer(n.board.answer(&q), nil), nil
	case protocol.Notices:
		var q protocol.NoticesRequest
		if err := protocol.DecodeRequest(body, &q); err != nil {
			return nil, p2p.ErrMalformed
		}
		return protocol.EncodeAnswer(n.notices.answer(&q), nil), nil
	case protocol.Hello:
		return protocol.EncodeAnswer(n.sayHello(), nil), nil
	}
	if n.silent() {
		return nil, errSilent
	}
	answer := n.keeper.Handle(ctx, from, request)
	if protocol.Refuses(answer, protocol.Forged) {
		return nil, p2p.ErrMalformed // to check a signature costs more than to make one up
	}
	return answer, nil
}

func (n *Node) sayHello() *protocol.HelloAnswer {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &protocol.HelloAnswer{Donating: n.taking(), Slots: uint16(n.worker.Slots()), Profiles: profiles(), Now: time.Now().UnixMilli(), Name: n.lending.config.Name}
	a.Lends, a.Memory = n.donate.on && !n.donate.finishing, n.lending.decision.Memory
	a.Keeps = n.host != nil && n.host.Server()
	return a
}

// greetLoop follows who comes and goes.
func (n *Node) greetLoop(ctx context.Context, host *p2p.Host) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-host.Changes():
			n.client.ForgetAll()
			n.net.changed.Raise()
			n.pokePublisher()
		case <-tick.C:
		}
		n.net.greet(ctx)
		for _, id := range n.net.donating() {
			n.keeper.Meet(id)
		}
		n.learnNames(ctx)
	}
}

// validateHead is what the DHT accepts under a job's key: that job's head.
func (n *Node) validateHead(key [32]byte, value []byte) error {
	job, err := jobs.OpenHead(value, n.network)
	if err != nil {
		return err
	}
	if job.ID != jobs.JobID(key) {
		return errors.New("head of another job")
	}
	if time.Now().Unix() >= job.Head.Created+int64(jobs.MaxLife/time.Second) {
		return errors.New("head of a job that has ended")
	}
	return nil
}

// preferHead makes one of two valid heads of one job the record: signatures may differ, bytes
// decide.
func preferHead(a, b []byte) int { return strings.Compare(string(a), string(b)) }

// listenAddrs are explicit addresses, where an interface was asked for.
func listenAddrs(c *config.Config) []string {
	a := c.Listen.Addr()
	if !a.IsValid() || a.IsUnspecified() {
		return nil
	}
	ip := "ip4"
	if a.Is6() {
		ip = "ip6"
	}
	return []string{
		fmt.Sprintf("/%s/%s/tcp/%d", ip, a, c.Listen.Port()),
		fmt.Sprintf("/%s/%s/udp/%d/quic-v1", ip, a, c.Listen.Port()),
	}
}
