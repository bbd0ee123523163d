package p2p

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// loopback is where tests listen.
var loopback = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// testLog writes to the test's log what is worth a look.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// start builds and runs a host on loopback until the test ends.
func start(t testing.TB, change ...func(*Config)) *Host {
	t.Helper()
	cfg := Config{Key: newKey(t), Network: "test", Listen: loopback, Logger: testLog(t)}
	for _, f := range change {
		f(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- h.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error("close:", err)
		}
		if err := <-ran; err != nil {
			t.Error("run:", err)
		}
	})
	return h
}

// grid starts n hosts that know the first one.
func grid(t testing.TB, n int, change ...func(*Config)) []*Host {
	t.Helper()
	hosts := []*Host{start(t, change...)}
	join := func(c *Config) { c.Bootstrap = hosts[0].Addrs() }
	for len(hosts) < n {
		hosts = append(hosts, start(t, append([]func(*Config){join}, change...)...))
	}
	waitFor(t, "the grid to know itself", func() bool {
		for _, h := range hosts {
			if h.dht.RoutingTable().Size() < min(n-1, 8) {
				return false
			}
		}
		return true
	})
	return hosts
}

// waitFor waits until a condition holds, or fails the test after a while.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for", what)
		}
	}
}

func echo(_ context.Context, _ jobs.NodeID, request []byte) ([]byte, error) { return request, nil }
