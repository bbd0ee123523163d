package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	// sweepEvery is how often unused streams and old memories are let go.
	sweepEvery = 15 * time.Second
	// settleFirst is how long after a newcomer a small grid looks around; it looks again after
	// three times as long, and so on up to refreshEvery.
	settleFirst = time.Second
)

// Host is this node's place in the network. Use New, then Run, then Close.
type Host struct {
	cfg  Config
	log  *slog.Logger
	self jobs.NodeID

	host    host.Host
	serving *guarded // what kad-dht takes for the host
	store   ds.Batching
	dht     *dht.IpfsDHT
	dhtID   protocol.ID
	lan     *lan
	gate    *gate
	reach   *reach
	live    *liveness
	calls   *exchanger // of our own protocols
	asks    *exchanger // of the DHT's
	blobs   *blobs
	gossip  *gossip // nil where Config says none
	known   *known
	size    size

	changes chan struct{}
	built   chan struct{} // closed when all of the above is there

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	closed sync.Once
	failed error // of Close
}

// New builds a host that listens, answers and can call. Run makes it find others.
func New(cfg Config) (_ *Host, err error) {
	cfg, err = cfg.normalised()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, log: cfg.Logger, changes: make(chan struct{}, 1), built: make(chan struct{})}
	h.self = jobs.NodeID(cfg.Key.Public().(ed25519.PublicKey))
	h.dhtID = cfg.prefix() + "/kad/1.0.0"
	h.ctx, h.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.known, err = openKnown(cfg); err != nil {
		return nil, err
	}
	if h.store, err = openStore(cfg); err != nil {
		return nil, err
	}
	h.lan = newLAN()
	h.gate = newGate(cfg.Allow)
	if err = h.listen(); err != nil {
		return nil, err
	}
	return h, h.build()
}

// listen starts the libp2p host.
func (h *Host) listen() error {
	key, err := crypto.UnmarshalEd25519PrivateKey(h.cfg.Key)
	if err != nil {
		return fmt.Errorf("node key: %w", err)
	}
	resources, err := resourceManager(h.cfg)
	if err != nil {
		return fmt.Errorf("resource limits: %w", err)
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns, connmgr.WithGracePeriod(30*time.Second))
	if err != nil {
		return errors.Join(fmt.Errorf("connection limits: %w", err), resources.Close())
	}
	options := append(h.options(), libp2p.Identity(key), libp2p.ResourceManager(resources), libp2p.ConnectionManager(conns))
	base, err := libp2p.New(append(options, h.cfg.HostOptions...)...)
	if err != nil {
		return errors.Join(fmt.Errorf("start the network: %w", err), conns.Close(), resources.Close())
	}
	h.host = base
	return nil
}

// build puts the DHT and what needs it on the listening libp2p host.
func (h *Host) build() (err error) {
	h.gate.cut = func(p peer.ID) { _ = h.host.Network().ClosePeer(p) }
	h.live = newLiveness(h.ctx, h.host)
	h.serving = guard(h.host, h.cfg.maxDHTMessage(), h.gate.offend)
	h.reach = &reach{host: h.host, lan: h.lan, may: !h.cfg.NoInbound && !h.cfg.Passing}
	h.calls = newExchanger(h.host, h.dial)
	h.blobs = startBlobs(h)
	h.live.busy = h.blobs.busy
	if h.dht, err = h.startDHT(); err != nil {
		return fmt.Errorf("start the DHT: %w", err)
	}
	if h.cfg.Gossip {
		if h.gossip, err = startGossip(h.ctx, h.host, h.cfg); err != nil {
			return fmt.Errorf("start gossip: %w", err)
		}
	}
	h.decideServer()
	close(h.built)
	return nil
}

func (h *Host) options() []libp2p.Option {
	metrics := libp2p.DisableMetrics()
	if h.cfg.Metrics != nil {
		metrics = libp2p.PrometheusRegisterer(h.cfg.Metrics)
	}
	options := []libp2p.Option{
		libp2p.UserAgent(h.cfg.Agent),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.ConnectionGater(h.gate),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.SwarmOpts(swarm.WithDialTimeoutLocal(dialTimeout), swarm.WithDialRanker(h.lan.rankDials)),
		metrics,
		libp2p.EnableRelay(),
	}
	if h.cfg.NoInbound {
		return append(options, libp2p.NoListenAddrs)
	}
	return append(options,
		libp2p.ListenAddrStrings(listenAddrs(h.cfg)...),
		libp2p.EnableHolePunching(),
		libp2p.EnableRelayService(),
		libp2p.EnableAutoRelayWithPeerSource(h.relays,
			autorelay.WithMinInterval(time.Minute), autorelay.WithBackoff(2*time.Minute),
			autorelay.WithMinCandidates(1), autorelay.WithBootDelay(10*time.Second)),
		libp2p.EnableNATService())
}

