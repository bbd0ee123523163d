package p2p

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

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
			b.SetBytes(100 << 20)
			for b.Loop() {
				n := 0
				err := hosts[0].Fetch(b.Context(), blob, from, func(jobs.Digest) bool { return false },
					func(jobs.Digest, []byte) error { n++; return nil })
				if err != nil || n != 101 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
