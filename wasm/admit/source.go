package admit

import (
	"bufio"
	"errors"
	"io"
)

// source reads a module's bytes in order. Its methods panic with a *Refused where the bytes
// end too early or are no number, and with a readError where they cannot be read: Scan
// recovers both, and nothing below it needs to ask after every byte.
type source struct {
	r   *bufio.Reader
	pos uint64 // bytes read
	end uint64 // where the current section ends
}

// readError is the reader's own failure.
type readError struct{ error }

func newSource(r io.Reader) *source {
	return &source{r: bufio.NewReaderSize(io.LimitReader(r, MaxModule+1), 64<<10), end: MaxModule}
}

// byte reads one byte.
func (s *source) byte() byte {
	if s.pos >= s.end {
		s.cut()
	}
	b, err := s.r.ReadByte()
	if err != nil {
		s.failed(err)
	}
	s.pos++
	return b
}

// cut refuses bytes that go on where they should have ended.
func (s *source) cut() {
	if s.end == MaxModule {
		refuse("larger than %d MiB", MaxModule>>20)
	}
	refuse("malformed: something goes on beyond the end of its section at byte %d", s.end)
}

func (s *source) failed(err error) {
	if errors.Is(err, io.EOF) {
		refuse("truncated: ends after %d bytes, in the middle of something", s.pos)
	}
	panic(readError{err})
}

// atEnd reports whether there is nothing more to read at all.
func (s *source) atEnd() bool {
	_, err := s.r.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		panic(readError{err})
	}
	return err != nil
}

// skip passes over n bytes.
func (s *source) skip(n uint64) {
	if n > s.end-s.pos {
		s.cut()
	}
	done, err := s.r.Discard(int(n))
	s.pos += uint64(done)
	if err != nil {
		s.failed(err)
	}
}

// leb reads an unsigned LEB128 number of at most bits bits.
func (s *source) leb(bits uint) uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := s.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			if left := bits - shift; left < 7 && b>>left != 0 {
				refuse("malformed: number too large at byte %d", s.pos)
			}
			return v
		}
		if shift+7 >= bits {
			refuse("malformed: number too long at byte %d", s.pos)
		}
	}
}

func (s *source) u32() uint32 { return uint32(s.leb(32)) }

// signed passes over a signed LEB128 number of at most bits bits. Whether its last bits
// agree with the sign is for the compiler to say.
func (s *source) signed(bits uint) {
	for n := uint(0); s.byte()&0x80 != 0; n += 7 {
		if n+7 >= bits {
			refuse("malformed: number too long at byte %d", s.pos)
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
