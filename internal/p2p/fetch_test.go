package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// memBlocks is a BlockSource in memory.
type memBlocks struct {
	mu     sync.Mutex
	blocks map[jobs.Digest][]byte
}

func newMemBlocks() *memBlocks { return &memBlocks{blocks: make(map[jobs.Digest][]byte)} }

func (m *memBlocks) put(d jobs.Digest, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks[d] = data
	return nil
}

func (m *memBlocks) has(d jobs.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocks[d] != nil
}

func (m *memBlocks) Block(_ context.Context, d jobs.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.blocks[d]; b != nil {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memBlocks) HasBlock(_ context.Context, d jobs.Digest) (bool, error) { return m.has(d), nil }

func (m *memBlocks) BlockSize(ctx context.Context, d jobs.Digest) (int, error) {
	b, err := m.Block(ctx, d)
	return len(b), err
}

// add cuts data into blocks and returns the blob's name.
func (m *memBlocks) add(data []byte) jobs.Blob {
	h := jobs.NewBlobHasher()
	h.Write(data)
	for at := 0; at < len(data); at += jobs.BlockSize {
		block := data[at:min(at+jobs.BlockSize, len(data))]
		m.put(jobs.Sum(block), block)
	}
	if len(h.List()) > sha256.Size {
		m.put(h.Blob().Digest, h.List())
	}
	return h.Blob()
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func TestFetch(t *testing.T) {
	for _, size := range []int{1, 70_000, jobs.BlockSize, jobs.BlockSize + 1, 9*jobs.BlockSize + 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			source, got := newMemBlocks(), newMemBlocks()
			blob := source.add(randomBytes(size))
			hosts := grid(t, 3, func(c *Config) { c.Blocks = source })
			from := []jobs.NodeID{hosts[1].Self(), hosts[2].Self()}
			if err := hosts[0].Fetch(t.Context(), blob, from, got.has, got.put); err != nil {
				t.Fatal(err)
			}
			if len(got.blocks) != len(source.blocks) {
				t.Errorf("%d blocks came, want %d", len(got.blocks), len(source.blocks))
			}
			for d, b := range got.blocks {
				if jobs.Sum(b) != d || !source.has(d) {
					t.Errorf("block %s is wrong", d)
				}
			}
		})
	}
}

// none has no block yet.
func none(jobs.Digest) bool { return false }

func TestFetchResumes(t *testing.T) {
	source, got := newMemBlocks(), newMemBlocks()
	blob := source.add(randomBytes(40*jobs.BlockSize + 1))
	holder := start(t, func(c *Config) { c.Blocks = source })
	h := start(t, func(c *Config) { c.Bootstrap = holder.Addrs(); c.Blocks = got })
	waitFor(t, "the holder", func() bool { return len(h.Peers()) == 1 })
	from := []jobs.NodeID{holder.Self()}

	full := errors.New("disk is full")
	first := 0
	err := h.Fetch(t.Context(), blob, from, got.has, func(d jobs.Digest, data []byte) error {
		if first++; first > 12 {
			return full
		}
		return got.put(d, data)
	})
	if !errors.Is(err, full) || len(got.blocks) != 12 {
		t.Fatalf("after a full disk: %d blocks, %v", len(got.blocks), err)
	}
	second := 0
	err = h.Fetch(t.Context(), blob, from, got.has, func(d jobs.Digest, data []byte) error {
		second++
		if second%10 == 3 { // the connection breaks again and again
			_ = h.host.Network().ClosePeer(holder.host.ID())
		}
		return got.put(d, data)
	})
	if err != nil || second != 42-12 || len(got.blocks) != 42 {
		t.Errorf("the second time %d blocks came, %d are here: %v", second, len(got.blocks), err)
	}
}

