package jobs

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
)

// Digest is a SHA-256 sum. It names programs, inputs, outputs, jobs and records.
type Digest [sha256.Size]byte

// UnmarshalCBOR implements cbor.Unmarshaler: left to reflection, 32 bytes are 32 assignments.
func (d *Digest) UnmarshalCBOR(item []byte) error { return fill(d[:], item) }

// fill copies a byte string of exactly the length of what it is for.
func fill(to, item []byte) error {
	if len(item) != 2+len(to) || item[0] != 0x58 || int(item[1]) != len(to) {
		return fmt.Errorf("not %d bytes", len(to))
	}
	copy(to, item[2:])
	return nil
}

// JobID is the digest of a job's unsigned head; its text form is lower-case base32.
type JobID Digest

// UnmarshalCBOR implements cbor.Unmarshaler.
func (id *JobID) UnmarshalCBOR(item []byte) error { return fill(id[:], item) }

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Sum returns the SHA-256 digest of the concatenated parts.
func Sum(parts ...[]byte) Digest {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return Digest(h.Sum(nil))
}

// String is the digest in hexadecimal, as sha256sum prints it.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is the zero value, which names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads the hexadecimal form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("not a digest: %.80q", s)
	}
	copy(d[:], b)
	return d, nil
}

// String is the full job id, 52 characters of lower-case base32.
func (id JobID) String() string { return base32Lower.EncodeToString(id[:]) }

// Short is the first 8 characters of the id: what people see.
func (id JobID) Short() string { return id.String()[:8] }

// JobIDLen is the length of a full job id in text.
const JobIDLen = 52

// ParseJobID reads a full job id in its text form.
func ParseJobID(s string) (JobID, error) {
	var id JobID
	b, err := base32Lower.DecodeString(s)
	if err != nil || len(b) != len(id) || base32Lower.EncodeToString(b) != s {
		return id, fmt.Errorf("not a job id: %.80q", s)
	}
	copy(id[:], b)
	return id, nil
}

// NodeID is a node's Ed25519 public key. Its text form is the libp2p peer ID of that key.
type NodeID [ed25519.PublicKeySize]byte

// UnmarshalCBOR implements cbor.Unmarshaler.
func (n *NodeID) UnmarshalCBOR(item []byte) error { return fill(n[:], item) }

// An Ed25519 libp2p peer ID is this identity-multihash prefix followed by the key
// (libp2p peer-ids specification, "Ed25519").
var peerIDPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// Bytes is the binary libp2p peer ID of the node: what distances in the DHT are computed from.
func (n NodeID) Bytes() []byte { return append(bytes.Clone(peerIDPrefix), n[:]...) }

// String is the libp2p peer ID in base58, beginning with "12D3Koo".
func (n NodeID) String() string { return base58.Encode(n.Bytes()) }

// Short is the peer ID abbreviated for people.
func (n NodeID) Short() string {
	s := n.String()
	return s[:4] + "…" + s[len(s)-4:]
}

// IsZero reports whether n is the zero value, which is nobody.
func (n NodeID) IsZero() bool { return n == NodeID{} }

var errNotEd25519 = errors.New("not the peer ID of an Ed25519 key")

// NodeIDFromBytes reads a binary libp2p peer ID. Other key types than Ed25519 are refused.
func NodeIDFromBytes(b []byte) (NodeID, error) {
	var n NodeID
	if len(b) != len(peerIDPrefix)+len(n) || !bytes.HasPrefix(b, peerIDPrefix) {
		return n, errNotEd25519
	}
	copy(n[:], b[len(peerIDPrefix):])
	return n, nil
}

// ParseNodeID reads the text form of a peer ID.
func ParseNodeID(s string) (NodeID, error) {
	if len(s) > 128 {
		return NodeID{}, errNotEd25519
	}
	b, err := base58.Decode(s)
	if err != nil {
		return NodeID{}, fmt.Errorf("not a peer ID: %.80q", s)
	}
	return NodeIDFromBytes(b)
}
