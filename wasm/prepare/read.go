package prepare

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// reader walks the bytes of one section of the original. What it cannot read it refuses, by a panic that Module turns
// into an error: the readers nest deep, and each has only this one way to fail.
type reader struct {
	section string
	all     []byte // the whole original up to the end of what may be read here
	pos     int
}

func (r *reader) refuse(format string, args ...any) {
	r.refuseAt(r.pos, format, args...)
}

func (r *reader) refuseAt(offset int, format string, args ...any) {
	panic(&Refused{Section: r.section, Offset: offset, Reason: fmt.Sprintf(format, args...)})
}

// magic reads what every module begins with.
func (r *reader) magic() {
	if len(r.all) < len(magic) || string(r.all[:len(magic)]) != magic {
		r.refuse("not a WebAssembly 1 module")
	}
	r.pos = len(magic)
}

func (r *reader) done() bool { return r.pos >= len(r.all) }

func (r *reader) byte() byte {
	if r.pos >= len(r.all) {
		r.refuse("unexpected end")
	}
	b := r.all[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.all)-r.pos) {
		r.refuse("unexpected end: %d bytes wanted, %d left", n, len(r.all)-r.pos)
	}
	b := r.all[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// sub gives a reader of the next n bytes, and steps over them.
func (r *reader) sub(n uint32) reader {
	start := r.pos
	r.bytes(n)
	return reader{section: r.section, all: r.all[:r.pos], pos: start}
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	if r.pos < len(r.all) && r.all[r.pos] < 0x80 {
		r.pos++
		return uint32(r.all[r.pos-1])
	}
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			r.refuse("number does not fit 32 bits")
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 number of the given width.
func (r *reader) signed(width int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if last := width - shift; last <= 7 { // the last byte that is allowed: its spare bits repeat the sign
			if rest := int8(b<<1) >> last; b >= 0x80 || (rest != 0 && rest != -1) {
				r.refuse("number does not fit %d bits", width)
			}
		}
		if b < 0x80 {
			if shift+7 < 64 {
				v = v << (57 - shift) >> (57 - shift)
			}
			return v
		}
	}
}

func (r *reader) name() string {
	start := r.pos
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.refuseAt(start, "name is not UTF-8")
	}
	return string(b)
}

// appendU32 writes v as shortest LEB128.
func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

// appendSigned writes v as shortest signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && low < 0x40) || (v == -1 && low >= 0x40) {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
