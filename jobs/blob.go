package jobs

import (
	"crypto/sha256"
	"hash"
)

// BlockSize is the size of the blocks that blobs travel in.
const BlockSize = 1 << 20

// MaxBlob is the size of the largest blob: its list of block digests is one block.
const MaxBlob = BlockSize / sha256.Size * BlockSize

// Blob names some bytes. The digest of up to one block is the SHA-256 of the bytes; of
// more, the SHA-256 of the concatenated SHA-256 digests of its blocks, so that every
// block can be checked as it arrives from whoever sends it.
type Blob struct {
	_      struct{} `cbor:",toarray"`
	Digest Digest
	Size   uint64
}

// Blocks is the number of blocks the blob travels in: at least one.
func (b Blob) Blocks() int {
	if b.Size == 0 {
		return 1
	}
	return int((b.Size + BlockSize - 1) / BlockSize)
}

// BlobHasher computes a blob's name from its bytes as they are written. Use NewBlobHasher.
type BlobHasher struct {
	block hash.Hash
	in    int // bytes in the current block
	list  []byte
	size  uint64
}

// NewBlobHasher returns a hasher that has seen no bytes.
func NewBlobHasher() *BlobHasher { return &BlobHasher{block: sha256.New()} }

// Write adds bytes. It never fails.
func (h *BlobHasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if h.in == BlockSize {
			h.list = h.block.Sum(h.list)
			h.block.Reset()
			h.in = 0
		}
		k := min(len(p), BlockSize-h.in)
		h.block.Write(p[:k])
		h.in += k
		p = p[k:]
	}
	h.size += uint64(n)
	return n, nil
}

// List is the concatenation of the block digests of what was written.
func (h *BlobHasher) List() []byte { return h.block.Sum(append([]byte(nil), h.list...)) }

// Blob names what was written so far.
func (h *BlobHasher) Blob() Blob {
	list := h.List()
	if len(list) == sha256.Size {
		return Blob{Digest: Digest(list), Size: h.size}
	}
	return Blob{Digest: Sum(list), Size: h.size}
}

// BlobOf names the given bytes.
func BlobOf(b []byte) Blob {
	h := NewBlobHasher()
	h.Write(b)
	return h.Blob()
}
