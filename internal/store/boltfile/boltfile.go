// Package boltfile tells whether a bbolt database file is whole, by reading it as plain
// bytes. bbolt itself maps the file and trusts it: on a damaged one it panics, loops, or
// dies of SIGBUS, none of which a caller can turn into an error. So the store asks here
// first, and opens only what is whole.
//
// A bbolt file has two meta pages, written alternately; each is the root of a complete
// tree until the next transaction but one. That makes the older meta a way back when the
// newest transaction was torn by a disk that reorders writes.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

const (
	magic       = 0xED0CDAED
	fileVersion = 2

	pageHeader = 16 // id uint64, flags uint16, count uint16, overflow uint32
	element    = 16 // of a branch or a leaf page
	metaLen    = 64 // without the page header, with the checksum
	noFreelist = ^uint64(0)

	minPage = 1 << 10
	maxPage = 1 << 24
)

// ErrDamaged is wrapped by every error that says the file is not whole. Other errors are
// failures to read it.
var ErrDamaged = errors.New("damaged database")

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, a...))
}

// Meta is one of the two roots of a file.
type Meta struct {
	Page      uint64 // 0 or 1
	PageSize  uint64
	Root      uint64 // root page of the bucket of buckets
	Freelist  uint64 // page of the list of free pages, or noFreelist
	HighWater uint64 // pages in use: all page numbers are below
	TxID      uint64
}

// Metas returns the valid metas of a file, the newest first. None is damage.
func Metas(f io.ReaderAt, size int64) ([]Meta, error) {
	var found []Meta
	first, err := readMeta(f, size, 0, 0)
	switch {
	case err == nil:
		found = append(found, first)
	case !errors.Is(err, ErrDamaged):
		return nil, err
	}
	// The second meta is one page in; if the first is lost so is the page size.
	lo, hi := uint64(minPage), uint64(maxPage)
	if len(found) == 1 {
		lo, hi = first.PageSize, first.PageSize
	}
	for ps := lo; ps <= hi && int64(ps) < size; ps *= 2 {
		second, err := readMeta(f, size, int64(ps), 1)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		if err == nil && second.PageSize == ps {
			found = append(found, second)
			break
		}
	}
	if len(found) == 0 {
		return nil, damaged("no valid meta page in %d bytes", size)
	}
	if len(found) == 2 && found[1].TxID > found[0].TxID {
		found[0], found[1] = found[1], found[0]
	}
	return found, nil
}

func readMeta(f io.ReaderAt, size, off int64, page uint64) (Meta, error) {
	var b [pageHeader + metaLen]byte
	if off+int64(len(b)) > size {
		return Meta{}, damaged("meta page %d is cut off", page)
	}
	if _, err := f.ReadAt(b[:], off); err != nil {
		return Meta{}, fmt.Errorf("read meta page: %w", err)
	}
	// bbolt writes its structs as they lie in memory.
	le, m := binary.NativeEndian, b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:metaLen-8])
	if le.Uint32(m) != magic || le.Uint32(m[4:]) != fileVersion || le.Uint64(m[metaLen-8:]) != sum.Sum64() {
		return Meta{}, damaged("meta page %d is not valid", page)
	}
	meta := Meta{
		Page:      page,
		PageSize:  uint64(le.Uint32(m[8:])),
		Root:      le.Uint64(m[16:]),
		Freelist:  le.Uint64(m[32:]),
		HighWater: le.Uint64(m[40:]),
		TxID:      le.Uint64(m[48:]),
	}
	if ps := meta.PageSize; ps < minPage || ps > maxPage || ps&(ps-1) != 0 {
		return Meta{}, damaged("meta page %d: page size %d", page, ps)
	}
	return meta, nil
}

// Fits reports, without reading on, whether the file is long enough for all pages of the
// meta: the cheap half of Check.
func (m Meta) Fits(size int64) error {
	if m.HighWater < 3 || m.HighWater > uint64(size)/m.PageSize {
		return damaged("%d pages of %d bytes in a file of %d bytes", m.HighWater, m.PageSize, size)
	}
	return nil
}

// Check reads everything that the meta leads to and returns the first damage found.
// It ends for any bytes, with memory bounded by the file's size.
func (m Meta) Check(f io.ReaderAt, size int64) error {
	if err := m.Fits(size); err != nil {
		return err
	}
	w := &walk{f: f, m: m, seen: make([]uint64, m.HighWater/64+1)}
	if err := w.bucket(m.Root, 0); err != nil {
		return err
	}
	return w.freelist()
}

// Drop overwrites the meta, so that bbolt takes the other one.
func (m Meta) Drop(f io.WriterAt) error {
	if _, err := f.WriteAt(make([]byte, pageHeader+metaLen), int64(m.Page*m.PageSize)); err != nil {
		return fmt.Errorf("drop meta page: %w", err)
	}
	return nil
}
