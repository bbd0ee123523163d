package p2p

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
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
	return slices.ContainsFunc(addrs, manet.IsPublicAddr)
}
