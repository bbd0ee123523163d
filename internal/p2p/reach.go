package p2p

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	manet "github.com/multiformats/go-multiaddr/net"
)

// outsideKept is how long after the last connection with a peer outside the LAN this node
// still counts as part of a wider grid. A LAN cut off from the rest then works by itself.
const outsideKept = 10 * time.Minute

// reach decides whether other nodes can open connections to this one. Only then may it be a
// DHT server, and so a keeper. The rule: while every known peer is on the same LAN or machine,
// any address is reachable; from the first peer outside only a dial-back from outside
// counts, or, until somebody has tried one, a public address on an interface of this machine.
type reach struct {
	host   host.Host
	lan    *lan
	may    bool // it accepts connections, and will stay
	server atomic.Bool

	mu       sync.Mutex
	dialBack network.Reachability
	outside  time.Time // when a peer outside was last connected
}

// dialledBack records what others found when they dialled this node back.
func (r *reach) dialledBack(found network.Reachability) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialBack = found
}

// decide applies the rule, and reports whether the decision has changed.
func (r *reach) decide(now time.Time) (server, changed bool) {
	server = r.may && r.reachable(now)
	return server, r.server.Swap(server) != server
}

func (r *reach) reachable(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seesOutside() {
		r.outside = now
	}
	alone := r.outside.IsZero() || now.Sub(r.outside) > outsideKept
	switch {
	case alone, r.dialBack == network.ReachabilityPublic:
		return true
	case r.dialBack == network.ReachabilityPrivate:
		return false
	default:
		return r.onPublicInterface()
	}
}

func (r *reach) seesOutside() bool {
	for _, c := range r.host.Network().Conns() {
		if !r.lan.inside(c.RemoteMultiaddr()) {
			return true
		}
	}
	return false
}

func (r *reach) onPublicInterface() bool {
	addrs, err := r.host.Network().InterfaceListenAddresses()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if manet.IsPublicAddr(a) {
			return true
		}
	}
	return false
}

// dhtHost is the host that kad-dht is given. The DHT believes itself a server for ever; whether
// it serves is decided here, by registering its stream handler or not: kad-dht's own choice
// follows AutoNAT alone, and so knows nothing of LANs.
type dhtHost struct {
	host.Host

	mu       sync.Mutex
	handlers map[protocol.ID]network.StreamHandler
	serving  bool
}

func newDHTHost(h host.Host) *dhtHost {
	return &dhtHost{Host: h, handlers: make(map[protocol.ID]network.StreamHandler)}
}

// SetStreamHandler keeps the DHT's handler for when the node may serve.
func (d *dhtHost) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handlers[id] = f
	if d.serving {
		d.Host.SetStreamHandler(id, f)
	}
}

// serve begins or ends answering DHT requests. Peers are told by identify.
func (d *dhtHost) serve(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.serving == on {
		return
	}
	d.serving = on
	for id, f := range d.handlers {
		if on {
			d.Host.SetStreamHandler(id, f)
			continue
		}
		d.RemoveStreamHandler(id)
		resetInbound(d.Host, id)
	}
}

func resetInbound(h host.Host, id protocol.ID) {
	for _, c := range h.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == id && s.Stat().Direction == network.DirInbound {
				_ = s.Reset()
			}
		}
	}
}
