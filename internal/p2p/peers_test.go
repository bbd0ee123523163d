package p2p

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func TestNetworkOf(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/8.8.4.4/tcp/1":                 "8.8.4.0/24",
		"/ip4/8.8.4.4/udp/1/quic-v1":         "8.8.4.0/24",
		"/ip6/2a01:4f8:1:2::3/tcp/1":         "2a01:4f8:1::/48",
		"/ip4/10.0.0.1/tcp/1":                "",
		"/ip4/127.0.0.1/tcp/1":               "",
		"/ip6/fd00::1/tcp/1":                 "",
		"/dns4/example.org/tcp/1":            "",
		"/ip4/8.8.4.4/tcp/1/p2p-circuit":     "8.8.4.0/24",
		"/ip6zone/eth0/ip6/fe80::1/tcp/4901": "",
	} {
		if got := networkOf(fakeConn{remote: ma.StringCast(addr)}); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

func TestPeers(t *testing.T) {
	server := start(t, func(c *Config) { c.Agent = "shoal/9.9" })
	passing := start(t, func(c *Config) { c.Passing = true; c.Bootstrap = server.Addrs() })
	waitFor(t, "them to meet", func() bool {
		return len(passing.Peers()) == 1 && passing.Peers()[0].Server && len(server.Peers()) == 1
	})
	got := passing.Peers()[0]
	if got.ID != server.Self() || got.Agent != "shoal/9.9" || got.Network != "" || got.Addr == "" || time.Since(got.Since) > time.Minute {
		t.Errorf("peer %+v", got)
	}
	if passing.Server() || server.Peers()[0].Server {
		t.Error("a passing node is a server")
	}
	if len(passing.Addrs()) == 0 {
		t.Error("a passing node has no addresses")
	}
	if got := passing.NetworkOf(server.Self()); got != "" {
		t.Errorf("network of a node on loopback: %q", got)
	}
	select {
	case <-passing.Changes():
	default:
		t.Error("no change was signalled")
	}
	_ = passing.host.Network().ClosePeer(server.host.ID())
	told := false
	waitFor(t, "the parting to be noticed", func() bool {
		select {
		case <-passing.Changes():
			told = true
		default:
		}
		now := passing.Peers() // they may have met again meanwhile
		return told && (len(now) == 0 || now[0].Since.After(got.Since))
	})
	for _, addr := range []string{"", "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/" + newKeyID(t)} {
		if err := passing.Connect(t.Context(), addr); err == nil {
			t.Errorf("connected to %q", addr)
		}
	}
	if err := passing.Connect(t.Context(), passing.Addrs()[0]); err != nil {
		t.Errorf("its own address is a mistake: %v", err)
	}
}

func newKeyID(t *testing.T) string { return start(t).Self().String() }

func TestOtherNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hosts := []*Host{w.node(t, 0, nil)}
		hosts = append(hosts, w.node(t, 1, hosts))
		other := w.node(t, 2, nil, func(c *Config) { c.Network = "other" })
		time.Sleep(5 * time.Second)
		err := other.Connect(t.Context(), hosts[0].Addrs()[0])
		if err == nil || !strings.Contains(err.Error(), "not a node of network other") {
			t.Errorf("connecting to another network: %v", err)
		}
		if len(other.Peers()) != 0 || len(hosts[0].Peers()) != 1 {
			t.Errorf("peers: %v and %v", other.Peers(), hosts[0].Peers())
		}
		time.Sleep(strangerKept + sweepEvery)
		if len(other.host.Network().Peers()) != 0 || len(hosts[0].host.Network().Peers()) != 1 {
			t.Errorf("connections: %v and %v", other.host.Network().Peers(), hosts[0].host.Network().Peers())
		}
	})
}
