package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
)

// place is where the bytes of a block are.
type place struct {
	list []byte // the block itself, where it is a blob's list of blocks

	blob jobs.Digest
	at   int64
	size uint64
}

// Block reads the bytes that the digest names: a whole blob of one block, a block or the
// list of a larger blob, also of one still arriving. They are checked; a blob that turns
// out damaged is removed, so that it can be fetched again. fs.ErrNotExist if not here.
func (b *Blobs) Block(ctx context.Context, d jobs.Digest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := b.find(d)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return b.arriving(d)
	}
	if p.list != nil {
		return p.list, nil
	}
	data := make([]byte, p.size)
	f, err := os.Open(b.path(p.blob))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.discard(p.blob)
	}
	if err != nil {
		return nil, fmt.Errorf("read block: %w", err)
	}
	defer f.Close()
	if _, err := f.ReadAt(data, p.at); err != nil || jobs.Sum(data) != d {
		return nil, b.discard(p.blob)
	}
	return data, nil
}

// HasBlock reports whether Block would find it.
func (b *Blobs) HasBlock(d jobs.Digest) bool {
	_, ok := b.BlockSize(d)
	return ok
}

// BlockHeld reports whether a blob that the digest names, or that has such a block, is held by an
// owner whose name begins with prefix.
func (b *Blobs) BlockHeld(d jobs.Digest, prefix string) bool {
	held := func(blob jobs.Digest) bool {
		owners, err := b.holders(blob)
		return err == nil && slices.ContainsFunc(owners, func(h holder) bool { return strings.HasPrefix(h.owner, prefix) })
	}
	if held(d) {
		return true
	}
	kvs, _, err := b.s.page(bucketBlocks, d[:], nil)
	return err == nil && slices.ContainsFunc(kvs, func(kv KV) bool {
		blob, _, err := decodeBlock(kv.Key, kv.Value)
		return err == nil && held(blob)
	})
}

// BlockSize is the size of what Block would return.
func (b *Blobs) BlockSize(d jobs.Digest) (int, bool) {
	p, err := b.find(d)
	switch {
	case err != nil:
		return 0, false
	case p == nil:
		return b.arrivingSize(d)
	case p.list != nil:
		return len(p.list), true
	}
	return int(p.size), true
}

// find looks the block up in the index; nil means that it is not there.
func (b *Blobs) find(d jobs.Digest) (*place, error) {
	e, found, err := b.entry(d)
	if err != nil {
		return nil, err
	}
	if found && e.state == whole && e.size <= jobs.BlockSize {
		return &place{blob: d, size: e.size}, nil
	}
	if found && e.size > jobs.BlockSize {
		if list, ok, err := b.s.get(bucketLists, d[:]); err != nil || ok {
			return &place{list: list}, err
		}
	}
	kvs, _, err := b.s.page(bucketBlocks, d[:], nil)
	if err != nil || len(kvs) == 0 {
		return nil, err
	}
	blob, i, err := decodeBlock(kvs[0].Key, kvs[0].Value)
	if err != nil {
		return nil, err
	}
	if e, found, err = b.entry(blob); err != nil || !found {
		return nil, err
	}
	return &place{blob: blob, at: int64(i) * jobs.BlockSize, size: blockSize(e.size, int(i))}, nil
}

// open returns the partial blobs that are open now.
func (b *Blobs) open() []*Partial {
	b.mu.RLock()
	defer b.mu.RUnlock()
	open := make([]*Partial, 0, len(b.partials))
	for _, p := range b.partials {
		open = append(open, p)
	}
	return open
}

// arriving reads a block of an open partial blob.
func (b *Blobs) arriving(d jobs.Digest) ([]byte, error) {
	for _, p := range b.open() {
		if data, ok := p.read(d); ok {
			return data, nil
		}
	}
	return nil, fmt.Errorf("block %s: %w", d, fs.ErrNotExist)
}

func (b *Blobs) arrivingSize(d jobs.Digest) (int, bool) {
	for _, p := range b.open() {
		if size, ok := p.size(d); ok {
			return size, true
		}
	}
	return 0, false
}
