package collect

import (
	"context"
	"encoding/binary"
	"io"
	"maps"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// On disk, beside each accepted unit: what proves its verdict, and the records that many units'
// proofs lean on, each once.
const (
	proofPrefix  = 'e'
	recordPrefix = 'r'
)

func proofKey(ref protocol.ShardRef, unit uint16) []byte {
	k := unitKey(ref, unit)
	k[0] = proofPrefix
	return k
}

func recordKey(ref protocol.ShardRef, id []byte) []byte {
	b := append([]byte{recordPrefix}, ref.Job[:]...)
	return append(binary.BigEndian.AppendUint32(b, ref.Shard), id...)
}

// proving gathers what proves some units of one shard.
type proving struct {
	ref    protocol.ShardRef
	ledger *scheduler.Ledger
	seen   map[jobs.Digest]bool
	pairs  []disk.Pair
}

func prove(ref protocol.ShardRef, l *scheduler.Ledger) *proving {
	return &proving{ref: ref, ledger: l, seen: map[jobs.Digest]bool{}}
}

// unit adds the proof of one unit, and what it leans on.
func (p *proving) unit(n uint16) {
	if len(p.pairs) == 0 {
		p.records(evidence.Custody(p.ledger))
	}
	proof := evidence.Of(p.ledger, int(n))
	p.records(proof.Grants(p.ledger))
	p.pairs = append(p.pairs, disk.Pair{Key: proofKey(p.ref, n), Value: proof.Encode()})
}

func (p *proving) records(rs []*jobs.Record) {
	for _, r := range rs {
		if !p.seen[r.ID] {
			p.seen[r.ID] = true
			p.pairs = append(p.pairs, disk.Pair{Key: recordKey(p.ref, r.ID[:]), Value: jobs.Encode(jobs.Batches([]*jobs.Record{r})[0])})
		}
	}
}

// Evidence writes the records that prove what was accepted. Units without a verdict stand in it
// as such.
func (c *Collector) Evidence(ctx context.Context, w io.Writer) error {
	e, err := evidence.Begin(w, c.job)
	if err != nil {
		return err
	}
	for shard := range c.job.Head.Shards() {
		if err := c.shardEvidence(ctx, e, protocol.ShardRef{Job: c.job.ID, Shard: shard}); err != nil {
			return err
		}
	}
	return e.End()
}

func (c *Collector) shardEvidence(ctx context.Context, e *evidence.Writer, ref protocol.ShardRef) error {
	m, err := c.listed(ctx, ref)
	if err != nil {
		return err
	}
	custody, grants, err := c.leantOn(ref)
	if err != nil {
		return err
	}
	if err := e.Shard(jobs.Encode(m.manifest), m.path, custody, grants); err != nil {
		return err
	}
	for n := range m.manifest.Units {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, ok, err := c.cfg.Disk.Get(proofKey(ref, uint16(n)))
		if err != nil {
			return err
		}
		var p evidence.Proof
		if ok {
			if p, err = evidence.Decode(c.job.Head.Network, raw); err != nil {
				return err
			}
		}
		if err := e.Unit(p); err != nil {
			return err
		}
	}
	return nil
}

// leantOn reads what the proofs of a shard's units lean on.
func (c *Collector) leantOn(ref protocol.ShardRef) (custody, grants []*jobs.Record, err error) {
	err = c.cfg.Disk.Scan(recordKey(ref, nil), func(_, value []byte) error {
		r, err := evidence.DecodeRecord(c.job.Head.Network, value)
		if err != nil {
			return err
		}
		if r.Kind == jobs.KindGrant {
			grants = append(grants, r)
			return nil
		}
		custody = append(custody, r)
		return nil
	})
	return custody, grants, err
}

// Credit is what each donor gave to the job so far, as far as it was accepted here.
func (c *Collector) Credit() map[jobs.NodeID]evidence.Share {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.donors)
}

// share is what one donor gave to an accepted unit.
type share struct {
	_      struct{} `cbor:",toarray"`
	Donor  jobs.NodeID
	Inputs uint64
	Fuel   uint64
	Late   uint64
}

// sharesOf are what the donors gave to a decided unit. The submitter's own run is among them, and
// earns nothing.
func sharesOf(v *scheduler.Verdict, p *jobs.Policy) []share {
	given := evidence.Shares(v, p)
	var out []share
	for _, x := range v.Votes {
		s := given[x.Worker]
		out = append(out, share{Donor: x.Worker, Inputs: s.Inputs, Fuel: s.Fuel, Late: s.Late})
	}
	return out
}

// earned adds a unit's share to its donor's once, or minus once. The caller holds mu, or is alone.
func (c *Collector) earned(s *share, once uint64) {
	total := c.donors[s.Donor]
	total.Add(evidence.Share{Units: min(s.Inputs, 1) * once, Inputs: s.Inputs * once, Fuel: s.Fuel * once, Late: s.Late * once})
	c.donors[s.Donor] = total
}
