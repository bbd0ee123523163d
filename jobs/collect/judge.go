package collect

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// On disk: a pair for each donor, unit and job that is judged here.
const (
	donorPrefix     = 'd' // what is known of a donor, from all jobs
	standingPrefix  = 's' // where a unit stands
	suspicionPrefix = 'q' // what a job has seen of lies
	finalPrefix     = 'f' // a job whose answers are final
)

// Judge is what a submitter judges with at the levels that only its own key can finish: its
// record of donors, and its secret. The collectors of all its jobs share it.
type Judge struct {
	disk    disk.Disk
	network string
	signer  jobs.Signer
	secret  []byte

	mu   sync.Mutex // of book, and of every acceptance that leans on it
	book *trust.Book
}

const secretDomain = "shoal/judge/1\x00"

// NewJudge makes the judge of this node's own jobs, and takes up its record of donors.
func NewJudge(d disk.Disk, network string, s jobs.Signer) (*Judge, error) {
	// Ed25519 signs the same message the same way: a secret that every machine with the key has,
	// and nobody else.
	secret := jobs.Sum([]byte(secretDomain), s.Sign([]byte(secretDomain)))
	j := &Judge{disk: d, network: network, signer: s, secret: secret[:], book: trust.NewBook()}
	return j, d.Scan([]byte{donorPrefix}, func(key, value []byte) error {
		if len(key) != 1+len(jobs.NodeID{}) {
			return fmt.Errorf("record of a donor under a key of %d bytes", len(key))
		}
		return j.book.Restore(jobs.NodeID(key[1:]), value)
	})
}

// Known is what is known of some donors.
func (j *Judge) Known(ids []jobs.NodeID) []trust.Donor {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]trust.Donor, len(ids))
	for i, id := range ids {
		out[i] = j.book.Get(id)
	}
	return out
}

// begin takes up the judging of a job where it was left.
func (j *Judge) begin(job *jobs.Job) (*trial, error) {
	h := &job.Head
	coin := trust.NewCoin(j.secret, job.ID)
	t := &trial{Judge: j, lease: h.LeaseTime(), quiet: map[uint32]quiet{}, idle: map[uint32]quiet{}, ours: map[uint32]bool{}, voters: map[jobs.NodeID]bool{}, guilty: map[jobs.NodeID]bool{}, looked: map[uint32]glance{}}
	j.mu.Lock()
	defer j.mu.Unlock()
	t.accept = trust.NewAcceptance(trust.RuleOf(h.Policy), trust.PlanOf(h.Policy.Level), coin, j.book, int(h.Units))
	err := j.disk.Scan(jobKey(standingPrefix, job.ID), func(key, value []byte) error {
		var s trust.Standing
		if err := jobs.Decode(value, protocol.MaxMessage, &s); err != nil {
			return err
		}
		ref := protocol.ShardRef{Job: job.ID, Shard: binary.BigEndian.Uint32(key[33:])}
		return t.accept.RestoreUnit(unitOf(ref, binary.BigEndian.Uint16(key[37:])), s)
	})
	if err != nil {
		return nil, fmt.Errorf("where the units of job %s stand: %w", job.ID.Short(), err)
	}
	raw, ok, err := j.disk.Get(jobKey(suspicionPrefix, job.ID))
	if err != nil || !ok {
		return t, err
	}
	s, err := trust.ReadSuspicion(raw)
	if err != nil {
		return nil, fmt.Errorf("what job %s has seen of lies: %w", job.ID.Short(), err)
	}
	t.accept.Restore(s)
	return t, nil
}
