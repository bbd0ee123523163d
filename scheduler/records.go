package scheduler

import (
	"cmp"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Of one author a unit keeps two different statements, which show that it contradicts itself,
// and of each a few records.
const (
	maxSayings = 2
	maxRepeats = 3
)

// retain is what is kept of a unit's seals or reveals. It depends on the records alone, not on
// the order they came in, so that keepers whom somebody floods still come to hold the same: of
// each author its few first statements, and of more authors than there is room for those whose
// records can count before all others.
func retain(rs []*jobs.Record, room int, counts func(*jobs.Record) bool) []*jobs.Record {
	slices.SortFunc(rs, compareSayings)
	var kept []*jobs.Record
	sayings, repeats := 0, 0
	for i, r := range rs {
		switch {
		case i == 0 || rs[i-1].Author != r.Author:
			sayings, repeats = 1, 1
		case saying(rs[i-1]) != saying(r):
			sayings, repeats = sayings+1, 1
		default:
			repeats++
		}
		if sayings <= maxSayings && repeats <= maxRepeats {
			kept = append(kept, r)
		}
	}
	if len(kept) <= room {
		return kept
	}
	var first, rest []*jobs.Record
	for _, r := range kept {
		if counts(r) {
			first = append(first, r)
		} else {
			rest = append(rest, r)
		}
	}
	slices.SortFunc(first, compareIDs)
	slices.SortFunc(rest, compareIDs)
	kept = append(first, rest...)[:room]
	slices.SortFunc(kept, compareSayings)
	return kept
}

// saying is what an author states about a unit: a seal's commitment, a reveal's tuples.
func saying(r *jobs.Record) jobs.Digest {
	if s, ok := r.Body.(*jobs.Seal); ok {
		return s.Commitment
	}
	return r.Body.(*jobs.Reveal).Tuples
}

// contradicts reports whether the author of a record also says something else in the list.
func contradicts(rs []*jobs.Record, r *jobs.Record) bool {
	return slices.ContainsFunc(rs, func(o *jobs.Record) bool { return o.Author == r.Author && saying(o) != saying(r) })
}

// compareSayings orders records by author, then by what they say.
func compareSayings(a, b *jobs.Record) int {
	x, y := saying(a), saying(b)
	return cmp.Or(compareNodes(a.Author, b.Author), slices.Compare(x[:], y[:]), compareIDs(a, b))
}

func compareIDs(a, b *jobs.Record) int { return slices.Compare(a.ID[:], b.ID[:]) }

func hasID(rs []*jobs.Record, id jobs.Digest) bool {
	return slices.ContainsFunc(rs, func(r *jobs.Record) bool { return r.ID == id })
}

// setSum names a set of records by the sum of their ids, a 256-bit number. A plain XOR would let
// anyone choose records that hide another one's absence, by solving linear equations.
type setSum [4]uint64

func (s *setSum) add(rs ...*jobs.Record) {
	for _, r := range rs {
		var carry uint64
		for i := range s {
			s[i], carry = bits.Add64(s[i], binary.BigEndian.Uint64(r.ID[8*i:]), carry)
		}
	}
}

// short is what travels of a sum.
func (s *setSum) short() uint64 {
	var b []byte
	for _, x := range s {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return prefix(jobs.Sum(b))
}

func prefix(id jobs.Digest) uint64 { return binary.BigEndian.Uint64(id[:8]) }

// Has reports whether a record is in the set.
func (l *Ledger) Has(r *jobs.Record) bool {
	switch b := r.Body.(type) {
	case *jobs.Seal:
		return int(b.Unit) < len(l.units) && hasID(l.units[b.Unit].seals, r.ID)
	case *jobs.Reveal:
		return int(b.Unit) < len(l.units) && hasID(l.units[b.Unit].reveals, r.ID)
	}
	_, ok := l.general[r.ID]
	return ok
}

// Closed is the act that closed the job, if one did; extensions are in Expires.
func (l *Ledger) Closed() (jobs.Act, bool) {
	if l.control != nil {
		if act := l.control.Body.(*jobs.Control).Act; act != jobs.ActExtend {
			return act, true
		}
	}
	return 0, false
}

// Expires is when the job ends, in Unix seconds, extensions included: at most 90 days after
// its creation.
func (l *Ledger) Expires() int64 {
	return min(l.expires, l.job.Head.Created+int64(jobs.MaxLife/time.Second))
}

// generalSlots is how many parts the records that are not about one unit fall into: every claim
// brings some, and what two keepers compare should be little beside what differs.
const generalSlots = 32

// generalSlot is the part that a record falls into.
func generalSlot(r *jobs.Record) int { return int(r.ID[0]) % generalSlots }

// Slots is the number of parts that Digests compares: one for each unit, some for the rest.
func (l *Ledger) Slots() int { return len(l.units) + generalSlots }

// Digests are short names of the record sets of each slot: equal sets have equal names.
func (l *Ledger) Digests() []uint64 {
	out := make([]uint64, l.Slots())
	for i := range l.units {
		out[i] = l.units[i].sum.short()
	}
	for i := range l.sums {
		out[len(l.units)+i] = l.sums[i].short()
	}
	return out
}

// Records are the records of one slot, in the order of their ids.
func (l *Ledger) Records(slot int) []*jobs.Record {
	var out []*jobs.Record
	if slot < len(l.units) {
		out = slices.Concat(l.units[slot].seals, l.units[slot].reveals)
	} else {
		for _, r := range l.general {
			if generalSlot(r) == slot-len(l.units) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, compareIDs)
	return out
}

// General are all records that are not about one unit, in the order of their ids.
func (l *Ledger) General() []*jobs.Record {
	return slices.SortedFunc(maps.Values(l.general), compareIDs)
}

// Seals are the seals of one unit.
func (l *Ledger) Seals(unit int) []*jobs.Record { return slices.Clone(l.units[unit].seals) }

// Reveals are the reveals of one unit.
func (l *Ledger) Reveals(unit int) []*jobs.Record { return slices.Clone(l.units[unit].reveals) }

// Grants are the grant records with the given ids, as far as they are known here.
func (l *Ledger) Grants(ids []jobs.Digest) []*jobs.Record {
	var out []*jobs.Record
	for _, id := range ids {
		if r, ok := l.general[id]; ok && r.Kind == jobs.KindGrant {
			out = append(out, r)
		}
	}
	return out
}

func compareNodes(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) }
