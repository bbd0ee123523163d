package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketLeaf   = 0x01
	bucketHeader = 16 // root uint64, sequence uint64

	maxDepth = 64 // of pages and buckets together; a tree of 2^64 keys is shallower
)

// walk visits every page that one meta leads to, each at most once.
type walk struct {
	f    io.ReaderAt
	m    Meta
	seen []uint64 // a bit a page
}

// page is a page's content as read from the file, overflow pages included.
type page struct {
	flags uint16
	count int
	body  []byte // with the header, as positions count from there
}

// claim marks pages as used, and fails where one is out of range or used already.
func (w *walk) claim(id, n uint64) error {
	if id < 2 || n > w.m.HighWater || id > w.m.HighWater-n {
		return damaged("pages %d to %d of %d", id, id+n-1, w.m.HighWater)
	}
	for i := id; i < id+n; i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return damaged("page %d is used twice", i)
		}
		w.seen[i/64] |= 1 << (i % 64)
	}
	return nil
}

func (w *walk) read(id uint64) (page, error) {
	if err := w.claim(id, 1); err != nil {
		return page{}, err
	}
	body, off := make([]byte, w.m.PageSize), int64(id*w.m.PageSize)
	if _, err := w.f.ReadAt(body, off); err != nil {
		return page{}, fmt.Errorf("read page %d: %w", id, err)
	}
	le := binary.NativeEndian
	if got := le.Uint64(body); got != id {
		return page{}, damaged("page %d says it is page %d", id, got)
	}
	if over := uint64(le.Uint32(body[12:])); over > 0 {
		if err := w.claim(id+1, over); err != nil {
			return page{}, err
		}
		body = append(body, make([]byte, over*w.m.PageSize)...)
		if _, err := w.f.ReadAt(body[w.m.PageSize:], off+int64(w.m.PageSize)); err != nil {
			return page{}, fmt.Errorf("read page %d: %w", id, err)
		}
	}
	return page{flags: le.Uint16(body[8:]), count: int(le.Uint16(body[10:])), body: body}, nil
}

// order checks that the keys of a bucket ascend. A branch's key is a floor: the first key
// below it may equal it.
type order struct {
	last  []byte
	floor bool
}

func (o *order) next(key []byte, floor bool) bool {
	c := bytes.Compare(key, o.last)
	ok := c > 0 || c == 0 && o.floor
	o.last, o.floor = key, floor
	return ok
}

func (w *walk) bucket(root uint64, depth int) error {
	return w.tree(root, depth, &order{floor: true})
}

func (w *walk) tree(id uint64, depth int, keys *order) error {
	if depth > maxDepth {
		return damaged("tree deeper than %d pages", maxDepth)
	}
	p, err := w.read(id)
	if err != nil {
		return err
	}
	switch p.flags {
	case branchPage:
		err = w.branch(p, depth, keys)
	case leafPage:
		err = w.leaf(p, depth, keys)
	default:
		err = damaged("type %#x", p.flags)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (w *walk) branch(p page, depth int, keys *order) error {
	if p.count == 0 || pageHeader+p.count*element > len(p.body) {
		return damaged("%d branches", p.count)
	}
	le := binary.NativeEndian
	for i := range p.count {
		at := pageHeader + i*element
		e := p.body[at:]
		key, ok := p.slice(uint64(at)+uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])))
		if !ok || !keys.next(key, true) {
			return damaged("key of branch %d", i)
		}
		if err := w.tree(le.Uint64(e[8:]), depth+1, keys); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(p page, depth int, keys *order) error {
	if pageHeader+p.count*element > len(p.body) {
		return damaged("%d leaves", p.count)
	}
	le := binary.NativeEndian
	for i := range p.count {
		at := pageHeader + i*element
		e := p.body[at:]
		start, ksize := uint64(at)+uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:]))
		key, ok := p.slice(start, ksize)
		if !ok || ksize == 0 || !keys.next(key, false) {
			return damaged("key of leaf %d", i)
		}
		value, ok := p.slice(start+ksize, uint64(le.Uint32(e[12:])))
		if !ok {
			return damaged("value of leaf %d", i)
		}
		switch le.Uint32(e) {
		case 0:
		case bucketLeaf:
			if err := w.child(value, depth+1); err != nil {
				return fmt.Errorf("bucket %.40q: %w", key, err)
			}
		default:
			return damaged("flags of leaf %d", i)
		}
	}
	return nil
}

// child checks a bucket from its entry: a root page, or the bucket's only page inline.
func (w *walk) child(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return damaged("bucket of %d bytes", len(value))
	}
	le := binary.NativeEndian
	if root := le.Uint64(value); root != 0 {
		return w.bucket(root, depth)
	}
	body := value[bucketHeader:]
	if len(body) < pageHeader || depth > maxDepth {
		return damaged("inline bucket of %d bytes at depth %d", len(body), depth)
	}
	p := page{flags: le.Uint16(body[8:]), count: int(le.Uint16(body[10:])), body: body}
	if p.flags != leafPage {
		return damaged("inline bucket of type %#x", p.flags)
	}
	return w.leaf(p, depth, &order{floor: true})
}

func (w *walk) freelist() error {
	if w.m.Freelist == noFreelist {
		return nil
	}
	p, err := w.read(w.m.Freelist)
	if err != nil {
		return fmt.Errorf("list of free pages: %w", err)
	}
	le := binary.NativeEndian
	ids, n := p.body[pageHeader:], uint64(p.count)
	if p.count == 0xFFFF { // too many for the header: the number comes first
		n, ids = le.Uint64(ids), ids[8:]
	}
	if p.flags != freelistPage || n > uint64(len(ids)/8) {
		return damaged("list of %d free pages of type %#x", n, p.flags)
	}
	for i := range n {
		if err := w.claim(le.Uint64(ids[8*i:]), 1); err != nil {
			return fmt.Errorf("list of free pages: %w", err)
		}
	}
	return nil
}

// slice is body[start:start+n], if that is within the page.
func (p page) slice(start, n uint64) ([]byte, bool) {
	if end := start + n; end <= uint64(len(p.body)) {
		return p.body[start:end], true
	}
	return nil, false
}
