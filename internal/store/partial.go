package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/shoalgrid/shoal/jobs"
)

// maxPartials bounds the blobs that arrive at one time: each has an open file.
const maxPartials = 512

// Errors of a blob that arrives block by block.
var (
	// ErrNotABlock means that the bytes are not the block, or the list, they are given
	// as, or that the blob has no such block.
	ErrNotABlock = errors.New("not a block of this blob")
	// ErrIncomplete means that blocks are still missing.
	ErrIncomplete = errors.New("blocks are missing")
)

// Partial is a known blob arriving block by block, in any order, from anywhere. What has
// arrived is still there after a restart: the file's blocks are hashed again when it is
// next opened, so nothing has to be recorded, or synced, while they come in.
//
// Everybody who asks for the same blob gets the same Partial. Close it when done.
type Partial struct {
	b    *Blobs
	blob jobs.Blob
	refs int // guarded by b.mu

	mu      sync.Mutex
	f       *os.File // nil before load, after Finish and after the last Close
	at      map[jobs.Digest][]int
	list    []jobs.Digest // nil while it is not known
	have    []bool
	missing int
	done    bool
	failed  error // of load
}

// Partial opens a blob for arrival. Room for all of it is asked of the disk now, not of the
// quota: that is Reserve's. If the whole blob is here it is Done at once.
func (b *Blobs) Partial(blob jobs.Blob) (*Partial, error) {
	if blob.Size > jobs.MaxBlob {
		return nil, fmt.Errorf("open partial blob: %w: %d bytes", ErrTooLarge, blob.Size)
	}
	p, first, err := b.join(blob)
	if err != nil {
		return nil, fmt.Errorf("open partial blob: %w", err)
	}
	if first {
		p.failed = p.load()
		p.mu.Unlock()
	}
	if err := p.loaded(); err != nil {
		p.Close()
		return nil, fmt.Errorf("open partial blob: %w", asFull(err))
	}
	return p, nil
}

// loaded waits until the Partial is loaded, and returns what came of it.
func (p *Partial) loaded() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// join finds the open Partial of the blob or registers a new one, locked for loading.
func (b *Blobs) join(blob jobs.Blob) (p *Partial, first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p = b.partials[blob.Digest]; p != nil {
		if p.blob.Size != blob.Size {
			return nil, false, fmt.Errorf("%w: open with %d bytes, asked with %d", ErrNotABlock, p.blob.Size, blob.Size)
		}
		p.refs++
		return p, false, nil
	}
	if len(b.partials) >= maxPartials {
		return nil, false, fmt.Errorf("%w: %d blobs are arriving", ErrFull, len(b.partials))
	}
	p = &Partial{b: b, blob: blob, refs: 1}
	p.mu.Lock()
	b.partials[blob.Digest] = p
	return p, true, nil
}

// load opens the file and finds out what it has. p.mu is held.
func (p *Partial) load() error {
	d := p.blob.Digest
	if err := p.openFile(); err != nil || p.done {
		return err
	}
	if p.blob.Blocks() == 1 {
		p.setList(d[:])
	} else if list, found, err := p.b.s.get(bucketLists, d[:]); err != nil {
		return err
	} else if found {
		p.setList(list)
	}
	return p.rehash()
}

func (p *Partial) openFile() error {
	d := p.blob.Digest
	lock := &p.b.folder[d[0]]
	lock.Lock()
	defer lock.Unlock()
	e, found, err := p.b.entry(d)
	switch {
	case err != nil:
		return err
	case found && e.size != p.blob.Size:
		return fmt.Errorf("%w: here with %d bytes, asked with %d", ErrNotABlock, e.size, p.blob.Size)
	case found && e.state == whole:
		p.done = true
		return nil
	case !found:
		if err := p.b.room(p.blob.Size); err != nil {
			return err
		}
	}
	if err := p.b.makeFolder(d); err != nil {
		return err
	}
	// First the entry, then the file: a file without an entry is nobody's.
	if err := p.b.touch(d, entry{state: partial, size: p.blob.Size}); err != nil {
		return err
	}
	if !found {
		p.b.acc.replace(0, p.blob.Size)
	}
	p.f, err = os.OpenFile(p.file(), os.O_RDWR|os.O_CREATE, 0o600)
	return err
}

func (p *Partial) file() string { return p.b.path(p.blob.Digest) + partialSuffix }

func (p *Partial) setList(list []byte) {
	p.list = blockDigests(list)
	p.have = make([]bool, len(p.list))
	p.missing = len(p.list)
	p.at = make(map[jobs.Digest][]int, len(p.list))
	for i, d := range p.list {
		p.at[d] = append(p.at[d], i)
	}
}

// rehash finds the blocks that the file has already.
func (p *Partial) rehash() error {
	size, err := p.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	buf := make([]byte, min(jobs.BlockSize, p.blob.Size))
	for i, d := range p.list {
		data := buf[:blockSize(p.blob.Size, i)]
		at := int64(i) * jobs.BlockSize
		if at+int64(len(data)) > size {
			break
		}
		if _, err := p.f.ReadAt(data, at); err != nil {
			return err
		}
		if jobs.Sum(data) == d {
			p.have[i] = true
			p.missing--
		}
	}
	return nil
}

