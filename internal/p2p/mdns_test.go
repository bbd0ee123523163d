package p2p

import (
	"testing"
	"time"
)

func TestMDNS(t *testing.T) {
	onLAN := func(c *Config) { c.Listen = nil; c.MDNS = true; c.Network = "mdns-test" }
	a := start(t, onLAN)
	b := start(t, onLAN)
	other := start(t, onLAN, func(c *Config) { c.Network = "mdns-other" })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); len(a.Peers()) == 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Skip("no multicast here: addresses", a.Addrs())
		}
	}
	if peers := a.Peers(); len(peers) != 1 || peers[0].ID != b.Self() {
		t.Errorf("found %v, want %s", peers, b.Self())
	}
	if peers := other.Peers(); len(peers) != 0 {
		t.Errorf("a node of another network found %v", peers)
	}
}
