package p2p

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

func somePeer(i int) peer.ID { return peerOf(jobs.NodeID{byte(i), byte(i >> 8), 1}) }

func someAddr(i int) ma.Multiaddr {
	return ma.StringCast(fmt.Sprintf("/ip4/10.1.%d.%d/tcp/4901", i>>8&255, i&255))
}

func nobody(peer.ID) bool { return false }

func TestKnownSurvives(t *testing.T) {
	dir := t.TempDir()
	boot := someAddr(7).String() + "/p2p/" + somePeer(7).String()
	cfg := Config{Dir: dir, Bootstrap: []string{boot}}
	k, err := openKnown(cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	k.met(somePeer(1), []ma.Multiaddr{someAddr(1), someAddr(2)}, now)
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "peers")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	garbage := string(text) + "nonsense\n12 /ip4/1.2.3.4\nx " + boot + "\n99999999999999999999 " + boot + "\n\x00\xff" + strings.Repeat("y", 1<<17)
	if err := os.WriteFile(file, []byte(garbage), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openKnown(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	due := again.due(now, 10, nobody)
	slices.SortFunc(due, func(a, b peer.AddrInfo) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if len(due) != 2 || due[0].ID != somePeer(1) || due[1].ID != somePeer(7) || len(due[0].Addrs) != 2 {
		t.Errorf("remembered %v", due)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestKnownRefusesBadBootstrap(t *testing.T) {
	for _, addr := range []string{"", "localhost:4901", "/ip4/1.2.3.4/tcp/4901", "/ip4/1.2.3.4/tcp/4901/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"} {
		if _, err := openKnown(Config{Bootstrap: []string{addr}}); err == nil {
			t.Errorf("%q: no error", addr)
		}
	}
}

func TestKnownBackOff(t *testing.T) {
	k, err := openKnown(Config{Bootstrap: []string{someAddr(0).String() + "/p2p/" + somePeer(0).String()}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	k.met(somePeer(1), []ma.Multiaddr{someAddr(1)}, now)
	var pauses []time.Duration
	for last := now; now.Before(last.Add(20 * time.Minute)); now = now.Add(time.Second) {
		for _, p := range k.due(now, 10, nobody) {
			k.missed(p.ID, now)
			if p.ID == somePeer(1) {
				pauses = append(pauses, now.Sub(last).Round(time.Second))
				last = now
			}
		}
		if len(pauses) == 6 {
			break
		}
	}
	if got, want := fmt.Sprint(pauses), "[0s 1m0s 2m0s 4m0s 5m0s 5m0s]"; got != want {
		t.Errorf("pauses %s, want %s", got, want)
	}
	if due := k.due(now, 10, nobody); len(due) != 1 || due[0].ID != somePeer(0) {
		t.Errorf("due now: %v, want the bootstrap peer at any time", due)
	}
	later := now.Add(knownKept + time.Hour)
	k.missed(somePeer(1), later)
	if due := k.due(later.Add(time.Hour), 10, nobody); len(due) != 1 {
		t.Errorf("after two weeks: %v", due)
	}
}

// However many peers are met and missed, the list is bounded and keeps those to join by.
func TestKnownBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, err := openKnown(Config{Bootstrap: []string{someAddr(0).String() + "/p2p/" + somePeer(0).String()}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		for range rapid.IntRange(0, 1500).Draw(t, "steps") {
			i := rapid.IntRange(1, 600).Draw(t, "peer")
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "pause")) * time.Second)
			if rapid.Bool().Draw(t, "met") {
				k.met(somePeer(i), []ma.Multiaddr{someAddr(i), someAddr(rapid.IntRange(0, 600).Draw(t, "addr"))}, now)
			} else {
				k.missed(somePeer(i), now)
			}
		}
		if len(k.peers) > maxKnown {
			t.Fatalf("%d peers are remembered", len(k.peers))
		}
		for p, a := range k.peers {
			if len(a.addrs) == 0 || len(a.addrs) > maxKnownAddrs {
				t.Fatalf("%s has %d addresses", p, len(a.addrs))
			}
		}
		due := k.due(now, rejoinDials, nobody)
		if len(due) > rejoinDials || due[0].ID != somePeer(0) {
			t.Fatalf("due: %v", due)
		}
	})
}
