package scheduler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Bounds of what one shard's ledger holds, under any input.
const (
	maxUnitRecords  = 4 * jobs.MaxVotes // seals, and again reveals, of one unit
	maxShardRecords = 16 << 10          // placements, receipts, handovers, grants and controls together
)

// Errors that a record can be refused with.
var (
	ErrForeign = errors.New("record of another shard")
	ErrNoUnit  = errors.New("no such unit")
	ErrAuthor  = errors.New("record by someone who may not state that")
	ErrFull    = errors.New("too many records")
)

// Ledger is what one keeper knows of one shard. It is not safe for concurrent use.
type Ledger struct {
	job   *jobs.Job
	shard uint32
	trust map[jobs.NodeID]bool // whose word is enough at level trusted
	units []unit

	general map[jobs.Digest]*jobs.Record // everything that is not about one unit
	custody map[jobs.NodeID]bool         // closure of placements and hand-overs; nil: recompute
	alone   map[jobs.NodeID]bool         // keepers that some placement names alone
	control *jobs.Control                // the highest-numbered

	version  uint64
	contents map[jobs.Digest][]jobs.Tuple   // by tuples digest
	wanted   map[jobs.Digest][]*jobs.Record // reveals whose contents are not known yet, by tuples digest
}

type unit struct {
	inputs  uint32
	seals   []*jobs.Record
	reveals []*jobs.Record
	leases  []lease
	fresh   bool // verdict is current
	verdict Verdict
	since   time.Time // when the seals of the current round were first seen complete here
	held    bool      // this keeper holds the output bytes that were agreed
	digest  uint64    // XOR of the record ids' first 8 bytes
}

// NewLedger makes the empty ledger of a shard. counts are its units' numbers of inputs.
func NewLedger(job *jobs.Job, shard uint32, m *jobs.Manifest) *Ledger {
	l := &Ledger{
		job: job, shard: shard,
		trust:    map[jobs.NodeID]bool{},
		units:    make([]unit, len(m.Units)),
		general:  map[jobs.Digest]*jobs.Record{},
		contents: map[jobs.Digest][]jobs.Tuple{},
		wanted:   map[jobs.Digest][]*jobs.Record{},
	}
	for i := range l.units {
		l.units[i].inputs = m.Units[i].Count
	}
	for _, p := range job.Head.Policy.Trust {
		l.trust[p] = true
	}
	return l
}

// Job is the job the ledger's shard belongs to.
func (l *Ledger) Job() *jobs.Job { return l.job }

// Shard is the number of the ledger's shard.
func (l *Ledger) Shard() uint32 { return l.shard }

// Units is the number of units in the shard.
func (l *Ledger) Units() int { return len(l.units) }

// Version grows with every change that a reader might want to know of.
func (l *Ledger) Version() uint64 { return l.version }

// Apply merges one verified record into the set. It reports whether the record is new here;
// merging it again is a no-op. An error says that the record can never belong here, or that
// there is no room.
func (l *Ledger) Apply(r *jobs.Record) (fresh bool, err error) {
	if r.Job != l.job.ID || r.Shard != l.shard && (r.Shard != jobs.WholeJob || r.Kind != jobs.KindControl) {
		return false, ErrForeign
	}
	switch b := r.Body.(type) {
	case *jobs.Seal:
		fresh, err = l.applyUnit(r, b.Unit, func(u *unit) *[]*jobs.Record { return &u.seals })
	case *jobs.Reveal:
		fresh, err = l.applyReveal(r, b)
	default:
		fresh, err = l.applyGeneral(r)
	}
	if fresh {
		l.version++
	}
	return fresh, err
}

func (l *Ledger) applyUnit(r *jobs.Record, n uint16, list func(*unit) *[]*jobs.Record) (bool, error) {
	if int(n) >= len(l.units) {
		return false, ErrNoUnit
	}
	u := &l.units[n]
	rs := list(u)
	if slices.ContainsFunc(*rs, func(o *jobs.Record) bool { return o.ID == r.ID }) {
		return false, nil
	}
	if len(*rs) >= maxUnitRecords {
		return false, ErrFull
	}
	*rs = append(*rs, r)
	u.digest ^= prefix(r.ID)
	u.fresh = false
	return true, nil
}

func (l *Ledger) applyReveal(r *jobs.Record, b *jobs.Reveal) (bool, error) {
	fresh, err := l.applyUnit(r, b.Unit, func(u *unit) *[]*jobs.Record { return &u.reveals })
	if !fresh {
		return fresh, err
	}
	u := &l.units[b.Unit]
	u.leases = slices.DeleteFunc(u.leases, func(x lease) bool { return x.worker == r.Author })
	if _, known := l.contents[b.Tuples]; !known {
		l.wanted[b.Tuples] = append(l.wanted[b.Tuples], r)
	}
	return true, nil
}

