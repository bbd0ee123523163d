package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	tempPrefix    = "tmp-"
	partialSuffix = ".part"

	// roomEvery is how many bytes a blob of unknown size may grow between two looks at
	// the free space of the disk.
	roomEvery = 16 << 20
)

// ErrTooLarge means that more bytes came than the caller allowed; nothing was kept.
var ErrTooLarge = errors.New("larger than allowed")

// Blobs is the blobs of a store. A blob that nobody holds is kept for an hour after it
// was last added, then until the next GC.
type Blobs struct {
	s   *Store
	dir string
	acc *account

	// One lock for each of the 256 folders. It is held from looking at a blob's entry
	// until the entry is changed, so that GC never takes what somebody just found.
	folder [256]sync.Mutex

	// holding is read-locked while a hold is added and locked while holds are removed,
	// so that the account follows the index. It is taken before a folder's lock.
	holding sync.RWMutex

	mu       sync.RWMutex // guards partials
	partials map[jobs.Digest]*Partial
}

func openBlobs(s *Store, clean bool) (*Blobs, error) {
	b := &Blobs{
		s:        s,
		dir:      filepath.Join(s.home, "blobs"),
		acc:      newAccount(s.o.Quota), // while surveying; then count begins anew
		partials: map[jobs.Digest]*Partial{},
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make blobs: %w", err)
	}
	if err := b.sweepTemps(); err != nil {
		return nil, fmt.Errorf("remove old temporary files: %w", err)
	}
	if !clean {
		if err := b.survey(); err != nil {
			return nil, fmt.Errorf("survey blobs: %w", err)
		}
	}
	if err := b.count(); err != nil {
		return nil, fmt.Errorf("count blobs: %w", err)
	}
	return b, nil
}

