package p2p

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
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

func TestAnnouncementsDropOldest(t *testing.T) {
	g := &gossip{log: testLog(t), heard: make(chan Announcement, 3)}
	for i := range 10 {
		g.offer(Announcement{Data: []byte{byte(i)}})
	}
	for want := byte(7); want < 10; want++ {
		if got := (<-g.heard).Data[0]; got != want {
			t.Errorf("heard %d, want %d", got, want)
		}
	}
}

func TestAuthorRate(t *testing.T) {
	r := authorRate{authors: make(map[peer.ID]bucket)}
	now := time.Unix(1_800_000_000, 0)
	admitted := func(p peer.ID, tries int) (n int) {
		for range tries {
			if r.admit(p, now) {
				n++
			}
		}
		return n
	}
	if n := admitted(somePeer(1), 1000); n != authorBurst {
		t.Errorf("at once: %d", n)
	}
	now = now.Add(10 * authorPause)
	if n := admitted(somePeer(1), 1000); n != 10 {
		t.Errorf("after ten pauses: %d", n)
	}
	for i := range 2 * maxAuthors {
		r.admit(somePeer(i), now)
	}
	if len(r.authors) != maxAuthors || r.admit(somePeer(3*maxAuthors), now) {
		t.Errorf("%d authors are counted", len(r.authors))
	}
	now = now.Add(authorBurst * authorPause)
	if n := admitted(somePeer(1), 1000); n != authorBurst || !r.admit(somePeer(3*maxAuthors), now) {
		t.Errorf("after a long pause: %d, and %d authors are counted", n, len(r.authors))
	}
}
