package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	firstBan = 10 * time.Second
	maxBan   = time.Hour
	// maxBans bounds how many offenders are remembered; the one that is free first goes first.
	maxBans = 1024
)

// gate decides whom this node connects with: Ed25519 identities only, those on the allow-list
// where there is one, and nobody who has lately broken a protocol.
type gate struct {
	allow func(jobs.NodeID) bool
	cut   func(peer.ID) // closes the connections to a peer; set once the network exists

	mu   sync.Mutex
	bans map[peer.ID]ban
}

// ban is one offender. Each offence doubles the time; it is forgotten once the peer has
// behaved for as long as it could have been banned.
type ban struct {
	until  time.Time
	length time.Duration
}

var _ connmgr.ConnectionGater = (*gate)(nil)

func newGate(allow func(jobs.NodeID) bool) *gate {
	return &gate{allow: allow, cut: func(peer.ID) {}, bans: make(map[peer.ID]ban)}
}

// offend bans a peer that broke a protocol, and closes its connections.
func (g *gate) offend(p peer.ID) {
	g.mu.Lock()
	now := time.Now()
	b := g.bans[p]
	if now.After(b.until.Add(maxBan)) {
		b.length = 0
	}
	b.length = min(max(2*b.length, firstBan), maxBan)
	b.until = now.Add(b.length)
	if _, known := g.bans[p]; !known && len(g.bans) >= maxBans {
		g.dropOldest()
	}
	g.bans[p] = b
	g.mu.Unlock()
	g.cut(p)
}

func (g *gate) dropOldest() {
	var oldest peer.ID
	for p, b := range g.bans {
		if oldest == "" || b.until.Before(g.bans[oldest].until) {
			oldest = p
		}
	}
	delete(g.bans, oldest)
}

func (g *gate) admits(p peer.ID) bool {
	n, err := nodeOf(p)
	if err != nil || (g.allow != nil && !g.allow(n)) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !time.Now().Before(g.bans[p].until)
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.admits(p) }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.admits(p)
}

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
