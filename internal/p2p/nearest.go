package p2p

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	kbucket "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	// heardLately is how recently a node must have answered to count as reachable without
	// being asked again.
	heardLately = 5 * time.Second
	// spare is how many more nodes are asked than are wanted, so that a few dead ones do not
	// cost another round.
	spare = 3
)

// Distance is how far a node is from a key, as the DHT measures it: SHA-256(peer ID) XOR
// SHA-256(key), compared as big-endian numbers.
func Distance(key [32]byte, n jobs.NodeID) [32]byte {
	d := jobs.Sum(n.Bytes())
	for i, b := range jobs.Sum(key[:]) {
		d[i] ^= b
	}
	return d
}

// Nearest finds the r reachable nodes nearest to key by Distance, nearest first: by a lookup
// in the DHT, this node included where it is that near and Server, every other one confirmed by
// an answer from it. In a small grid it returns fewer. An error means that the search was cut
// short; what was found is returned with it.
func (h *Host) Nearest(ctx context.Context, key [32]byte, r int) ([]jobs.NodeID, error) {
	begin := time.Now()
	found, err := h.dht.GetClosestPeers(ctx, string(key[:]))
	if err != nil && !errors.Is(err, kbucket.ErrLookupFailure) {
		return nil, fmt.Errorf("look up nearest: %w", err)
	}
	near := h.confirm(ctx, h.candidates(key, found), r, begin)
	h.size.note(key, near, r)
	return near, ctx.Err()
}

// candidates are the nodes of a lookup, the connected DHT servers, which the routing table
// may not have taken in yet, and this node, nearest first.
func (h *Host) candidates(key [32]byte, found []peer.ID) []jobs.NodeID {
	seen := make(map[jobs.NodeID]bool)
	if h.Server() {
		seen[h.self] = true
	}
	for _, p := range append(found, h.connectedServers()...) {
		if n, err := nodeOf(p); err == nil && h.gate.admits(p) {
			seen[n] = true
		}
	}
	type candidate struct {
		node     jobs.NodeID
		distance [32]byte
	}
	var all []candidate
	for n := range seen {
		all = append(all, candidate{n, Distance(key, n)})
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(bytes.Compare(a.distance[:], b.distance[:]), bytes.Compare(a.node[:], b.node[:]))
	})
	nodes := make([]jobs.NodeID, len(all))
	for i, c := range all {
		nodes[i] = c.node
	}
	return nodes
}

// confirm returns the first r of the nodes that answer. It asks a few more at once than are
// still missing, so that each round costs one deadline at most.
func (h *Host) confirm(ctx context.Context, nodes []jobs.NodeID, r int, begin time.Time) []jobs.NodeID {
	var near []jobs.NodeID
	for len(near) < r && len(nodes) > 0 && ctx.Err() == nil {
		ask := nodes[:min(r-len(near)+spare, len(nodes))]
		nodes = nodes[len(ask):]
		alive := make([]bool, len(ask))
		var wg sync.WaitGroup
		for i, n := range ask {
			wg.Go(func() { alive[i] = h.answers(ctx, n, begin) })
		}
		wg.Wait()
		for i, n := range ask {
			if alive[i] && len(near) < r {
				near = append(near, n)
			}
		}
	}
	return near
}

// answers reports whether a node is there as a DHT server, asking it unless the lookup that
// began at begin has found out already. A connected node gets a second chance: it may be busy,
// and to leave it out would put a shard where nobody looks for it.
func (h *Host) answers(ctx context.Context, n jobs.NodeID, begin time.Time) bool {
	p := peerOf(n)
	switch {
	case n == h.self, h.blobs.busy(p) && h.host.Network().Connectedness(p) == network.Connected:
		return true
	case h.live.silentSince(p, begin):
		return h.live.ping(ctx, p, askTimeout)
	case h.live.heardSince(p, begin.Add(-heardLately)):
		return true
	}
	return h.dht.Ping(ctx, p) == nil || h.live.ping(ctx, p, askTimeout)
}
