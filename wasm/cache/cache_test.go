package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/cache"
)

func open(t *testing.T, limit int64) (*cache.Cache, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cache")
	c, err := cache.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// add puts an entry with one file into the cache.
func add(t *testing.T, c *cache.Cache, key string, size int) cache.Entry {
	t.Helper()
	dir, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "code"), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := c.Add(key, dir, cache.Entry{Memory: uint64(size)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEntryIsFoundAsItWasAdded(t *testing.T) {
	c, _ := open(t, 1<<20)
	if _, ok := c.Find("a"); ok {
		t.Error("found before it was there")
	}
	add(t, c, "a", 10)
	added := add(t, c, "a", 20) // takes the other's place
	found, ok := c.Find("a")
	if !ok || found.Memory != 20 || found.Files["code"] != added.Files["code"] || found.Files["code"] != jobs.Sum(make([]byte, 20)) {
		t.Errorf("found %+v, added %+v", found, added)
	}
	there, err := cache.Digests(c.Path("a"))
	if err != nil || len(there) != 1 || there["code"] != found.Files["code"] {
		t.Errorf("there is %v (%v)", there, err)
	}
	if err := c.Drop("a"); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Find("a"); ok {
		t.Error("found after it was dropped")
	}
}

func TestLongestUnusedGoesFirst(t *testing.T) {
	for _, last := range []struct {
		size int
		left map[string]bool
	}{
		{1000, map[string]bool{"a": true, "b": false, "c": true, "last": true}},
		{10_000, map[string]bool{"a": false, "b": false, "c": false, "last": true}}, // wanted, so it stays
	} {
		c, dir := open(t, 3600)
		for i, key := range []string{"a", "b", "c"} {
			add(t, c, key, 1000)
			used := time.Now().Add(time.Duration(i-10) * time.Hour)
			if err := os.Chtimes(filepath.Join(dir, key, "entry.json"), used, used); err != nil {
				t.Fatal(err)
			}
		}
		c.Find("a") // so it is used now
		add(t, c, "last", last.size)
		for key, want := range last.left {
			if _, ok := c.Find(key); ok != want {
				t.Errorf("after one of %d bytes: %s %v, want %v", last.size, key, ok, want)
			}
		}
	}
}

func TestCrashLeavesNothingForLong(t *testing.T) {
	c, dir := open(t, 1<<20)
	old, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	young, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Open(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(left, []string{young}) {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func TestOneAtATimeForEachKey(t *testing.T) {
	c, _ := open(t, 1<<20)
	var inside [2]atomic.Int32
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			unlock, err := c.Lock(t.Context(), fmt.Sprint(i%2))
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if n := inside[i%2].Add(1); n != 1 {
				t.Errorf("%d at a time", n)
			}
			inside[i%2].Add(-1)
		})
	}
	all.Wait()

	unlock, err := c.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestKeysDiffer(t *testing.T) {
	keys := map[string]bool{}
	for _, k := range []string{
		cache.Key(jobs.Digest{}), cache.Key(jobs.Digest{1}), cache.Key(jobs.Digest{}, nil),
		cache.Key(jobs.Digest{}, []byte("ab")), cache.Key(jobs.Digest{}, []byte("a"), []byte("b")),
	} {
		keys[k] = true
	}
	if len(keys) != 5 {
		t.Errorf("%d different keys of 5", len(keys))
	}
}
