// Package identity keeps the node's one Ed25519 key. The key is the node's name, so it is
// made once, never replaced, and never guessed at: a key file that is readable by others,
// cut short or changed is refused, and so is a home that has lost its key.
//
// The key lies in the file "key" of the home, as PKCS #8 PEM under a line with the node's
// id, which any change of the key would contradict.
package identity

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/shoalgrid/shoal/jobs"
)

// Identity is a node's key. Others ask it to sign; it does not hand the key around.
type Identity struct {
	key    ed25519.PrivateKey
	secret [sha256.Size]byte // what secrets are derived from; nothing else is
}

// New is the identity of a key.
func New(key ed25519.PrivateKey) *Identity {
	id := &Identity{key: key}
	id.secret = derive(key.Seed(), "shoal/secret/1", nil)
	return id
}

// ID is the node's name: its public key.
func (id *Identity) ID() jobs.NodeID { return jobs.NodeID(id.key.Public().(ed25519.PublicKey)) }

// Sign signs the message.
func (id *Identity) Sign(msg []byte) []byte { return ed25519.Sign(id.key, msg) }

// Key is the private key itself, for internal/p2p alone: libp2p must have it for the
// handshakes of its connections.
func (id *Identity) Key() ed25519.PrivateKey { return id.key }

// Secret is 32 bytes that only this node can compute, always the same for the same label
// and parts, and unrelated for any others. Where the parts are cut matters.
func (id *Identity) Secret(label string, parts ...[]byte) [32]byte {
	return derive(id.secret[:], label, parts)
}

func derive(key []byte, label string, parts [][]byte) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, key)
	for _, part := range append([][]byte{[]byte(label)}, parts...) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	mac.Sum(sum[:0])
	return sum
}
