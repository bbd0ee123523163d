package jobs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

func sortEntries(es []Entry) {
	slices.SortStableFunc(es, func(a, b Entry) int { return cmp.Compare(a.Index, b.Index) })
}

// Tuple is what results are compared by, for one input.
type Tuple struct {
	_       struct{} `cbor:",toarray"`
	Outcome Outcome
	Exit    uint32 // exit code, with OK (0) and Exit
	Output  Digest // names standard output, as a Blob names bytes; zero unless OK
	Size    uint64 // bytes of standard output; zero unless OK
	Fuel    uint64 // instructions executed; 0 in profile 0
}

// MaxStderr is how much of each input's standard error is kept: its end.
const MaxStderr = 4 << 10

const (
	tuplesDomain = "shoal/tuples/1\x00"
	sealDomain   = "shoal/seal/1\x00"
)

// TuplesDigest names the tuples of a unit's inputs, in order.
func TuplesDigest(ts []Tuple) Digest { return Sum([]byte(tuplesDomain), Encode(ts)) }

// Commit is what a seal shows of a result: nothing, until the nonce is known.
func Commit(job JobID, shard uint32, unit uint16, worker NodeID, tuples, nonce Digest) Digest {
	var n [6]byte
	binary.BigEndian.PutUint32(n[:4], shard)
	binary.BigEndian.PutUint16(n[4:], unit)
	return Sum([]byte(sealDomain), job[:], n[:], worker[:], tuples[:], nonce[:])
}

// PayloadHead is the first part of a unit's payload. The outputs follow it, one after the
// other, each as long as its tuple says.
type PayloadHead struct {
	_      struct{} `cbor:",toarray"`
	Tuples []Tuple
	Stderr [][]byte // per input, its end; not compared; empty when all are
}

// MaxPayloadHead bounds the encoded head of a payload: 4,096 tuples and their stderr.
const MaxPayloadHead = 4096*(80+MaxStderr) + 64

// NewPayloadHead encodes a payload's head, with its length in front.
func NewPayloadHead(ts []Tuple, stderr [][]byte) []byte {
	if !slices.ContainsFunc(stderr, func(b []byte) bool { return len(b) > 0 }) {
		stderr = nil
	}
	body := Encode(PayloadHead{Tuples: ts, Stderr: stderr})
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// ReadPayloadHead reads a payload's head and leaves r where the outputs begin.
func ReadPayloadHead(r io.Reader, inputs int) (*PayloadHead, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if int64(n) > int64(inputs)*(80+MaxStderr)+64 {
		return nil, errors.New("payload: head too large")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	var h PayloadHead
	if err := Decode(body, int(n), &h); err != nil {
		return nil, err
	}
	if len(h.Tuples) != inputs || len(h.Stderr) != 0 && len(h.Stderr) != inputs {
		return nil, fmt.Errorf("payload of %d tuples for %d inputs", len(h.Tuples), inputs)
	}
	for i := range h.Tuples {
		if err := h.Tuples[i].Validate(); err != nil {
			return nil, err
		}
	}
	for _, e := range h.Stderr {
		if len(e) > MaxStderr {
			return nil, errors.New("payload: stderr too long")
		}
	}
	return &h, nil
}

// VerifyPayload reads a whole payload and checks that every output is the one its tuple names.
func VerifyPayload(r io.Reader, inputs int) (*PayloadHead, error) {
	h, err := ReadPayloadHead(r, inputs)
	if err != nil {
		return nil, err
	}
	for i := range h.Tuples {
		t := &h.Tuples[i]
		if t.Outcome != OK {
			continue
		}
		sum := NewBlobHasher()
		if _, err := io.CopyN(sum, r, int64(t.Size)); err != nil {
			return nil, fmt.Errorf("payload: output %d: %w", i, err)
		}
		if sum.Blob().Digest != t.Output {
			return nil, fmt.Errorf("payload: output %d is not what its tuple names", i)
		}
	}
	if n, _ := io.CopyN(io.Discard, r, 1); n != 0 {
		return nil, errors.New("payload: bytes after the last output")
	}
	return h, nil
}

// Validate checks what can be checked of a tuple alone.
func (t *Tuple) Validate() error {
	switch {
	case !t.Outcome.Valid():
		return fmt.Errorf("unknown outcome %d", t.Outcome)
	case t.Outcome != OK && (t.Size != 0 || !t.Output.IsZero()):
		return errors.New("a failure has no output")
	case t.Outcome != Exit && t.Exit != 0:
		return errors.New("exit code with another outcome")
	case t.Size > MaxOutput:
		return errors.New("output too large")
	}
	return nil
}

// StderrOf is the end of one input's standard error.
func (h *PayloadHead) StderrOf(i int) []byte {
	if i < len(h.Stderr) {
		return h.Stderr[i]
	}
	return nil
}
