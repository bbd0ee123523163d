package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Parent and child take turns on one stream: the parent sends an input, then answers what
// the child asks for until the child reports. So neither needs a goroutine for it, and
// neither can wait for the other in a circle.
//
// A frame is its length (4 bytes, little-endian, kind included), its kind, its payload.
const (
	kindSetup  = 'S' // → JSON setup, once
	kindReady  = 'r' // ← program loaded, doors locked: JSON list of what could not be locked
	kindFailed = 'f' // ← the program could not be loaded: JSON failure
	kindInput  = 'I' // → an input with the beginning of its stdin
	kindWant   = 'w' // ← the guest wants more stdin
	kindStdin  = 'i' // → more stdin; empty at its end
	kindOutput = 'o' // ← some stdout
	kindReport = 'R' // ← the end of an input, with the rest of its stdout
)

const (
	chunkSize = 256 << 10 // of a streamed stdin
	inlineMax = 64 << 10  // of stdin in its input, and of stdout between frames
	frameMax  = 2 << 20
	frameHead = 5
)

var errFrame = errors.New("malformed frame")

// newFrame starts a frame of the kind in buf's memory.
func newFrame(buf []byte, kind byte) []byte { return append(buf[:0], 0, 0, 0, 0, kind) }

// sealFrame writes the length of the finished frame into its head.
func sealFrame(f []byte) []byte {
	binary.LittleEndian.PutUint32(f, uint32(len(f)-4))
	return f
}

// readFrame reads one frame into buf's memory.
func readFrame(r io.Reader, buf []byte) (kind byte, payload, grown []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, buf, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > frameMax {
		return 0, nil, buf, fmt.Errorf("%w of %d bytes", errFrame, n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	payload = buf[:n-1]
	_, err = io.ReadFull(r, payload)
	return head[4], payload, buf, err
}

func putUint(f []byte, v uint64) []byte { return binary.AppendUvarint(f, v) }
func putBytes(f, b []byte) []byte       { return append(putUint(f, uint64(len(b))), b...) }
func putText(f []byte, s string) []byte { return append(putUint(f, uint64(len(s))), s...) }

// fields takes a payload apart. After the first field that is not there, all are zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) uint() uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.rest, f.bad = nil, true
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) bytes() []byte {
	n := f.uint()
	if n > uint64(len(f.rest)) {
		f.rest, f.bad = nil, true
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) text() string { return string(f.bytes()) }
