package admit

import (
	"bytes"
	"errors"
	"io"
)

// source reads a module's bytes in order, through a window. Its methods panic with a
// *Refused where the bytes end too early or are no number, and with a readError where they
// cannot be read: Scan recovers both, and nothing below it needs to ask after every byte.
type source struct {
	r      io.Reader
	window []byte // memory
	next   int    // of the window's bytes
	stop   int    // where the window, or what is being read of it, ends
	have   int    // how many bytes the window has
	base   uint64 // bytes before the window
	end    uint64 // where the current section or body ends
}

// readError is the reader's own failure.
type readError struct{ error }

const windowSize = 64 << 10

func newSource(r io.Reader) *source {
	return &source{r: r, window: make([]byte, windowSize), end: MaxModule}
}

// pos is how many bytes were read.
func (s *source) pos() uint64 { return s.base + uint64(s.next) }

// within lets reading go on up to end, and returns where it could go before.
func (s *source) within(end uint64) (before uint64) {
	before, s.end = s.end, end
	s.stop = int(min(uint64(s.have), end-s.base))
	return before
}

// byte reads one byte.
func (s *source) byte() byte {
	if s.next == s.stop {
		s.fill()
	}
	b := s.window[s.next]
	s.next++
	return b
}

// fill gets more bytes into the window, at least one.
func (s *source) fill() {
	switch {
	case s.pos() >= s.end && s.end == MaxModule:
		refuse("larger than %d MiB", MaxModule>>20)
	case s.pos() >= s.end:
		refuse("malformed: something goes on beyond its end at byte %d", s.end)
	case !s.refill():
		refuse("truncated: ends after %d bytes, in the middle of something", s.pos())
	}
}

// refill reads the next window and reports whether there was one.
func (s *source) refill() bool {
	s.base += uint64(s.have)
	s.next, s.have = 0, 0
	for range 100 { // a reader that gives nothing so often never will
		n, err := s.r.Read(s.window)
		s.have = n
		s.within(s.end)
		switch {
		case n > 0:
			return true
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			panic(readError{err})
		}
	}
	panic(readError{io.ErrNoProgress})
}

// atEnd reports whether there is nothing more to read at all.
func (s *source) atEnd() bool { return s.next == s.have && !s.refill() }

// skip passes over n bytes.
func (s *source) skip(n uint64) {
	for n > 0 {
		if s.next == s.stop {
			s.fill()
		}
		k := min(n, uint64(s.stop-s.next))
		s.next += int(k)
		n -= k
	}
}

// head returns the first bytes, up to n, without reading them.
func (s *source) head(n int) []byte {
	first := make([]byte, n)
	k, err := io.ReadFull(s.r, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		panic(readError{err})
	}
	s.r = io.MultiReader(bytes.NewReader(first[:k]), s.r)
	return first[:k]
}

// leb reads an unsigned LEB128 number of at most bits bits.
func (s *source) leb(bits uint) uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := s.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if left := bits - shift; left < 7 && b>>left != 0 {
				refuse("malformed: number too large at byte %d", s.pos())
			}
			return v
		}
		if shift+7 >= bits {
			refuse("malformed: number too long at byte %d", s.pos())
		}
	}
}

func (s *source) u32() uint32 {
	if b := s.byte(); b < 0x80 {
		return uint32(b)
	}
	s.next--
	return uint32(s.leb(32))
}

// signed reads a signed LEB128 number of at most bits bits. Whether its last bits agree with
// the sign is for the compiler to say.
func (s *source) signed(bits uint) int64 {
	var v int64
	for n := uint(0); ; n += 7 {
		b := s.byte()
		v |= int64(b&0x7f) << n
		if b&0x80 == 0 {
			if spare := 57 - int(n); spare > 0 {
				v = v << spare >> spare
			}
			return v
		}
		if n+7 >= bits {
			refuse("malformed: number too long at byte %d", s.pos())
		}
	}
}

// count reads how many of something follow.
func (s *source) count(what string, limit uint32) uint32 {
	n := s.u32()
	if n > limit {
		refuse("%d %s; at most %d are taken", n, what, limit)
	}
	return n
}

// name reads a name.
func (s *source) name() string {
	b := make([]byte, s.count("bytes of a name", MaxName))
	for i := range b {
		b[i] = s.byte()
	}
	return string(b)
}