// Have reports whether the block, or the list, has arrived.
func (p *Partial) Have(block jobs.Digest) bool {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done || block == p.blob.Digest {
		return p.b.HasBlock(block)
	}
	_, ok := p.size(block)
	return ok
}

// Missing is up to n digests of blocks that have not arrived, in order. While the list of
// a blob of more than one block is missing, that is it: its digest is the blob's.
func (p *Partial) Missing(n int) []jobs.Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || n <= 0 {
		return nil
	}
	if p.list == nil {
		return []jobs.Digest{p.blob.Digest}
	}
	var ds []jobs.Digest
	for i, d := range p.list {
		if len(ds) == n {
			break
		}
		if !p.have[i] && p.at[d][0] == i { // a block that repeats is named once
			ds = append(ds, d)
		}
	}
	return ds
}

// PutList gives the list of block digests of a blob of more than one block.
func (p *Partial) PutList(list []byte) error {
	d := p.blob.Digest
	if p.blob.Blocks() == 1 {
		return nil // the blob's own digest is the list
	}
	if len(list) != p.blob.Blocks()*digestLen || jobs.Sum(list) != d {
		return fmt.Errorf("list of blob %s: %w", d, ErrNotABlock)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.list != nil {
		return nil
	}
	if err := p.b.s.write(context.Background(), []change{{bucketLists, d[:], bytes.Clone(list)}}); err != nil {
		return fmt.Errorf("list of blob %s: %w", d, err)
	}
	p.setList(list)
	return nil
}

// PutBlock gives one block; the blob's own digest, if it has more blocks, gives the list.
func (p *Partial) PutBlock(d jobs.Digest, data []byte) error {
	if d == p.blob.Digest && p.blob.Blocks() > 1 {
		return p.PutList(data)
	}
	if jobs.Sum(data) != d {
		return fmt.Errorf("block %s: %w", d, ErrNotABlock)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil
	}
	if len(p.at[d]) == 0 {
		return fmt.Errorf("block %s: %w", d, ErrNotABlock)
	}
	if p.f == nil {
		return fmt.Errorf("block %s: %w", d, os.ErrClosed)
	}
	for _, i := range p.at[d] {
		if p.have[i] {
			continue
		}
		if uint64(len(data)) != blockSize(p.blob.Size, i) {
			return fmt.Errorf("block %s: %w: %d bytes as number %d", d, ErrNotABlock, len(data), i)
		}
		if _, err := p.f.WriteAt(data, int64(i)*jobs.BlockSize); err != nil {
			return fmt.Errorf("block %s: %w", d, asFull(err))
		}
		p.have[i] = true
		p.missing--
	}
	return nil
}

// Done reports whether every block has arrived: then Finish makes the blob whole.
func (p *Partial) Done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done || p.list != nil && p.missing == 0
}

// Finish makes the blob durable and visible under its name. Finishing again is nothing.
func (p *Partial) Finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.done:
		return nil
	case p.list == nil || p.missing > 0:
		return fmt.Errorf("finish blob %s: %w", p.blob.Digest, ErrIncomplete)
	case p.f == nil:
		return fmt.Errorf("finish blob %s: %w", p.blob.Digest, os.ErrClosed)
	}
	f := p.f
	p.f = nil
	err := p.b.seal(f)
	if err == nil {
		err = p.b.install(p.file(), p.blob, joinDigests(p.list))
	}
	if err != nil {
		return fmt.Errorf("finish blob %s: %w", p.blob.Digest, asFull(err))
	}
	p.done, p.list, p.have, p.at = true, nil, nil, nil
	return nil
}

// Close ends the use of this Partial by its caller. What has arrived stays.
func (p *Partial) Close() {
	b := p.b
	b.mu.Lock()
	p.refs--
	last := p.refs == 0
	if last {
		delete(b.partials, p.blob.Digest)
	}
	b.mu.Unlock()
	if last {
		p.closeFile()
	}
}

func (p *Partial) closeFile() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.f != nil {
		p.f.Close() // what did not reach the disk is found missing by rehash
		p.f = nil
	}
}

// locate finds an arrived block in the file. p.mu is held.
func (p *Partial) locate(d jobs.Digest) (at int64, size int, ok bool) {
	if p.f == nil || len(p.at[d]) == 0 || !p.have[p.at[d][0]] {
		return 0, 0, false
	}
	i := p.at[d][0]
	return int64(i) * jobs.BlockSize, int(blockSize(p.blob.Size, i)), true
}

// size is the size of an arrived block.
func (p *Partial) size(d jobs.Digest) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, size, ok := p.locate(d)
	return size, ok
}

// read reads an arrived block.
func (p *Partial) read(d jobs.Digest) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, size, ok := p.locate(d)
	if !ok {
		return nil, false
	}
	data := make([]byte, size)
	if _, err := p.f.ReadAt(data, at); err != nil || jobs.Sum(data) != d {
		return nil, false
	}
	return data, true
}
