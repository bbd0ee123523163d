package p2p

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// rejoinEvery is how often remembered peers that are not connected are dialled;
	// rejoinAlone how often while there is no connection at all.
	rejoinEvery = time.Minute
	rejoinAlone = 5 * time.Second
	// rejoinDials bounds the dials of one round, joinTimeout the time of each.
	rejoinDials = 8
	joinTimeout = 5 * time.Second
	// foundQueue bounds the nodes found on the LAN that wait to be dialled.
	foundQueue = 32
)

// rejoin dials remembered peers for as long as ctx lasts, and refreshes the routing table after
// it. Without it a partition would never heal: kad-dht looks for peers only when its table is empty.
func (h *Host) rejoin(ctx context.Context) {
	defer h.remember()
	for {
		met := h.rejoinOnce(ctx)
		if met > 0 {
			h.dht.RefreshRoutingTable()
		}
		pause := rejoinEvery
		if len(h.host.Network().Peers()) == 0 {
			pause = rejoinAlone
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		h.remember()
	}
}

// rejoinOnce dials some remembered peers at once and returns how many of them it has met.
func (h *Host) rejoinOnce(ctx context.Context) int {
	due := h.known.due(time.Now(), rejoinDials, func(p peer.ID) bool {
		return p == h.host.ID() || h.host.Network().Connectedness(p) == network.Connected || !h.gate.admits(p)
	})
	var wg sync.WaitGroup
	met := make([]bool, len(due))
	for i, info := range due {
		wg.Go(func() { met[i] = h.join(ctx, info) })
	}
	wg.Wait()
	n := 0
	for _, ok := range met {
		if ok {
			n++
		}
	}
	return n
}

func (h *Host) join(ctx context.Context, info peer.AddrInfo) bool {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	if s, ok := h.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // the pauses between tries are ours
	}
	if err := h.host.Connect(ctx, info); err != nil {
		h.log.Debug("remembered peer does not answer", "peer", info.ID, "err", err)
		h.known.missed(info.ID, time.Now())
		return false
	}
	return true
}

// remember adds the connected peers that can be dialled to the remembered ones, and saves them.
func (h *Host) remember() {
	now := time.Now()
	for _, p := range h.host.Network().Peers() {
		c := h.bestConn(p)
		if c == nil || !h.isOurs(p) || (c.Stat().Direction == network.DirInbound && !h.servesDHT(p)) {
			continue
		}
		h.known.met(p, h.dialable(p, c), now)
	}
	if err := h.known.save(); err != nil {
		h.log.Warn("cannot remember peers", "err", err)
	}
}

// dialable are the addresses by which a connected peer may be found again.
func (h *Host) dialable(p peer.ID, c network.Conn) []ma.Multiaddr {
	near := manet.IsIPLoopback(c.RemoteMultiaddr())
	var addrs []ma.Multiaddr
	if c.Stat().Direction == network.DirOutbound && !isRelayed(c.RemoteMultiaddr()) {
		addrs = append(addrs, c.RemoteMultiaddr())
	}
	for _, a := range h.host.Peerstore().Addrs(p) {
		if manet.IsIPLoopback(a) == near && !ma.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// lanFinder hands the nodes that mDNS finds to the loop that dials them.
type lanFinder chan peer.AddrInfo

// HandlePeerFound implements mdns.Notifee. What finds no room will be found again.
func (f lanFinder) HandlePeerFound(info peer.AddrInfo) {
	select {
	case f <- info:
	default:
	}
}

// findOnLAN dials the nodes of this network that mDNS finds.
func (h *Host) findOnLAN(ctx context.Context) {
	found := make(lanFinder, foundQueue)
	// mDNS labels are short and case-insensitive, so the network's name goes in by its digest.
	name := sha256.Sum256([]byte(h.cfg.Network))
	service := mdns.NewMdnsService(h.host, "_shoal-"+hex.EncodeToString(name[:4])+"._udp", found)
	if err := service.Start(); err != nil {
		h.log.Debug("mDNS cannot start: nodes on this LAN are not found by themselves", "err", err)
		return
	}
	defer service.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case info := <-found:
			if h.host.Network().Connectedness(info.ID) != network.Connected && h.gate.admits(info.ID) {
				h.join(ctx, info)
			}
		}
	}
}
