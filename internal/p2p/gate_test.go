package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

func TestAllowList(t *testing.T) {
	friend := start(t)
	private := start(t, func(c *Config) { c.Allow = func(n jobs.NodeID) bool { return n == friend.Self() } })
	stranger := start(t)
	addr := private.Addrs()[0]
	if err := friend.Connect(t.Context(), addr); err != nil {
		t.Error("a friend is refused:", err)
	}
	_ = stranger.Connect(t.Context(), addr) // the handshake may end before the refusal
	waitFor(t, "the stranger to be refused", func() bool { return len(stranger.Peers()) == 0 })
	if err := private.Connect(t.Context(), stranger.Addrs()[0]); err == nil {
		t.Error("a private node went to a stranger")
	}
	waitFor(t, "the private node to know its friend", func() bool { return len(private.Peers()) == 1 })
	if peers := private.Peers(); peers[0].ID != friend.Self() {
		t.Errorf("peers of the private node: %v", peers)
	}
}

func TestOtherIdentitiesAreRefused(t *testing.T) {
	h := start(t)
	key, _, err := crypto.GenerateKeyPair(crypto.Secp256k1, 0)
	if err != nil {
		t.Fatal(err)
	}
	other, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	info, err := peer.AddrInfoFromString(h.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Connect(t.Context(), *info)
	waitFor(t, "the other kind to be refused", func() bool { return len(other.Network().Peers()) == 0 })
	waitFor(t, "this side to have refused it, too", func() bool { return len(h.host.Network().Peers()) == 0 })
}

func TestBans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(nil)
		cuts := 0
		g.cut = func(peer.ID) { cuts++ }
		p := somePeer(1)
		for want := firstBan; want <= 4*maxBan; want *= 2 {
			g.offend(p)
			begin := time.Now()
			for !g.admits(p) {
				time.Sleep(time.Second)
			}
			if got := time.Since(begin); got != min(want, maxBan) {
				t.Errorf("banned for %v, want %v", got, min(want, maxBan))
			}
		}
		if cuts == 0 || !g.admits(somePeer(2)) {
			t.Errorf("%d connections cut; somebody else admitted: %v", cuts, g.admits(somePeer(2)))
		}
		time.Sleep(maxBan + time.Second)
		g.offend(p)
		time.Sleep(firstBan)
		if !g.admits(p) {
			t.Error("an old offence is not forgotten")
		}
		for i := range 3 * maxBans {
			g.offend(somePeer(i))
		}
		if len(g.bans) > maxBans {
			t.Errorf("%d offenders are remembered", len(g.bans))
		}
	})
}
