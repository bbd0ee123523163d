package p2p

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// fakeHost is a host as reach sees it: connections and listen addresses.
type fakeHost struct {
	host.Host
	net fakeNet
}

func (f *fakeHost) Network() network.Network { return &f.net }

type fakeNet struct {
	network.Network
	conns  []network.Conn
	listen []ma.Multiaddr
}

func (f *fakeNet) Conns() []network.Conn                             { return f.conns }
func (f *fakeNet) InterfaceListenAddresses() ([]ma.Multiaddr, error) { return f.listen, nil }

type fakeConn struct {
	network.Conn
	remote ma.Multiaddr
}

func (c fakeConn) RemoteMultiaddr() ma.Multiaddr { return c.remote }

// campus is a LAN with public addresses.
func campus() *lan {
	return &lan{interfaces: func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("9.9.9.5"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2a01:4f8:1::1"), Mask: net.CIDRMask(64, 128)},
			&net.UnixAddr{},
		}, nil
	}}
}

func TestReachability(t *testing.T) {
	const (
		lan     = "/ip4/192.168.1.20/tcp/4901"
		public  = "/ip4/8.8.4.4/tcp/4901"
		relayed = "/ip4/192.168.1.9/tcp/1/p2p/12D3KooWN86fQeXAG2a4QPMcoPHokNYHvxuENnuim77cHKVyr1wr/p2p-circuit"
	)
	unknown, yes, no := network.ReachabilityUnknown, network.ReachabilityPublic, network.ReachabilityPrivate
	for name, c := range map[string]struct {
		listen   string
		peers    []string
		dialBack network.Reachability
		want     bool
	}{
		"alone":                            {lan, nil, unknown, true},
		"alone, dial-back failed once":     {lan, nil, no, true},
		"LAN":                              {lan, []string{lan, "/ip4/127.0.0.1/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1"}, unknown, true},
		"LAN of public addresses":          {lan, []string{"/ip4/9.9.9.77/tcp/1", "/ip6/2a01:4f8:1::2/tcp/1"}, unknown, true},
		"addresses for documentation":      {lan, []string{"/ip4/192.0.2.2/tcp/1"}, unknown, true},
		"next to the LAN":                  {lan, []string{"/ip4/9.9.8.77/tcp/1"}, unknown, false},
		"one outside":                      {lan, []string{lan, public}, unknown, false},
		"one outside, IPv6":                {lan, []string{"/ip6/2a01:4f8::1/tcp/1"}, unknown, false},
		"one relayed":                      {lan, []string{relayed}, unknown, false},
		"outside and dialled back":         {lan, []string{public}, yes, true},
		"outside and not dialled back":     {lan, []string{public}, no, false},
		"public address":                   {public, []string{public}, unknown, true},
		"public address but a firewall":    {public, []string{public}, no, false},
		"public address, everything works": {public, []string{public}, yes, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeHost{net: fakeNet{listen: []ma.Multiaddr{ma.StringCast(c.listen)}}}
			for _, p := range c.peers {
				f.net.conns = append(f.net.conns, fakeConn{remote: ma.StringCast(p)})
			}
			r := &reach{host: f, lan: campus(), may: true}
			r.dialledBack(c.dialBack)
			if got, _ := r.decide(time.Now()); got != c.want || r.server.Load() != c.want {
				t.Errorf("reachable: %v", got)
			}
			r.may = false
			if got, changed := r.decide(time.Now()); got || changed != c.want {
				t.Errorf("without inbound connections: reachable %v, changed %v", got, changed)
			}
		})
	}
}

// A LAN whose line to the world is cut becomes a grid of its own after a while.
func TestReachabilityAfterOutage(t *testing.T) {
	f := &fakeHost{}
	r := &reach{host: f, lan: campus(), may: true}
	outside := []network.Conn{fakeConn{remote: ma.StringCast("/ip4/8.8.4.4/tcp/1")}}
	now := time.Now()
	for i, step := range []struct {
		after time.Duration
		conns []network.Conn
		want  bool
	}{
		{0, nil, true}, {0, outside, false}, {time.Minute, nil, false}, {outsideKept - time.Minute, nil, false},
		{time.Second, nil, true}, {0, outside, false},
	} {
		now = now.Add(step.after)
		f.net.conns = step.conns
		if got, _ := r.decide(now); got != step.want {
			t.Errorf("step %d: reachable %v", i, got)
		}
	}
}

// A node that stops being reachable leaves the routing tables of the others, and comes back.
func TestServerFollowsReachability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hosts := w.grid(t, 4)
		h := hosts[2]
		known := func() int {
			n := 0
			for _, o := range hosts {
				if o.dht.RoutingTable().Find(h.host.ID()) != "" {
					n++
				}
			}
			return n
		}
		if !h.Server() || known() != 3 {
			t.Fatalf("server %v, known by %d", h.Server(), known())
		}
		h.react(reachability(network.ReachabilityPrivate))
		time.Sleep(5 * time.Second)
		if h.Server() || known() != 0 {
			t.Errorf("unreachable: server %v, known by %d", h.Server(), known())
		}
		near, err := h.Nearest(t.Context(), keyOf(1), 5)
		if err != nil || len(near) != 3 {
			t.Errorf("a client found %v, %v", near, err)
		}
		h.react(reachability(network.ReachabilityPublic))
		time.Sleep(5 * time.Second)
		if !h.Server() || known() != 3 {
			t.Errorf("reachable again: server %v, known by %d", h.Server(), known())
		}
	})
}

func reachability(r network.Reachability) event.EvtLocalReachabilityChanged {
	return event.EvtLocalReachabilityChanged{Reachability: r}
}
