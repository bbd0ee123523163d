package p2p

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/shoalgrid/shoal/jobs"
)

// strangerKept is how long a connection may last with a peer that is not known to be a node of
// this network: time to be identified, or to dial this node back.
const strangerKept = 30 * time.Second

// Peer is a node that this one is connected with.
type Peer struct {
	ID      jobs.NodeID
	Addr    string        // where the connection goes, without the peer ID
	Network string        // the /24 or /48 that Addr is in; "" for a private address
	Latency time.Duration // as measured lately; 0 if unknown
	Server  bool          // it answers DHT requests, so others can reach it
	Agent   string        // what it says its software is
	Since   time.Time     // when the connection was made
}

// Peers lists the nodes of this network that this one is connected with, by ID.
func (h *Host) Peers() []Peer {
	var all []Peer
	for _, p := range h.host.Network().Peers() {
		n, err := nodeOf(p)
		c := h.bestConn(p)
		if err != nil || c == nil || !h.isOurs(p) {
			continue
		}
		agent, _ := h.host.Peerstore().Get(p, "AgentVersion")
		name, _ := agent.(string)
		all = append(all, Peer{
			ID:      n,
			Addr:    c.RemoteMultiaddr().String(),
			Network: networkOf(c),
			Latency: h.host.Peerstore().LatencyEWMA(p),
			Server:  h.servesDHT(p),
			Agent:   name,
			Since:   c.Stat().Opened,
		})
	}
	slices.SortFunc(all, func(a, b Peer) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return all
}

// NetworkOf is the /24 or /48 that a connected node's address is in; "" for a private address
// or a node that is not connected. A relayed node is taken to be where its relay is.
func (h *Host) NetworkOf(n jobs.NodeID) string {
	c := h.bestConn(peerOf(n))
	if c == nil {
		return ""
	}
	return networkOf(c)
}

// bestConn is the oldest direct connection to p, or else the oldest one.
func (h *Host) bestConn(p peer.ID) network.Conn {
	var best network.Conn
	for _, c := range h.host.Network().ConnsToPeer(p) {
		switch {
		case best == nil, best.Stat().Limited && !c.Stat().Limited:
			best = c
		case best.Stat().Limited == c.Stat().Limited && c.Stat().Opened.Before(best.Stat().Opened):
			best = c
		}
	}
	return best
}

func networkOf(c network.Conn) string {
	ip, ok := addrIP(c.RemoteMultiaddr())
	if !ok || !manet.IsPublicAddr(c.RemoteMultiaddr()) {
		return ""
	}
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip.WithZone(""), bits).Masked().String()
}

// isOurs reports whether a connected peer is a node of this network: all of them speak its
// bitswap. Until it has been identified it is not.
func (h *Host) isOurs(p peer.ID) bool {
	id, err := h.host.Peerstore().FirstSupportedProtocol(p, h.cfg.blobProtocol())
	return err == nil && id != ""
}

// partWithStrangers closes the connections with those that turned out to be no nodes of this
// network.
func (h *Host) partWithStrangers(now time.Time) {
	for _, c := range h.host.Network().Conns() {
		if p := c.RemotePeer(); now.Sub(c.Stat().Opened) > strangerKept && !h.isOurs(p) {
			h.log.Debug("not a node of this network", "peer", p, "addr", c.RemoteMultiaddr())
			_ = c.Close()
		}
	}
}

func (h *Host) servesDHT(p peer.ID) bool {
	id, err := h.host.Peerstore().FirstSupportedProtocol(p, h.dhtID)
	return err == nil && id != ""
}

func (h *Host) connectedServers() []peer.ID {
	return slices.DeleteFunc(h.host.Network().Peers(), func(p peer.ID) bool { return !h.servesDHT(p) })
}

// Connect dials a full multiaddr, one that ends in /p2p/ and the peer ID.
func (h *Host) Connect(ctx context.Context, addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return fmt.Errorf("address %.200q: %w", addr, err)
	}
	if _, err := nodeOf(info.ID); err != nil {
		return fmt.Errorf("address %.200q: %w", addr, err)
	}
	if info.ID == h.host.ID() {
		return nil // one list of addresses for all nodes names each to itself, too
	}
	if err := h.host.Connect(ctx, *info); err != nil {
		return fmt.Errorf("connect to %s: %w", info.ID, err)
	}
	if !h.isOurs(info.ID) {
		return fmt.Errorf("connect to %s: not a node of network %s", info.ID, h.cfg.Network)
	}
	return nil
}

// dial connects to a node where there is no connection, looking up its addresses in the DHT
// where none is known or the known ones are refused.
func (h *Host) dial(ctx context.Context, p peer.ID) error {
	if len(h.host.Network().ConnsToPeer(p)) > 0 {
		return nil
	}
	var failed error
	if info := h.host.Peerstore().PeerInfo(p); len(info.Addrs) > 0 {
		start := time.Now()
		failed = h.host.Connect(ctx, info)
		if failed == nil || ctx.Err() != nil || time.Since(start) > dialTimeout/2 {
			return failed // a node that has moved refuses at once, a dead one is silent
		}
	}
	info, err := h.dht.FindPeer(ctx, p)
	if err != nil {
		return errors.Join(failed, fmt.Errorf("find the addresses of %s: %w", p, err))
	}
	return h.host.Connect(ctx, info)
}
