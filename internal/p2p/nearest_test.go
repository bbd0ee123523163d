package p2p

import (
	"bytes"
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// sorted returns the hosts' IDs by distance from key, computed here.
func sorted(key [32]byte, hosts []*Host) []jobs.NodeID {
	var ids []jobs.NodeID
	for _, h := range hosts {
		ids = append(ids, h.Self())
	}
	target := jobs.Sum(key[:])
	far := func(n jobs.NodeID) []byte {
		d := jobs.Sum(n.Bytes())
		x := make([]byte, len(d))
		for i := range d {
			x[i] = d[i] ^ target[i]
		}
		return x
	}
	slices.SortFunc(ids, func(a, b jobs.NodeID) int { return bytes.Compare(far(a), far(b)) })
	return ids
}

func TestNearest(t *testing.T) {
	hosts := grid(t, 12)
	for i := range 20 {
		key := [32]byte(jobs.Sum([]byte{byte(i)}))
		asker := hosts[i%len(hosts)]
		got, err := asker.Nearest(t.Context(), key, 5)
		if want := sorted(key, hosts)[:5]; err != nil || !slices.Equal(got, want) {
			t.Errorf("key %d: got %v, %v; want %v", i, got, err, want)
		}
	}
}

func TestNearestAlone(t *testing.T) {
	h := start(t)
	got, err := h.Nearest(t.Context(), [32]byte{1}, 5)
	if err != nil || !slices.Equal(got, []jobs.NodeID{h.Self()}) {
		t.Errorf("alone: got %v, %v", got, err)
	}
	client := start(t, func(c *Config) { c.NoInbound = true; c.Bootstrap = h.Addrs() })
	waitFor(t, "the client to know the other", func() bool {
		peers := client.Peers()
		return len(peers) == 1 && peers[0].Server
	})
	got, err = client.Nearest(t.Context(), [32]byte{1}, 5)
	if err != nil || !slices.Equal(got, []jobs.NodeID{h.Self()}) {
		t.Errorf("beside a client: got %v, %v", got, err)
	}
	if client.Server() || len(client.Addrs()) != 0 {
		t.Errorf("a node that takes no connections is server %v at %v", client.Server(), client.Addrs())
	}
}
