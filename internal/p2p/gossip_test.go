package p2p

import (
	"testing"
)

func TestAnnounce(t *testing.T) {
	hosts := grid(t, 6, func(c *Config) { c.Gossip = true })
	waitFor(t, "gossip meshes", func() bool {
		for _, h := range hosts {
			if len(h.gossip.topic.ListPeers()) == 0 {
				return false
			}
		}
		return true
	})
	if err := hosts[3].Announce(t.Context(), []byte("a new job")); err != nil {
		t.Fatal(err)
	}
	for i, h := range hosts {
		if i == 3 {
			continue
		}
		got := <-h.Announcements()
		if got.From != hosts[3].Self() || string(got.Data) != "a new job" {
			t.Errorf("node %d heard %q from %s", i, got.Data, got.From)
		}
	}
	if err := hosts[0].Announce(t.Context(), make([]byte, MaxAnnouncement+1)); err == nil {
		t.Error("an oversized announcement went out")
	}
}