func TestFetchFails(t *testing.T) {
	source := newMemBlocks()
	data := randomBytes(2*jobs.BlockSize + 10)
	blob := source.add(data)
	hosts := grid(t, 2, func(c *Config) { c.Blocks = source })
	from := []jobs.NodeID{hosts[1].Self()}
	put := func(jobs.Digest, []byte) error { return nil }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		blob jobs.Blob
		from []jobs.NodeID
	}{
		"nobody has it":        {t.Context(), blob, nil},
		"only this node":       {t.Context(), blob, []jobs.NodeID{hosts[0].Self()}},
		"unknown holder":       {t.Context(), blob, []jobs.NodeID{{1, 2, 3}}},
		"cancelled":            {cancelled, blob, from},
		"too big":              {t.Context(), jobs.Blob{Digest: blob.Digest, Size: jobs.MaxBlob + 1}, from},
		"size does not fit":    {t.Context(), jobs.Blob{Digest: blob.Digest, Size: blob.Size + 1}, from},
		"list is not a list":   {t.Context(), jobs.Blob{Digest: jobs.Sum(data[:jobs.BlockSize]), Size: blob.Size}, from},
		"more blocks than are": {t.Context(), jobs.Blob{Digest: blob.Digest, Size: 4 * jobs.BlockSize}, from},
	} {
		if err := hosts[0].Fetch(c.ctx, c.blob, c.from, none, put); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// liar serves wrong bytes under every name but the list's.
type liar struct {
	*memBlocks
	list jobs.Digest
}

func (l liar) Block(ctx context.Context, d jobs.Digest) ([]byte, error) {
	data, err := l.memBlocks.Block(ctx, d)
	if err != nil || d == l.list {
		return data, err
	}
	return append([]byte{data[0] ^ 1}, data[1:]...), nil
}

// A fetch from a liar, two that die while it runs and one honest holder ends well.
func TestSimFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, got := newMemBlocks(), newMemBlocks()
		blob := source.add(randomBytes(16 * jobs.BlockSize))
		w := newWorld(t)
		hosts := []*Host{w.node(t, 0, nil)}
		for i := 1; i <= 4; i++ {
			hosts = append(hosts, w.node(t, i, hosts, func(c *Config) {
				c.Blocks = source
				if i == 1 {
					c.Blocks = liar{source, blob.Digest}
				}
			}))
		}
		time.Sleep(10 * time.Second)
		var from []jobs.NodeID
		for _, h := range hosts[1:] {
			from = append(from, h.Self())
		}
		begin := time.Now()
		err := hosts[0].Fetch(t.Context(), blob, from, got.has, func(d jobs.Digest, data []byte) error {
			if len(got.blocks) == 5 {
				w.kill(2)
				w.kill(3)
			}
			return got.put(d, data)
		})
		if err != nil || len(got.blocks) != 17 {
			t.Errorf("%d blocks came: %v", len(got.blocks), err)
		}
		t.Log("16 MiB took", time.Since(begin))
	})
}

// A fetch of what nobody has, or from holders that have all died, ends.
func TestSimFetchStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newMemBlocks()
		blob := source.add(randomBytes(4 * jobs.BlockSize))
		w := newWorld(t)
		hosts := []*Host{w.node(t, 0, nil)}
		hosts = append(hosts, w.node(t, 1, hosts, func(c *Config) { c.Blocks = source }))
		time.Sleep(10 * time.Second)
		from := []jobs.NodeID{hosts[1].Self()}
		put := func(jobs.Digest, []byte) error { return nil }

		begin := time.Now()
		unknown := jobs.BlobOf([]byte("nobody has this"))
		if err := hosts[0].Fetch(t.Context(), unknown, from, none, put); !errors.Is(err, ErrStalled) {
			t.Errorf("of what nobody has: %v", err)
		}
		t.Log("gave up after", time.Since(begin))

		begin = time.Now()
		err := hosts[0].Fetch(t.Context(), blob, from, none, func(jobs.Digest, []byte) error {
			w.kill(1)
			return nil
		})
		if err == nil || time.Since(begin) > 2*stalled {
			t.Errorf("from the dead: %v after %v", err, time.Since(begin))
		}
		t.Logf("gave up after %v: %v", time.Since(begin), err)
	})
}

func BenchmarkFetch100MB(b *testing.B) {
	for _, peers := range []int{1, 4} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			source := newMemBlocks()
			blob := source.add(randomBytes(100 << 20))
			hosts := grid(b, peers+1, func(c *Config) { c.Blocks = source })
			var from []jobs.NodeID
			for _, h := range hosts[1:] {
				from = append(from, h.Self())
			}
			for b.Loop() {
				n := 0
				err := hosts[0].Fetch(b.Context(), blob, from, none,
					func(jobs.Digest, []byte) error { n++; return nil })
				if err != nil || n != 101 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "MiB/s")
		})
	}
}
