// Package link is the line between the sandbox and its children: a stream of frames, and what
// is in them.
//
// Sandbox and child take turns: the sandbox sends an input, then answers what the child asks
// for until the child reports. So neither needs a goroutine for it, and neither can wait for
// the other in a circle.
package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The kinds of frames. A frame is its length (4 bytes, little-endian, kind included), its
// kind, its payload.
const (
	KindSetup  = 'S' // → Setup in JSON, once
	KindReady  = 'r' // ← Ready in JSON: program loaded, doors locked
	KindFailed = 'f' // ← Failure in JSON: the program could not be loaded
	KindInput  = 'I' // → an input with the beginning of its stdin
	KindWant   = 'w' // ← the guest wants more stdin
	KindStdin  = 'i' // → more stdin; empty at its end
	KindOutput = 'o' // ← some stdout
	KindReport = 'R' // ← the end of an input, with the rest of its stdout
	KindState  = 's' // → after an input that says so; ← when a guest has left something: a part of its state
)

// Bounds of frames.
const (
	ChunkSize = 256 << 10 // of a streamed stdin
	InlineMax = 64 << 10  // of stdin in its input, and of stdout between frames
	StatePart = 1 << 20   // of a state in a frame
	StateMax  = 17 << 20  // of a state
	FrameMax  = 2 << 20
	FrameHead = 5 // bytes of length and kind
)

// ErrFrame is what neither side should ever send.
var ErrFrame = errors.New("malformed frame")

// NewFrame starts a frame of the kind in buf's memory.
func NewFrame(buf []byte, kind byte) []byte { return append(buf[:0], 0, 0, 0, 0, kind) }

// Seal writes the length of the finished frame into its head.
func Seal(f []byte) []byte {
	binary.LittleEndian.PutUint32(f, uint32(len(f)-4))
	return f
}

// ReadFrame reads one frame into buf's memory.
func ReadFrame(r io.Reader, buf []byte) (kind byte, payload, grown []byte, err error) {
	var head [FrameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, buf, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > FrameMax {
		return 0, nil, buf, fmt.Errorf("%w of %d bytes", ErrFrame, n)
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
