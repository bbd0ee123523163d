package p2p

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// listenAddrs are the addresses to listen on.
func listenAddrs(cfg Config) []string {
	addrs := cfg.Listen
	if len(addrs) == 0 {
		for _, ip := range []string{"/ip4/0.0.0.0", "/ip6/::"} {
			addrs = append(addrs, fmt.Sprintf("%s/tcp/%d", ip, cfg.Port), fmt.Sprintf("%s/udp/%d/quic-v1", ip, cfg.Port))
		}
	}
	if !slices.ContainsFunc(addrs, taken) {
		return addrs
	}
	cfg.Logger.Info("port is in use, taking another", slog.Any("addrs", addrs))
	var free []string
	for _, a := range addrs {
		free = append(free, anyPort(a))
	}
	return free
}

// taken tries an address before libp2p does, because libp2p listens with SO_REUSEPORT: two
// nodes on one port would then share it, each getting some of the other's connections.
func taken(addr string) bool {
	parts := strings.Split(addr, "/") // "", "ip4", the address, "tcp" or "udp", the port, the rest
	if len(parts) < 5 || parts[4] == "0" {
		return false
	}
	ip := parts[2]
	if parts[1] == "ip4" && ip == "0.0.0.0" || parts[1] == "ip6" && ip == "::" {
		ip = ""
	}
	return !portFree(net.JoinHostPort(ip, parts[4]))
}

// anyPort is an address with a port that the system chooses.
func anyPort(addr string) string {
	parts := strings.Split(addr, "/")
	if len(parts) > 4 {
		parts[4] = "0"
	}
	return strings.Join(parts, "/")
}

func portFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	_ = l.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}

// fullAddrs are the multiaddrs by which others can dial this node, best first: public, LAN,
// relayed. Loopback ones only where there is nothing else.
func fullAddrs(id peer.ID, addrs []ma.Multiaddr) []string {
	near := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return manet.IsIPLoopback(a) })
	if len(near) == 0 {
		near = slices.Clone(addrs)
	}
	slices.SortStableFunc(near, func(a, b ma.Multiaddr) int { return addrRank(a) - addrRank(b) })
	full := make([]string, len(near))
	for i, a := range near {
		full[i] = a.String() + "/p2p/" + id.String()
	}
	return full
}

func addrRank(a ma.Multiaddr) int {
	switch {
	case isRelayed(a):
		return 2
	case !manet.IsPublicAddr(a):
		return 1
	default:
		return 0
	}
}

// farDelay is how much later the other addresses of a near peer are tried.
const farDelay = 200 * time.Millisecond

// rankDials puts TCP first where the peer is near: QUIC costs three times the CPU for bulk and
// gains nothing without loss or NAT. Elsewhere libp2p's own order holds, which is QUIC first.
func (l *lan) rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var near []network.AddrDelay
	var rest []ma.Multiaddr
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil && l.inside(a) {
			near = append(near, network.AddrDelay{Addr: a})
		} else {
			rest = append(rest, a)
		}
	}
	ranked := swarm.DefaultDialRanker(rest)
	if len(near) > 0 {
		for i := range ranked {
			ranked[i].Delay += farDelay
		}
	}
	return append(near, ranked...)
}
