package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/shoalgrid/shoal/jobs"
)

// Schema is the first thing in a file.
const Schema = "shoal.evidence/1"

// Bounds of a file's parts.
const (
	MaxSection = 8 << 20 // bytes: more than eight votes of one unit can take
	MaxCustody = 4096    // records of who has custody of one shard
	aim        = 1 << 20 // bytes of a section that more units are not added to
)

// opening is the first section.
type opening struct {
	_      struct{} `cbor:",toarray"`
	Schema string
	Head   []byte
}

// shardPart begins a shard.
type shardPart struct {
	_        struct{} `cbor:",toarray"`
	Shard    uint32
	Manifest []byte
	Proof    []jobs.Digest
	Custody  []jobs.Batch // in the order of compareBatches
}

// chunk is what proves some consecutive units.
type chunk struct {
	_       struct{} `cbor:",toarray"`
	First   uint16
	Count   uint16
	Batches []jobs.Batch   // in the order of compareBatches
	Tuples  [][]jobs.Tuple // in the order of their digests
}

// A byte string's head is its major type and the shortest form of its length (RFC 8949 §3).
const (
	byteString = 2 << 5
	oneByte    = 24
	twoBytes   = 25
	fourBytes  = 26
)

func writeSection(w io.Writer, v any) error {
	body := jobs.Encode(v)
	if len(body) > MaxSection {
		return fmt.Errorf("evidence: a section of %d bytes, at most %d are read", len(body), MaxSection)
	}
	return writeFrame(w, body)
}

func writeFrame(w io.Writer, body []byte) error {
	var head []byte
	switch n := len(body); {
	case n < oneByte:
		head = []byte{byteString | byte(n)}
	case n < 1<<8:
		head = []byte{byteString | oneByte, byte(n)}
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16([]byte{byteString | twoBytes}, uint16(n))
	default:
		head = binary.BigEndian.AppendUint32([]byte{byteString | fourBytes}, uint32(n))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// frameSize is how many bytes of a file a section of so many takes.
func frameSize(body int) uint64 {
	head := 5
	switch {
	case body < oneByte:
		head = 1
	case body < 1<<8:
		head = 2
	case body < 1<<16:
		head = 3
	}
	return uint64(head + body)
}

var (
	errFraming = errors.New("not a canonical byte string")
	errLong    = fmt.Errorf("longer than the %d bytes that a section may have", MaxSection)
	errCut     = errors.New("the file ends within it")
)

// readSection reads one section's bytes. io.EOF is the file's end, before any byte of it.
func readSection(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return nil, err
	}
	n, more := uint32(head[0]&^byteString), 0
	switch {
	case head[0]&^0x1f != byteString || n > fourBytes:
		return nil, errFraming
	case n >= oneByte:
		more = 1 << (n - oneByte)
		if _, err := io.ReadFull(r, head[1:1+more]); err != nil {
			return nil, cut(err)
		}
		var long [4]byte
		copy(long[4-more:], head[1:1+more])
		n = binary.BigEndian.Uint32(long[:])
	}
	switch {
	case more == 1 && n < oneByte, more == 2 && n < 1<<8, more == 4 && n < 1<<16:
		return nil, errFraming
	case n > MaxSection:
		return nil, errLong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, cut(err)
	}
	return body, nil
}

// cut says that a file is too short, where that is the error.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}
