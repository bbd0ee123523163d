package p2p

import (
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

const (
	// maxConns are all connections, maxInbound those that others opened. The connection
	// manager prunes from highConns down to lowConns long before.
	maxConns   = 640
	maxInbound = 512
	highConns  = 256
	lowConns   = 192

	// connsPerPeer leaves room for both sides dialling each other over several addresses.
	connsPerPeer = 8
	// peerStreams are the streams of one protocol that one peer may have open here.
	peerStreams = 64
	// protocolStreams are those of one protocol and all peers together.
	protocolStreams = 2048
	// blobStreams and blobPeerStreams are those of bitswap, each of which holds a message.
	blobStreams     = 128
	blobPeerStreams = 16

	// peerMemory and systemMemory bound the buffers of one peer and of all.
	peerMemory   = 32 << 20
	systemMemory = 512 << 20
)

// limits bounds what one peer, one protocol and all of them can hold of this node. Numbers do
// not depend on the machine: they are bounds against abuse, not a share of the memory.
func limits(cfg Config) rcmgr.ConcreteLimitConfig {
	// Bitswap holds a whole message for each stream (maxBlobMessage).
	blobs := cfg.blobProtocol()
	scaled := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaled)
	return rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: maxConns, ConnsInbound: maxInbound, ConnsOutbound: maxConns,
			Streams: 16384, StreamsInbound: 8192, StreamsOutbound: 16384,
			Memory: systemMemory,
		},
		ProtocolDefault: rcmgr.ResourceLimits{
			Streams: 2 * protocolStreams, StreamsInbound: protocolStreams, StreamsOutbound: protocolStreams,
			Memory: systemMemory / 2,
		},
		Protocol:     map[protocol.ID]rcmgr.ResourceLimits{blobs: {StreamsInbound: blobStreams}},
		ProtocolPeer: map[protocol.ID]rcmgr.ResourceLimits{blobs: {StreamsInbound: blobPeerStreams}},
		ProtocolPeerDefault: rcmgr.ResourceLimits{
			Streams: 2 * peerStreams, StreamsInbound: peerStreams, StreamsOutbound: peerStreams,
			Memory: peerMemory,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: connsPerPeer, ConnsInbound: connsPerPeer, ConnsOutbound: connsPerPeer,
			Streams: 512, StreamsInbound: 256, StreamsOutbound: 256,
			Memory: 2 * peerMemory,
		},
	}.Build(scaled.Scale(systemMemory, 1024))
}

// sharedPrefixes are loopback, private and link-local addresses: many nodes of one machine share
// them, and machines of one LAN trust each other more, so the limits per address do not apply.
var sharedPrefixes = [...]netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

func resourceManager(cfg Config) (network.ResourceManager, error) {
	var v4, v6 []rcmgr.NetworkPrefixLimit
	var unlimited []rate.PrefixLimit
	for _, p := range sharedPrefixes {
		l := rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt}
		if p.Addr().Is4() {
			v4 = append(v4, l)
		} else {
			v6 = append(v6, l)
		}
		unlimited = append(unlimited, rate.PrefixLimit{Prefix: p})
	}
	// A whole office may sit behind one public address.
	perAddress := rate.Limit{RPS: 8, Burst: 256}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits(cfg)),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithNetworkPrefixLimit(v4, v6),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 256}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: 256}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: unlimited,
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perAddress}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perAddress}},
				GracePeriod:      time.Minute,
			},
		}))
}
