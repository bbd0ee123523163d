package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// numbered takes heads that begin with "head", and prefers the later in the alphabet.
func numbered(c *Config) {
	c.MaxHead = 100
	c.ValidateHead = func(_ [32]byte, v []byte) error {
		if !bytes.HasPrefix(v, []byte("head")) {
			return errors.New("not a head")
		}
		return nil
	}
	c.PreferHead = bytes.Compare
}

func TestHeads(t *testing.T) {
	hosts := grid(t, 6, numbered)
	ctx, job := t.Context(), keyOf(1)
	if _, err := hosts[0].GetHead(ctx, job); !errors.Is(err, ErrNoHead) {
		t.Errorf("before: %v", err)
	}
	if err := hosts[1].PutHead(ctx, job, []byte("head 1")); err != nil {
		t.Fatal(err)
	}
	if got, err := hosts[2].GetHead(ctx, job); err != nil || string(got) != "head 1" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := hosts[3].PutHead(ctx, job, []byte("head 2")); err != nil {
		t.Fatal(err)
	}
	for i, h := range hosts {
		if got, err := h.GetHead(ctx, job); err != nil || string(got) != "head 2" {
			t.Errorf("node %d got %q, %v", i, got, err)
		}
	}
	for name, bad := range map[string][]byte{"invalid": []byte("tail"), "too big": append([]byte("head"), make([]byte, 100)...), "older": []byte("head 0")} {
		if err := hosts[4].PutHead(ctx, job, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := hosts[5].GetHead(ctx, job); err != nil || string(got) != "head 2" {
		t.Errorf("in the end %q, %v", got, err)
	}
}

func TestHeadsAlone(t *testing.T) {
	h := start(t, numbered)
	if err := h.PutHead(t.Context(), keyOf(1), []byte("head")); err != nil {
		t.Fatal(err)
	}
	if got, err := h.GetHead(t.Context(), keyOf(1)); err != nil || string(got) != "head" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := h.ProvideBoard(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := h.FindBoard(t.Context(), 5); err != nil || len(got) != 0 {
		t.Errorf("found %v, %v", got, err)
	}
}

func TestBoardProviders(t *testing.T) {
	hosts := grid(t, 5)
	for _, h := range hosts[:3] {
		if err := h.ProvideBoard(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var want []jobs.NodeID
	for _, h := range hosts[:3] {
		want = append(want, h.Self())
	}
	// ADD_PROVIDER has no answer, so the records may still be on their way.
	waitFor(t, "the providers to be found", func() bool {
		got, err := hosts[4].FindBoard(t.Context(), 10)
		return err == nil && len(got) == 3 && !slices.ContainsFunc(got, func(n jobs.NodeID) bool { return !slices.Contains(want, n) })
	})
	if got, err := hosts[4].FindBoard(t.Context(), 2); err != nil || len(got) != 2 {
		t.Errorf("of at most two: %v, %v", got, err)
	}
	if got, err := hosts[0].FindBoard(t.Context(), 10); err != nil || len(got) != 2 || slices.Contains(got, hosts[0].Self()) {
		t.Errorf("one of them found %v, %v", got, err)
	}
}

// A node that was killed knows its records and its peers when it starts again.
func TestRestart(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	home := func(c *Config) { c.Dir = dir; c.Key = key; numbered(c) }
	other := start(t, numbered)
	first := start(t, home, func(c *Config) { c.Bootstrap = other.Addrs() })
	waitFor(t, "the nodes to meet", func() bool { return len(first.Peers()) == 1 && first.Peers()[0].Server })
	if err := first.PutHead(t.Context(), keyOf(1), []byte("head 7")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the peer to be remembered", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "peers"))
		return bytes.Contains(text, []byte(other.Self().String()))
	})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, home)
	if got, err := second.GetHead(t.Context(), keyOf(1)); err != nil || string(got) != "head 7" {
		t.Errorf("got %q, %v", got, err)
	}
	waitFor(t, "the nodes to meet again", func() bool { return len(second.Peers()) == 1 })
}

// A damaged store of the DHT does not keep a node from starting: it is a cache.
func TestDamagedStore(t *testing.T) {
	flip := func(b []byte) []byte {
		for i := 0; i < len(b); i += 7 {
			b[i] ^= 0x55
		}
		return b
	}
	for name, damage := range map[string]struct {
		files string
		how   func([]byte) []byte
	}{
		"cut short": {"*", func(b []byte) []byte { return b[:len(b)*2/3] }},
		"all":       {"*", flip},
		"manifest":  {"MANIFEST*", flip},
		"current":   {"CURRENT", flip},
		"log":       {"*.log", flip},
	} {
		cfg := Config{Dir: t.TempDir(), Network: "test"}
		store, err := openStore(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if err := store.Put(t.Context(), valueKey(i), make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(cfg.Dir, "dht", damage.files))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", name, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, damage.how(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		store, err = openStore(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := errors.Join(store.Put(t.Context(), valueKey(99), []byte("x")), store.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func valueKey(i int) ds.Key { return ds.NewKey(fmt.Sprintf("/shoal/%d", i)) }

func TestQuota(t *testing.T) {
	ctx := t.Context()
	inner := dssync.MutexWrap(ds.NewMapDatastore())
	open := func() *quotaStore {
		q, err := newQuotaStore(inner, "/providers/BOARD/")
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q := open()
	for i := range maxRecords {
		if err := q.Put(ctx, valueKey(i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	q = open() // the count survives a restart
	if err := q.Put(ctx, valueKey(maxRecords), nil); !errors.Is(err, errQuota) {
		t.Errorf("one too many: %v", err)
	}
	if err := q.Put(ctx, valueKey(1), []byte("y")); err != nil {
		t.Errorf("replacing: %v", err)
	}
	if err := q.Delete(ctx, valueKey(2)); err != nil {
		t.Error(err)
	}
	if err := q.Put(ctx, valueKey(maxRecords), nil); err != nil {
		t.Errorf("after a removal: %v", err)
	}
	batch, err := q.Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxRecords + 10 {
		_ = batch.Put(ctx, ds.NewKey(fmt.Sprintf("/providers/BOARD/%d", i)), nil)
		_ = batch.Put(ctx, ds.NewKey(fmt.Sprintf("/providers/OTHER/%d", i)), nil)
	}
	if err := batch.Commit(ctx); err != nil || q.boards != maxRecords {
		t.Errorf("%d providers, %v", q.boards, err)
	}
}

// Whatever is done to the store, its counts are those of its contents and within bounds.
func TestQuotaCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		inner := ds.NewMapDatastore()
		q, err := newQuotaStore(inner, "/providers/B/")
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			space := rapid.SampledFrom([]string{"/shoal/", "/providers/B/", "/providers/C/"}).Draw(t, "space")
			k := ds.NewKey(fmt.Sprint(space, rapid.IntRange(0, 20).Draw(t, "key")))
			if rapid.Bool().Draw(t, "put") {
				err = q.Put(ctx, k, nil)
			} else {
				err = q.Delete(ctx, k)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		again, err := newQuotaStore(inner, "/providers/B/")
		if err != nil || again.values != q.values || again.boards != q.boards {
			t.Fatalf("counted %d and %d, there are %d and %d: %v", q.values, q.boards, again.values, again.boards, err)
		}
	})
}

func TestConfigRefused(t *testing.T) {
	good := Config{Key: newKey(t), Network: "test"}
	for name, spoil := range map[string]func(*Config){
		"no key":          func(c *Config) { c.Key = nil },
		"no network":      func(c *Config) { c.Network = "" },
		"odd network":     func(c *Config) { c.Network = "a/b" },
		"long network":    func(c *Config) { c.Network = strings.Repeat("a", 65) },
		"port":            func(c *Config) { c.Port = 70000 },
		"listen":          func(c *Config) { c.Listen = []string{"here"} },
		"bootstrap":       func(c *Config) { c.Bootstrap = []string{"there"} },
		"missing folder":  func(c *Config) { c.Dir = filepath.Join(t.TempDir(), "a", "b\x00") },
		"address of none": func(c *Config) { c.Listen = []string{"/ip4/192.0.2.1/tcp/1"} },
	} {
		cfg := good
		spoil(&cfg)
		if h, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
			h.Close()
		}
	}
}

func TestPortTaken(t *testing.T) {
	first := start(t, func(c *Config) { c.Listen = nil })
	var port int
	if _, err := fmt.Sscanf(tcpPort(first), "%d", &port); err != nil {
		t.Fatal(err)
	}
	second := start(t, func(c *Config) { c.Listen = nil; c.Port = port })
	if tcpPort(second) == tcpPort(first) {
		t.Error("two nodes share a port")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := second.Connect(ctx, first.Addrs()[0]); err != nil {
		t.Error(err)
	}
}

func tcpPort(h *Host) string {
	for _, a := range h.host.Addrs() {
		if p, err := a.ValueForProtocol(6); err == nil {
			return p
		}
	}
	return ""
}
