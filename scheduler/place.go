package scheduler

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/shoalgrid/shoal/jobs"
)

// Keepers is r: how many nodes keep each shard (DESIGN §3, Placement).
const Keepers = 5

// Key is the point in the DHT's key space whose nearest nodes keep a shard. s tells places of one
// shard apart; there is one, 0 (RATIONALE, "Why has a shard one place?").
func Key(job jobs.JobID, shard uint32, s uint8) [32]byte {
	h := sha256.New()
	h.Write([]byte("shoal/shard/1"))
	h.Write(job[:])
	h.Write(binary.BigEndian.AppendUint32(nil, shard))
	h.Write([]byte{s})
	return [32]byte(h.Sum(nil))
}

// Majority is how many of a set of n keepers make one: 1 of 1, 2 of 2, 2 of 3, 3 of 5.
func Majority(n int) int { return n/2 + 1 }