// sweepTemps removes the temporary files of a process that is gone: ours is the only one.
func (b *Blobs) sweepTemps() error {
	names, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasPrefix(n.Name(), tempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(b.dir, n.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Put stores what r gives, at most max bytes, and names it. It is durable when Put
// returns; after an error nothing of it is left.
func (b *Blobs) Put(r io.Reader, max uint64) (jobs.Blob, error) {
	blob, err := b.put(r, min(max, jobs.MaxBlob))
	if err != nil {
		return jobs.Blob{}, fmt.Errorf("put blob: %w", asFull(err))
	}
	return blob, nil
}

func (b *Blobs) put(r io.Reader, max uint64) (jobs.Blob, error) {
	tmp, err := os.CreateTemp(b.dir, tempPrefix+"*")
	if err != nil {
		return jobs.Blob{}, err
	}
	defer os.Remove(tmp.Name()) // it has its own name by then, or failed
	defer tmp.Close()

	h := jobs.NewBlobHasher()
	for size, more := uint64(0), true; more; {
		if err := b.room(0); err != nil {
			return jobs.Blob{}, err
		}
		n, err := io.CopyN(io.MultiWriter(tmp, h), r, int64(min(roomEvery, max-size+1)))
		size += uint64(n)
		switch {
		case size > max:
			return jobs.Blob{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
		case err == io.EOF: //nolint:errorlint // a reader's own error about an early end is no end
			more = false
		case err != nil:
			return jobs.Blob{}, err
		}
	}
	if err := b.seal(tmp); err != nil {
		return jobs.Blob{}, err
	}
	return h.Blob(), b.install(tmp.Name(), h.Blob(), h.List())
}

// PutBytes stores p and names it.
func (b *Blobs) PutBytes(p []byte) (jobs.Blob, error) {
	return b.Put(bytes.NewReader(p), uint64(len(p)))
}

// seal makes a written file durable, read-only and closed: ready for its name.
func (b *Blobs) seal(f *os.File) error {
	err := f.Chmod(0o444)
	if err == nil && !b.s.o.NoSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// install gives a sealed file its name and its place in the index, unless the blob is here
// already: then it only counts as added again.
func (b *Blobs) install(file string, blob jobs.Blob, list []byte) error {
	lock := &b.folder[blob.Digest[0]]
	lock.Lock()
	defer lock.Unlock()
	e, found, err := b.entry(blob.Digest)
	if err != nil {
		return err
	}
	if found && e.state == whole {
		return b.touch(blob.Digest, e)
	}
	if err := b.publish(file, blob.Digest); err != nil {
		return err
	}
	if err := b.s.write(context.Background(), b.indexed(blob, list)); err != nil {
		return errors.Join(err, os.Remove(b.path(blob.Digest)))
	}
	b.acc.replace(e.size, blob.Size) // e.size is 0 if there was none
	if err := remove(b.path(blob.Digest) + partialSuffix); err != nil {
		b.s.o.Logger.Warn("rest of an arrived blob stays for now", "error", err)
	}
	return nil
}

// touch makes the blob young again. The folder's lock is held.
func (b *Blobs) touch(d jobs.Digest, e entry) error {
	e.used = b.s.o.Now()
	return b.s.write(context.Background(), []change{{bucketBlobs, d[:], e.encode()}})
}

// publish gives a sealed file the blob's name, durably.
func (b *Blobs) publish(file string, d jobs.Digest) error {
	if err := b.makeFolder(d); err != nil {
		return err
	}
	if err := os.Rename(file, b.path(d)); err != nil {
		return err
	}
	return b.syncDir(b.folderOf(d))
}

// indexed is the changes that make a blob known as whole.
func (b *Blobs) indexed(blob jobs.Blob, list []byte) []change {
	d := blob.Digest
	e := entry{state: whole, size: blob.Size, used: b.s.o.Now()}
	changes := []change{{bucketBlobs, bytes.Clone(d[:]), e.encode()}}
	if blob.Size <= jobs.BlockSize {
		return changes
	}
	changes = append(changes, change{bucketLists, bytes.Clone(d[:]), list})
	for i, block := range blockDigests(list) {
		changes = append(changes, change{bucketBlocks, blockKey(block, d), encodeBlock(i)})
	}
	return changes
}

// Has reports whether the whole blob is here.
func (b *Blobs) Has(d jobs.Digest) bool {
	_, ok := b.Size(d)
	return ok
}

// Size is the blob's size, if the whole blob is here.
func (b *Blobs) Size(d jobs.Digest) (uint64, bool) {
	e, found, err := b.entry(d)
	return e.size, err == nil && found && e.state == whole
}

// Path is the name of the blob's file, if the whole blob is here. The file is read-only
// and must stay so.
func (b *Blobs) Path(d jobs.Digest) (string, bool) { return b.path(d), b.Has(d) }

// Open opens the whole blob for reading, or fails with fs.ErrNotExist.
func (b *Blobs) Open(d jobs.Digest) (*os.File, error) {
	if !b.Has(d) {
		return nil, fmt.Errorf("open blob %s: %w", d, fs.ErrNotExist)
	}
	f, err := os.Open(b.path(d))
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return f, nil
}

// Bytes is the blob's content, checked against its name; fs.ErrNotExist if it is not here,
// ErrTooLarge if it is larger than max.
func (b *Blobs) Bytes(d jobs.Digest, max uint64) ([]byte, error) {
	f, err := b.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size, _ := b.Size(d); size > max {
		return nil, fmt.Errorf("read blob %s: %w: %d bytes", d, ErrTooLarge, size)
	}
	p, err := io.ReadAll(io.LimitReader(f, int64(min(max, jobs.MaxBlob))))
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", d, err)
	}
	if jobs.BlobOf(p).Digest != d {
		return nil, b.discard(d)
	}
	return p, nil
}

// Remove deletes the blob, whole or partial, whoever holds it. An open Partial of it goes
// on without a name.
func (b *Blobs) Remove(ctx context.Context, d jobs.Digest) error {
	_, err := b.remove(ctx, d)
	return err
}

func (b *Blobs) remove(ctx context.Context, d jobs.Digest) (was bool, err error) {
	b.holding.Lock()
	defer b.holding.Unlock()
	lock := &b.folder[d[0]]
	lock.Lock()
	defer lock.Unlock()
	e, found, err := b.entry(d)
	if err != nil || !found {
		return false, err
	}
	return true, b.drop(ctx, []located{{d, e}})
}

// discard removes a blob whose file is no longer what its name says, and returns the error
// for the reader who noticed. If it was removed just now that is all there is to it.
func (b *Blobs) discard(d jobs.Digest) error {
	was, err := b.remove(context.Background(), d)
	if was {
		b.s.o.Logger.Error("blob damaged on disk, removed", "blob", d)
	}
	return errors.Join(fmt.Errorf("blob %s: %w", d, fs.ErrNotExist), err)
}

func (b *Blobs) entry(d jobs.Digest) (entry, bool, error) {
	v, found, err := b.s.get(bucketBlobs, d[:])
	if err != nil || !found {
		return entry{}, false, err
	}
	e, err := decodeEntry(v)
	return e, err == nil, err
}

// room fails with ErrFull when the disk has less left than these bytes and the reserve.
func (b *Blobs) room(size uint64) error {
	if b.s.o.MinFree == 0 && size == 0 {
		return nil
	}
	free, err := freeBytes(b.dir)
	if err != nil {
		return err
	}
	if free < size || free-size < b.s.o.MinFree {
		return fmt.Errorf("%w: %d bytes free on the disk of %s, %d wanted, %d to be left",
			ErrFull, free, b.dir, size, b.s.o.MinFree)
	}
	return nil
}

func (b *Blobs) folderOf(d jobs.Digest) string { return filepath.Join(b.dir, d.String()[:2]) }
func (b *Blobs) path(d jobs.Digest) string     { return filepath.Join(b.folderOf(d), d.String()) }

func (b *Blobs) makeFolder(d jobs.Digest) error {
	switch err := os.Mkdir(b.folderOf(d), 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return b.syncDir(b.dir)
}

func (b *Blobs) syncDir(dir string) error {
	if b.s.o.NoSync {
		return nil
	}
	return syncDir(dir)
}

func (b *Blobs) close() {
	for _, p := range b.open() {
		p.closeFile()
	}
}

// remove deletes the file, if it is there.
func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