// applyGeneral keeps a record that is not about one unit, if its author may state it. A grant
// or a hand-over by a stranger is kept too: whether it counts is decided with the whole set.
func (l *Ledger) applyGeneral(r *jobs.Record) (bool, error) {
	if _, ok := l.general[r.ID]; ok {
		return false, nil
	}
	switch b := r.Body.(type) {
	case *jobs.Placement:
		if r.Author != l.job.Head.Submitter {
			return false, ErrAuthor
		}
	case *jobs.Control:
		if r.Author != l.job.Head.Submitter {
			return false, ErrAuthor
		}
		if l.control == nil || b.Number > l.control.Number {
			l.control = b
		}
	case *jobs.Grant:
		if !slices.Contains(b.Set, r.Author) {
			return false, ErrAuthor
		}
	}
	if len(l.general) >= maxShardRecords {
		return false, ErrFull
	}
	l.general[r.ID] = r
	l.custody = nil
	if r.Kind == jobs.KindGrant || r.Kind == jobs.KindHandover || r.Kind == jobs.KindPlacement {
		l.stale(r)
	}
	return true, nil
}

// stale marks verdicts that a newly known grant or keeper may change: a vote may come to count.
func (l *Ledger) stale(r *jobs.Record) {
	g, ok := r.Body.(*jobs.Grant)
	if !ok {
		for i := range l.units {
			l.units[i].fresh = false
		}
		return
	}
	for _, h := range g.Holds {
		if int(h.Unit) < len(l.units) {
			l.units[h.Unit].fresh = false
		}
	}
}

// Attach makes the tuples behind a reveal's digest known. A vote counts once its tuples are
// known; inline payloads' are attached by whoever decodes them, others' when they are fetched.
func (l *Ledger) Attach(r *jobs.Record, ts []jobs.Tuple) error {
	b, ok := r.Body.(*jobs.Reveal)
	if !ok || int(b.Unit) >= len(l.units) {
		return ErrNoUnit
	}
	if len(ts) != int(l.units[b.Unit].inputs) {
		return fmt.Errorf("%d tuples for %d inputs", len(ts), l.units[b.Unit].inputs)
	}
	if jobs.TuplesDigest(ts) != b.Tuples {
		return errors.New("payload has other tuples than were revealed")
	}
	gaveUp := slices.ContainsFunc(ts, func(t jobs.Tuple) bool { return t.Outcome == jobs.GaveUp })
	if gaveUp != b.GaveUp {
		return errors.New("reveal misstates whether an input was given up")
	}
	if _, known := l.contents[b.Tuples]; known {
		return nil
	}
	l.contents[b.Tuples] = ts
	delete(l.wanted, b.Tuples)
	for i := range l.units {
		if slices.ContainsFunc(l.units[i].reveals, func(o *jobs.Record) bool { return o.Body.(*jobs.Reveal).Tuples == b.Tuples }) {
			l.units[i].fresh = false
		}
	}
	l.version++
	return nil
}

// Wanted are the reveals whose tuples are not known here yet.
func (l *Ledger) Wanted() []*jobs.Record {
	out := make([]*jobs.Record, 0, len(l.wanted))
	for _, rs := range l.wanted {
		out = append(out, rs...)
	}
	return out
}

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

func hasID(rs []*jobs.Record, id jobs.Digest) bool {
	return slices.ContainsFunc(rs, func(r *jobs.Record) bool { return r.ID == id })
}

// Closed is the act that closed the job, if one did; extensions are in Expires.
func (l *Ledger) Closed() (jobs.Act, bool) {
	if l.control != nil && l.control.Act != jobs.ActExtend {
		return l.control.Act, true
	}
	return 0, false
}

// Expires is when the job ends, in Unix seconds, extensions included: at most 90 days after
// its creation.
func (l *Ledger) Expires() int64 {
	at := l.job.Head.Expires
	for _, r := range l.general {
		if c, ok := r.Body.(*jobs.Control); ok && c.Act == jobs.ActExtend {
			at = max(at, c.Expires)
		}
	}
	return min(at, l.job.Head.Created+int64(jobs.MaxLife/time.Second))
}

// Slots is the number of parts that Digests compares: one for each unit, one for the rest.
func (l *Ledger) Slots() int { return len(l.units) + 1 }

// Digests are short names of the record sets of each slot: equal sets have equal names.
func (l *Ledger) Digests() []uint64 {
	out := make([]uint64, l.Slots())
	for i := range l.units {
		out[i] = l.units[i].digest
	}
	for id := range l.general {
		out[len(l.units)] ^= prefix(id)
	}
	return out
}

// Records are the records of one slot, in the order of their ids.
func (l *Ledger) Records(slot int) []*jobs.Record {
	var out []*jobs.Record
	if slot < len(l.units) {
		out = append(slices.Clone(l.units[slot].seals), l.units[slot].reveals...)
	} else {
		for _, r := range l.general {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *jobs.Record) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
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

// Custodians are the keepers that placements and hand-overs name.
func (l *Ledger) Custodians() []jobs.NodeID {
	var out []jobs.NodeID
	for n := range l.custodySet() {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) })
	return out
}

func prefix(id jobs.Digest) uint64 { return binary.BigEndian.Uint64(id[:8]) }
