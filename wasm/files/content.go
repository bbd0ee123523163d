package files

const pageSize = 4 << 10

// content is the bytes of a guest's file. Pages that nobody has written to are zeros and
// take no memory.
type content struct {
	size  int64
	pages map[int64]*[pageSize]byte
}

// missing is how many bytes of memory writing n bytes at off would take.
func (c *content) missing(n int, off int64) (bytes int64) {
	for p := off / pageSize; p*pageSize < off+int64(n); p++ {
		if c.pages[p] == nil {
			bytes += pageSize
		}
	}
	return bytes
}

// write writes all of b at off.
func (c *content) write(b []byte, off int64) {
	c.size = max(c.size, off+int64(len(b)))
	for len(b) > 0 {
		p := c.pages[off/pageSize]
		if p == nil {
			if c.pages == nil {
				c.pages = make(map[int64]*[pageSize]byte)
			}
			p = new([pageSize]byte)
			c.pages[off/pageSize] = p
		}
		n := copy(p[off%pageSize:], b)
		b, off = b[n:], off+int64(n)
	}
}

// read fills b from off, as far as the content goes.
func (c *content) read(b []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		rest := b[done:min(len(b), done+int(pageSize-at%pageSize))]
		if p := c.pages[at/pageSize]; p != nil {
			copy(rest, p[at%pageSize:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(b)
}

// resize sets the size and returns how many bytes of memory that gave back.
func (c *content) resize(size int64) (freed int64) {
	if size < c.size {
		for p := range c.pages {
			if p*pageSize >= size {
				delete(c.pages, p)
				freed += pageSize
			}
		}
		if p := c.pages[size/pageSize]; p != nil {
			clear(p[size%pageSize:])
		}
	}
	c.size = size
	return freed
}
