package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/multiformats/go-varint"
)

// A frame on the wire is its length as an unsigned varint in its shortest form, then that
// many bytes. The length is at least one: a stream of empty frames would cost its sender
// nothing and us a call each.

// frameStep is how much memory a frame gets before its next bytes have arrived, so that a
// length alone makes nobody allocate.
const frameStep = 64 << 10

var (
	errFrameEmpty = errors.New("empty frame")
	errFrameSize  = errors.New("frame too long")
	errFrameForm  = errors.New("frame length not in shortest form")
)

// badFrame reports whether an error of readFrame is the sender's fault beyond doubt.
func badFrame(err error) bool {
	return errors.Is(err, errFrameEmpty) || errors.Is(err, errFrameSize) || errors.Is(err, errFrameForm)
}

// frame is the frame of the concatenated parts.
func frame(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, binary.MaxVarintLen64+n)
	b = binary.AppendUvarint(b, uint64(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// readFrame reads one frame of at most limit bytes. It asks reserve before it takes memory.
// io.EOF means that the stream ended between frames.
func readFrame(r *bufio.Reader, limit int, reserve func(int) error) ([]byte, error) {
	n, err := frameLength(r, limit)
	if err != nil {
		return nil, err
	}
	var frame []byte
	for len(frame) < n {
		step := min(n-len(frame), max(frameStep, len(frame)))
		if err := reserve(step); err != nil {
			return nil, fmt.Errorf("memory for a frame: %w", err)
		}
		at := len(frame)
		frame = slices.Grow(frame, step)[:at+step]
		if _, err := io.ReadFull(r, frame[at:]); err != nil {
			return nil, noEOF(err)
		}
	}
	return frame, nil
}

func frameLength(r *bufio.Reader, limit int) (int, error) {
	if _, err := r.Peek(1); err != nil {
		return 0, err
	}
	n, err := varint.ReadUvarint(r)
	switch {
	case errors.Is(err, varint.ErrNotMinimal):
		return 0, errFrameForm
	case errors.Is(err, varint.ErrOverflow):
		return 0, errFrameSize
	case err != nil:
		return 0, noEOF(err)
	case n == 0:
		return 0, errFrameEmpty
	case n > uint64(limit):
		return 0, fmt.Errorf("%w: %d bytes of at most %d", errFrameSize, n, limit)
	}
	return int(n), nil
}

// noEOF makes an end of stream inside a frame an error that is not io.EOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
