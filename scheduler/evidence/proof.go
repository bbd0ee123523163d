package evidence

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// Proof is what proves one unit's verdict, but for the grants that its seals lean on and the
// custody that those lean on: many units share them.
type Proof struct {
	Records []*jobs.Record // reveals, and seals
	Tuples  [][]jobs.Tuple // of votes whose payload is a blob; votes that agree share them
}

// Of picks out of a ledger what proves a unit's verdict: all votes that it has, also those that
// disagree, with the seals they open and name.
func Of(l *scheduler.Ledger, unit int) Proof {
	var p Proof
	seals := map[jobs.Digest]bool{}
	told := map[jobs.Digest]bool{}
	for _, v := range l.Verdict(unit).Votes {
		b := v.Reveal.Body.(*jobs.Reveal)
		p.Records = append(p.Records, v.Reveal)
		if v.Seal != nil {
			seals[v.Seal.ID] = true
		}
		for _, id := range b.Seals {
			seals[id] = true
		}
		if len(b.Inline) == 0 && !told[b.Tuples] {
			told[b.Tuples] = true
			p.Tuples = append(p.Tuples, v.Tuples)
		}
	}
	for _, s := range l.Seals(unit) {
		if seals[s.ID] {
			p.Records = append(p.Records, s)
		}
	}
	return p
}

// Custody picks out of a ledger who has custody of the shard: the submitter's placements, the
// receipts they name, and the hand-overs by custodians; and the submitter's last word.
func Custody(l *scheduler.Ledger) []*jobs.Record {
	named := map[jobs.Digest]bool{}
	general := l.General()
	for _, r := range general {
		if p, ok := r.Body.(*jobs.Placement); ok {
			for _, id := range p.Receipts {
				named[id] = true
			}
		}
	}
	custodians := l.Custodians()
	return slices.DeleteFunc(general, func(r *jobs.Record) bool {
		switch r.Kind {
		case jobs.KindPlacement, jobs.KindFinal:
			return false
		case jobs.KindReceipt:
			return !named[r.ID]
		case jobs.KindHandover:
			return !slices.Contains(custodians, r.Author)
		}
		return true
	})
}

// Grants are the grants of a ledger that a proof's seals lean on.
func (p *Proof) Grants(l *scheduler.Ledger) []*jobs.Record {
	var out []*jobs.Record
	for _, r := range p.Records {
		if s, ok := r.Body.(*jobs.Seal); ok {
			out = append(out, l.Grants(s.Grants)...)
		}
	}
	return out
}

// stored is a proof on disk.
type stored struct {
	_       struct{} `cbor:",toarray"`
	Batches []jobs.Batch
	Tuples  [][]jobs.Tuple
}

// Encode is the proof as it is kept until somebody wants it.
func (p *Proof) Encode() []byte {
	return jobs.Encode(stored{Batches: jobs.Batches(p.Records), Tuples: p.Tuples})
}

// Decode reads a proof that this node has kept. Signatures are not checked: who reads the
// evidence does.
func Decode(network string, b []byte) (Proof, error) {
	var s stored
	if err := jobs.Decode(b, MaxSection, &s); err != nil {
		return Proof{}, err
	}
	p := Proof{Tuples: s.Tuples}
	for i := range s.Batches {
		rs, err := s.Batches[i].OpenWith(network, unchecked)
		if err != nil {
			return Proof{}, err
		}
		p.Records = append(p.Records, rs...)
	}
	return p, nil
}

// DecodeRecord reads one record that this node has kept as a batch of its own.
func DecodeRecord(network string, b []byte) (*jobs.Record, error) {
	var batch jobs.Batch
	if err := jobs.Decode(b, jobs.MaxBatchBytes, &batch); err != nil {
		return nil, err
	}
	rs, err := batch.OpenWith(network, unchecked)
	if err != nil {
		return nil, err
	}
	if len(rs) != 1 {
		return nil, errors.New("more than one record where one was kept")
	}
	return rs[0], nil
}

func unchecked(jobs.NodeID, []byte, []byte) bool { return true }

func compareBatches(a, b jobs.Batch) int {
	return cmp.Or(bytes.Compare(a.Author[:], b.Author[:]), bytes.Compare(a.Sig[:], b.Sig[:]))
}

func compareTuples(a, b []jobs.Tuple) int {
	x, y := jobs.TuplesDigest(a), jobs.TuplesDigest(b)
	return bytes.Compare(x[:], y[:])
}
