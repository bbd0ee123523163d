package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// The index of the blobs is five buckets, all of fixed-length binary entries:
//
//	blobs    digest            → entry: state, size, when last added or touched
//	lists    digest            → the block digests of a blob of more than one block
//	blocks   block ‖ digest    → the block's number in that blob (whole blobs of more than one)
//	holds    length of owner ‖ owner ‖ digest → hold: until when, size
//	heldby   digest ‖ owner    → hold (the same, for the other direction)
const (
	bucketBlobs  = "blobs"
	bucketLists  = "lists"
	bucketBlocks = "blocks"
	bucketHolds  = "holds"
	bucketHeldBy = "heldby"
)

const digestLen = len(jobs.Digest{})

var errIndex = errors.New("damaged index entry")

// state is how much of a blob is here.
type state byte

const (
	whole   state = 1
	partial state = 2
)

// entry says what is here of one blob.
type entry struct {
	state state
	size  uint64
	used  time.Time // to the second
}

func (e entry) encode() []byte {
	b := append(make([]byte, 0, 17), byte(e.state))
	b = binary.BigEndian.AppendUint64(b, e.size)
	return binary.BigEndian.AppendUint64(b, uint64(e.used.Unix()))
}

func decodeEntry(b []byte) (entry, error) {
	if len(b) != 17 || state(b[0]) != whole && state(b[0]) != partial {
		return entry{}, fmt.Errorf("%w of a blob: %x", errIndex, b)
	}
	return entry{
		state: state(b[0]),
		size:  binary.BigEndian.Uint64(b[1:]),
		used:  time.Unix(int64(binary.BigEndian.Uint64(b[9:])), 0),
	}, nil
}

// hold is one owner's claim on one blob.
type hold struct {
	until time.Time // to the second
	size  uint64
}

func (h hold) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(h.until.Unix()))
	return binary.BigEndian.AppendUint64(b, h.size)
}

func decodeHold(b []byte) (hold, error) {
	if len(b) != 16 {
		return hold{}, fmt.Errorf("%w of a hold: %x", errIndex, b)
	}
	return hold{
		until: time.Unix(int64(binary.BigEndian.Uint64(b)), 0),
		size:  binary.BigEndian.Uint64(b[8:]),
	}, nil
}

// holdKey is the key of a hold among its owner's.
func holdKey(owner string, d jobs.Digest) []byte {
	return append(ownerPrefix(owner), d[:]...)
}

// ownerPrefix begins with the owner's length, so that none is a prefix of another's.
func ownerPrefix(owner string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(owner))), owner...)
}

func splitHoldKey(k []byte) (owner string, d jobs.Digest, err error) {
	end := len(k) - digestLen
	if end < 3 || int(binary.BigEndian.Uint16(k)) != end-2 {
		return "", d, fmt.Errorf("%w: key of a hold: %x", errIndex, k)
	}
	return string(k[2:end]), jobs.Digest(k[end:]), nil
}

// heldByKey is the key of the same hold among its blob's.
func heldByKey(d jobs.Digest, owner string) []byte { return append(d[:], owner...) }

func splitHeldByKey(k []byte) (d jobs.Digest, owner string, err error) {
	if len(k) <= digestLen {
		return d, "", fmt.Errorf("%w: key of a holder: %x", errIndex, k)
	}
	return jobs.Digest(k[:digestLen]), string(k[digestLen:]), nil
}

// blockKey is the key of a block of a blob.
func blockKey(block, blob jobs.Digest) []byte { return append(block[:], blob[:]...) }

func encodeBlock(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

// decodeBlock reads which block of which blob an entry of the block index names.
func decodeBlock(k, v []byte) (blob jobs.Digest, i uint32, err error) {
	if len(k) != 2*digestLen || len(v) != 4 {
		return blob, 0, fmt.Errorf("%w of a block: %x", errIndex, k)
	}
	return jobs.Digest(k[digestLen:]), binary.BigEndian.Uint32(v), nil
}

// blockDigests cuts a list into the digests it is made of.
func blockDigests(list []byte) []jobs.Digest {
	ds := make([]jobs.Digest, len(list)/digestLen)
	for i := range ds {
		ds[i] = jobs.Digest(list[i*digestLen:])
	}
	return ds
}

// joinDigests is the list made of the digests.
func joinDigests(ds []jobs.Digest) []byte {
	list := make([]byte, 0, len(ds)*digestLen)
	for _, d := range ds {
		list = append(list, d[:]...)
	}
	return list
}

// blockSize is the size of block i of a blob.
func blockSize(size uint64, i int) uint64 {
	start := uint64(i) * jobs.BlockSize
	if start > size {
		return 0
	}
	return min(jobs.BlockSize, size-start)
}