// relays offers the connected nodes outside this LAN as relays.
func (h *Host) relays(_ context.Context, limit int) <-chan peer.AddrInfo {
	offered := make(chan peer.AddrInfo, limit)
	defer close(offered)
	select {
	case <-h.built:
	default:
		return offered
	}
	for _, p := range h.connectedServers() {
		if c := h.bestConn(p); c == nil || h.lan.inside(c.RemoteMultiaddr()) {
			continue
		}
		if len(offered) == limit {
			break
		}
		offered <- h.host.Peerstore().PeerInfo(p)
	}
	return offered
}

// Self is this node's ID.
func (h *Host) Self() jobs.NodeID { return h.self }

// Addrs are full multiaddrs by which others may reach this node, best first; none where it
// accepts no connections.
func (h *Host) Addrs() []string { return fullAddrs(h.host.ID(), h.host.Addrs()) }

// Server reports whether this node is reachable, and so serves the DHT and may be a keeper.
func (h *Host) Server() bool { return h.reach.server.Load() }

// Changes is signalled when peers have come, gone, or changed whether they are servers. It is
// for one reader, and signals that it has missed are one.
func (h *Host) Changes() <-chan struct{} { return h.changes }

// Run finds other nodes and keeps finding them until ctx ends or the host is closed.
func (h *Host) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	events, err := h.host.EventBus().Subscribe([]any{
		new(event.EvtPeerConnectednessChanged), new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated), new(event.EvtLocalReachabilityChanged),
	}, eventbus.Name("shoal"), eventbus.BufSize(256))
	if err != nil {
		return fmt.Errorf("subscribe to network events: %w", err)
	}
	defer events.Close()
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { h.rejoin(ctx) })
	if h.gossip != nil {
		loops.Go(func() { h.gossip.run(ctx) })
	}
	if h.cfg.MDNS && !h.cfg.NoInbound {
		loops.Go(func() { h.findOnLAN(ctx) })
	}
	h.follow(ctx, events)
	return nil
}

// follow reacts to the network's events, and does what is due now and then.
func (h *Host) follow(ctx context.Context, events event.Subscription) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	pause := settleFirst
	settle := time.NewTimer(pause)
	defer settle.Stop()
	h.decideServer()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events.Out():
			if h.react(e) {
				pause = settleFirst
				settle.Reset(pause)
			}
		case <-settle.C:
			h.dht.RefreshRoutingTable()
			h.remember()
			if pause *= 3; pause < refreshEvery {
				settle.Reset(pause)
			}
		case now := <-sweep.C:
			h.calls.sweep(now)
			h.asks.sweep(now)
			h.live.sweep(now)
			h.partWithStrangers(now)
			h.decideServer()
		}
	}
}

// react takes in an event, and reports whether it is time to look around: two nodes that join
// by a third at the same moment do not hear of each other, and in a small grid the third may be
// gone before the next refresh.
func (h *Host) react(e any) (newcomer bool) {
	switch e := e.(type) {
	case event.EvtLocalReachabilityChanged:
		h.reach.dialledBack(e.Reachability)
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness == network.NotConnected {
			h.calls.forget(e.Peer)
		}
		h.changed()
	default:
		newcomer = h.dht.RoutingTable().Size() < h.cfg.BucketSize
		h.changed()
	}
	h.decideServer()
	return newcomer
}

func (h *Host) changed() {
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

// decideServer serves the DHT where this node is reachable, and stops where it is not.
func (h *Host) decideServer() {
	server, changed := h.reach.decide(time.Now())
	h.serving.serve(server)
	if changed {
		h.log.Info("reachability", "reachable", server)
		h.changed()
	}
}

// Close ends everything that New and Run have begun. It may be called more than once.
func (h *Host) Close() error {
	h.closed.Do(func() { h.failed = h.shut() })
	return h.failed
}

func (h *Host) shut() error {
	h.cancel()
	var errs []error
	if h.blobs != nil {
		h.blobs.close()
	}
	if h.dht != nil {
		errs = append(errs, h.dht.Close())
	}
	if h.host != nil {
		errs = append(errs, h.host.Close())
	}
	if h.live != nil {
		h.live.wait()
	}
	if h.store != nil { // last: handlers of the DHT may read it until the host is closed
		errs = append(errs, h.store.Close())
	}
	return errors.Join(errs...)
}
