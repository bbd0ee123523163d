package p2p

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"github.com/shoalgrid/shoal/jobs"
)

// world is a simulated network in virtual time: 50 ms round trips, 20 Mbit/s links, nodes that
// can die without a word, and partitions.
type world struct {
	net *simnet.Simnet

	mu       sync.Mutex
	dead     map[string]bool    // by IP address
	side     map[string]int     // which side of a partition
	firewall map[string]bool    // nobody gets in whom this one has not written to
	wrote    map[[2]string]bool // from, to
}

// lost is the latency of a packet that never arrives.
const lost = 10000 * time.Hour

func newWorld(t *testing.T) *world {
	w := &world{
		dead:     make(map[string]bool),
		side:     make(map[string]int),
		firewall: make(map[string]bool),
		wrote:    make(map[[2]string]bool),
	}
	w.net = &simnet.Simnet{LatencyFunc: w.latency, Logger: slog.New(slog.DiscardHandler)}
	w.net.Start()
	t.Cleanup(w.net.Close)
	return w
}

func (w *world) latency(p *simnet.Packet) time.Duration {
	from, to := p.From.(*net.UDPAddr).IP.String(), p.To.(*net.UDPAddr).IP.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead[from] || w.dead[to] || w.side[from] != w.side[to] {
		return lost
	}
	w.wrote[[2]string{from, to}] = true
	if w.firewall[to] && !w.wrote[[2]string{to, from}] {
		return lost
	}
	return 25 * time.Millisecond
}

func simIP(i int) string { return simnet.IntToPublicIPv4(i).String() }

func (w *world) kill(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[simIP(i)] = true
}

// cut splits the nodes from first on from the others; cut(n) of all n nodes heals.
func (w *world) cut(first, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.side)
	for i := first; i < n; i++ {
		w.side[simIP(i)] = 1
	}
}

// node starts node i, which joins by node 0.
func (w *world) node(t *testing.T, i int, hosts []*Host, change ...func(*Config)) *Host {
	link := simnet.LinkSettings{BitsPerSecond: 20_000_000}
	return start(t, append([]func(*Config){func(c *Config) {
		c.BucketSize = 8
		c.Listen = []string{fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", simIP(i))}
		c.HostOptions = []libp2p.Option{
			simlibp2p.QUICSimnet(w.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
			libp2p.DisableIdentifyAddressDiscovery(), // stalls synctest
			libp2p.ForceReachabilityPublic(),
			noDialBacks,
		}
		if len(hosts) > 0 {
			c.Bootstrap = hosts[0].Addrs()
		}
	}}, change...)...)
}

// wall puts node i behind a firewall.
func (w *world) wall(i int) func(*Config) {
	w.firewall[simIP(i)] = true
	return func(c *Config) { c.HostOptions = append(c.HostOptions, libp2p.ForceReachabilityPrivate()) }
}

// noDialBacks turns off the AutoNAT service, which would dial from a socket outside the world.
func noDialBacks(c *libp2p.Config) error {
	c.AutoNATConfig.EnableService = false
	return nil
}

func (w *world) grid(t *testing.T, n int, change ...func(*Config)) []*Host {
	var hosts []*Host
	for i := range n {
		hosts = append(hosts, w.node(t, i, hosts, change...))
	}
	time.Sleep(15 * time.Second) // virtual: the grid settles
	return hosts
}

func keyOf(i int) [32]byte { return jobs.Sum([]byte{byte(i), byte(i >> 8)}) }

func TestSimGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		w := newWorld(t)
		hosts := w.grid(t, n)
		for i := range 10 {
			begin := time.Now()
			got, err := hosts[i].Nearest(t.Context(), keyOf(i), 5)
			if want := sorted(keyOf(i), hosts)[:5]; err != nil || !slices.Equal(got, want) {
				t.Errorf("key %d: got %v, %v; want %v", i, got, err, want)
			}
			t.Log("nearest took", time.Since(begin))
		}
	})
}

// A silent death of 30 % of the nodes costs seconds.
func TestSimSilentDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, dead = 20, 6
		w := newWorld(t)
		hosts := w.grid(t, n)
		for i := n - dead; i < n; i++ {
			w.kill(i)
		}
		alive := hosts[:n-dead]
		for i := range 10 {
			begin := time.Now()
			got, err := alive[i].Nearest(t.Context(), keyOf(i), 5)
			took := time.Since(begin)
			if want := sorted(keyOf(i), alive)[:5]; err != nil || !slices.Equal(got, want) {
				t.Errorf("key %d: got %v, %v; want %v", i, got, err, want)
			}
			if took > 8*time.Second {
				t.Errorf("key %d: took %v", i, took)
			}
			t.Log("nearest took", took)
		}
	})
}

// A partition makes two grids; some time after it is over there is one again.
func TestSimPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		w := newWorld(t)
		hosts := w.grid(t, n)
		w.cut(n/2, n)
		time.Sleep(10 * time.Minute)
		for side, part := range [][]*Host{hosts[:n/2], hosts[n/2:]} {
			got, err := part[0].Nearest(t.Context(), keyOf(1), 5)
			if want := sorted(keyOf(1), part)[:5]; err != nil || !slices.Equal(got, want) {
				t.Errorf("side %d: got %v, %v; want %v", side, got, err, want)
			}
		}
		w.cut(n, n)
		begin := time.Now()
		for i := range 10 {
			want := sorted(keyOf(i), hosts)[:5]
			for {
				got, err := hosts[2*i%n].Nearest(t.Context(), keyOf(i), 5)
				if err == nil && slices.Equal(got, want) {
					break
				}
				if time.Since(begin) > 10*time.Minute {
					t.Fatalf("key %d: got %v, %v; want %v", i, got, err, want)
				}
				time.Sleep(5 * time.Second)
			}
		}
		t.Log("healed after", time.Since(begin))
	})
}

// Nodes behind firewalls are found in the DHT, called through a relay, and then directly.
func TestSimFirewalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		public := w.node(t, 0, nil)
		source, got := newMemBlocks(), newMemBlocks()
		blob := source.add(randomBytes(2 * jobs.BlockSize))
		a := w.node(t, 1, []*Host{public}, w.wall(1))
		b := w.node(t, 2, []*Host{public}, w.wall(2), func(c *Config) { c.Blocks = source })
		b.Handle(testProtocol, echo)
		time.Sleep(2 * time.Minute)
		if a.Server() || b.Server() || !public.Server() {
			t.Errorf("servers: %v %v %v", a.Server(), b.Server(), public.Server())
		}
		t.Log("addresses:", b.Addrs())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if got, err := a.Call(ctx, b.Self(), testProtocol, []byte("through the wall")); err != nil || string(got) != "through the wall" {
			t.Fatalf("got %q, %v", got, err)
		}
		c := a.bestConn(b.host.ID())
		t.Log("called over", c.RemoteMultiaddr())
		if err := a.Fetch(ctx, blob, []jobs.NodeID{b.Self()}, got.has, got.put); err != nil {
			t.Error(err)
		}
		if c = a.bestConn(b.host.ID()); c.Stat().Limited {
			t.Error("no hole was punched")
		}
		t.Log("fetched over", c.RemoteMultiaddr())
	})
}
