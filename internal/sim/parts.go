package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
)

var errUnreachable = errors.New("no answer")

// link is a node's place in the network in memory.
type link struct{ n *Node }

func (l *link) Self() jobs.NodeID            { return l.n.ID() }
func (l *link) Donors() int                  { return 0 } // keepers count who asks them
func (l *link) NetworkOf(jobs.NodeID) string { return "" }
func (g *Grid) reaches(a, b *Node) bool      { return g.cut == nil || !g.cut(a, b) }

// Cut says which pairs of nodes do not reach each other; nil heals everything.
func (g *Grid) Cut(f func(a, b *Node) bool) {
	g.mu.Lock()
	g.cut = f
	g.mu.Unlock()
	g.stir()
}

// distance is the DHT's: SHA-256(peer ID) XOR SHA-256(key).
func distance(key [32]byte, n jobs.NodeID) (d [32]byte) {
	a, b := sha256.Sum256(n.Bytes()), sha256.Sum256(key[:])
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// Nearest are the r live keepers that are nearest to a key and reached from here.
func (l *link) Nearest(_ context.Context, key [32]byte, r int) ([]jobs.NodeID, error) {
	g := l.n.grid
	g.mu.Lock()
	var ids []jobs.NodeID
	for id, n := range g.live {
		if g.reaches(l.n, n) {
			ids = append(ids, id)
		}
	}
	g.mu.Unlock()
	l.n.wait(2)
	slices.SortFunc(ids, func(a, b jobs.NodeID) int {
		x, y := distance(key, a), distance(key, b)
		return bytes.Compare(x[:], y[:])
	})
	return ids[:min(r, len(ids))], nil
}

// wait is as many message times.
func (n *Node) wait(messages time.Duration) {
	if n.grid.Latency > 0 {
		time.Sleep(messages * n.grid.Latency)
	}
}

// Call asks another node, in the real encoding.
func (l *link) Call(ctx context.Context, to jobs.NodeID, request []byte) ([]byte, error) {
	g := l.n.grid
	g.mu.Lock()
	n, ok := g.live[to]
	ok = ok && g.reaches(l.n, n)
	g.calls++
	g.bytes += int64(len(request))
	g.mu.Unlock()
	l.n.wait(1)
	if !ok {
		return nil, errUnreachable
	}
	answer := n.Keeper.Handle(ctx, l.n.ID(), request)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.n.wait(1)
	g.mu.Lock()
	g.bytes += int64(len(answer))
	g.mu.Unlock()
	return answer, nil
}

// memory is a node's disk: pairs in memory, in groups by the first bytes of their keys, so that a
// scan of one shard touches that shard only.
type memory struct {
	mu     sync.Mutex
	groups map[string]map[string][]byte
}

const groupLen = 1 + 1 + 32 + 4 // table, prefix, job, shard

func newDisk() *memory { return &memory{groups: map[string]map[string][]byte{}} }

// copy is the disk as it is now.
func (d *memory) copy() *memory {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk()
	for g, pairs := range d.groups {
		c.groups[g] = maps.Clone(pairs)
	}
	return c
}

type table struct {
	d    *memory
	name byte
}

func (d *memory) table(name byte) table { return table{d, name} }

func (t table) key(k []byte) (group, key string) {
	key = string(append([]byte{t.name}, k...))
	return key[:min(len(key), groupLen)], key
}

func (t table) Get(k []byte) ([]byte, bool, error) {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	g, key := t.key(k)
	v, ok := t.d.groups[g][key]
	return v, ok, nil
}

func (t table) Put(_ context.Context, pairs ...disk.Pair) error {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	for _, p := range pairs {
		g, key := t.key(p.Key)
		if t.d.groups[g] == nil {
			t.d.groups[g] = map[string][]byte{}
		}
		t.d.groups[g][key] = bytes.Clone(p.Value)
	}
	return nil
}

func (t table) Delete(_ context.Context, keys ...[]byte) error {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	for _, k := range keys {
		t.d.remove(t.key(k))
	}
	return nil
}

func (d *memory) remove(g, key string) {
	delete(d.groups[g], key)
	if len(d.groups[g]) == 0 {
		delete(d.groups, g)
	}
}

func (t table) Scan(prefix []byte, f func(key, value []byte) error) error {
	for _, key := range t.keys(prefix) {
		t.d.mu.Lock()
		v, ok := t.d.groups[key[:min(len(key), groupLen)]][key]
		t.d.mu.Unlock()
		if !ok {
			continue
		}
		if err := f([]byte(key[1:]), v); err != nil {
			return err
		}
	}
	return nil
}

func (t table) keys(prefix []byte) (keys []string) {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	g, p := t.key(prefix)
	collect := func(group map[string][]byte) {
		for key := range group {
			if strings.HasPrefix(key, p) {
				keys = append(keys, key)
			}
		}
	}
	if len(p) >= groupLen {
		collect(t.d.groups[g])
	} else {
		for name, group := range t.d.groups {
			if strings.HasPrefix(name, p) || strings.HasPrefix(p, name) {
				collect(group)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func (t table) DeletePrefix(_ context.Context, prefix []byte) error {
	keys := t.keys(prefix)
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	for _, key := range keys {
		t.d.remove(key[:min(len(key), groupLen)], key)
	}
	return nil
}

// blobs is a node's blobs in memory; it fetches from other nodes' memory.
type blobs struct {
	n  *Node
	mu sync.Mutex
	m  map[jobs.Digest][]byte
}

func newBlobs(n *Node) *blobs { return &blobs{n: n, m: map[jobs.Digest][]byte{}} }

func (b *blobs) Has(d jobs.Digest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.m[d]
	return ok
}

func (b *blobs) Path(d jobs.Digest) (string, bool) { return d.String(), b.Has(d) }

func (b *blobs) Open(d jobs.Digest) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.m[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(v)), nil
}

func (b *blobs) Put(r io.Reader, limit uint64) (jobs.Blob, error) {
	v, err := io.ReadAll(io.LimitReader(r, int64(min(limit, 1<<40))+1))
	if err != nil {
		return jobs.Blob{}, err
	}
	blob := jobs.BlobOf(v)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[blob.Digest] = v
	return blob, nil
}

func (b *blobs) Hold(context.Context, string, jobs.Blob, time.Time) error { return nil }

func (b *blobs) Release(context.Context, string) error { return nil }

func (b *blobs) Fetch(_ context.Context, _ string, blob jobs.Blob, holders []jobs.NodeID, _ time.Time) error {
	if b.Has(blob.Digest) {
		return nil
	}
	g := b.n.grid
	for _, h := range holders {
		g.mu.Lock()
		var from *Node
		for _, n := range g.nodes {
			if n.ID() == h && g.reaches(b.n, n) {
				from = n
			}
		}
		g.mu.Unlock()
		if from == nil || from == b.n || !from.blob.Has(blob.Digest) {
			continue
		}
		b.n.wait(2)
		r, err := from.blob.Open(blob.Digest)
		if err != nil {
			continue
		}
		_, err = b.Put(r, blob.Size)
		return err
	}
	return fmt.Errorf("blob %s: nobody reached holds it", blob.Digest)
}
