package trust

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/shoalgrid/shoal/jobs"
)

// Coin decides by lot what only the submitter can foresee: a function of its secret, so that it
// survives restarts and is the same on every machine that has the key.
type Coin struct {
	secret []byte
	job    jobs.JobID
}

// NewCoin makes the coin of a job. The secret is the submitter's and is shown to nobody.
func NewCoin(secret []byte, job jobs.JobID) Coin { return Coin{secret: secret, job: job} }

const (
	coinDomain = "shoal/audit/1\x00"
	drawDomain = "shoal/draw/1\x00"
)

// Lots that are drawn for a unit; each has its own coin.
const (
	auditLot = iota
	lateLot
)

// toss gives a number in [0, 1) for a lot about a unit.
func (c Coin) toss(unit uint32, lot byte) float64 {
	m := hmac.New(sha256.New, c.secret)
	m.Write([]byte(coinDomain))
	m.Write(c.job[:])
	var n [5]byte
	binary.BigEndian.PutUint32(n[:], unit)
	n[4] = lot
	m.Write(n[:])
	return float64(binary.BigEndian.Uint64(m.Sum(nil))>>11) / (1 << 53)
}

// Secret is what the submitter adds to the seed of a shard's draw of a number: nobody else can know
// it before it is said, and it is the same from every machine that has the key.
func (c Coin) Secret(shard uint32, number uint16) [32]byte {
	m := hmac.New(sha256.New, c.secret)
	m.Write([]byte(drawDomain))
	m.Write(c.job[:])
	m.Write(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, shard), number))
	return [32]byte(m.Sum(nil))
}
