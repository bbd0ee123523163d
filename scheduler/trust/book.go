package trust

import (
	"fmt"
	"math"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Weight is evidence in thousandths of a bit: 1000·log2 of the odds that something is right.
type Weight int

// What a donor is believed to get wrong (notes/reliability.md §3.5).
const (
	newcomerError = 0.10 // the share of a grid that is assumed hostile
	leastError    = 9e-4 // nobody's word is worth more: two are always needed
	provenError   = 1e-2
	provenAfter   = 5 // accepted units after which the error is at most provenError
)

// A donor whose faults are more than maxFaults in its last faultWindow accepted units is not
// listened to until they fade: broken hardware is no crime, and no help.
const (
	maxFaults   = 5
	faultWindow = 200
	faultScale  = 1 << 16 // of Donor.Faults
)

// Donor is what one submitter knows of one donor, from the submitter's own jobs alone.
type Donor struct {
	_        struct{} `cbor:",toarray"`
	Accepted uint32   // replicated units accepted with its vote among them, since its last fault
	Faults   uint32   // wrong votes, in 1/65536, fading with every unit accepted
	Burned   bool     // proved to have lied together with another, or to have said two things: it never counts again
}

// Heard reports whether a donor's votes count.
func (d Donor) Heard() bool { return !d.Burned && d.Faults <= maxFaults*faultScale }

// Proven reports whether a donor has standing: its late votes count, and its dissent from
// another proven donor is settled by the submitter's own run.
func (d Donor) Proven() bool { return d.Heard() && d.Accepted >= provenAfter }

// Error is the probability assumed that a vote of the donor is wrong: what maximises the wrong
// units of a liar who lies at a constant rate and was not caught in so many units.
func (d Donor) Error() float64 {
	if d.Accepted == 0 {
		return newcomerError
	}
	e := newcomerError / (1 - newcomerError) / (math.E * float64(d.Accepted))
	return min(newcomerError, max(leastError, e))
}

// Weight is what a donor's word weighs.
func (d Donor) Weight() Weight {
	e := d.Error()
	return Weight(math.Round(1000 * math.Log2((1-e)/e)))
}

// right notes that a unit was accepted with the donor's vote.
func (d *Donor) right() {
	if d.Accepted < math.MaxUint32 {
		d.Accepted++
	}
	d.Faults -= (d.Faults + faultWindow - 1) / faultWindow
}

// wrong notes a wrong vote.
func (d *Donor) wrong() {
	d.Accepted = 0
	d.Faults = min(d.Faults+faultScale, 4*maxFaults*faultScale)
}

// MaxDonors bounds a book: the least known are forgotten, the burned last.
const MaxDonors = 1 << 16

// Book is a submitter's record of every donor that it has met. It is not safe for concurrent use.
type Book struct {
	donors map[jobs.NodeID]*Donor
	proven int
	dirty  map[jobs.NodeID]bool // changed since Changed was asked
}

// NewBook makes the book of a submitter that knows nobody.
func NewBook() *Book {
	return &Book{donors: map[jobs.NodeID]*Donor{}, dirty: map[jobs.NodeID]bool{}}
}

// Get is what is known of a donor: nothing, of a newcomer.
func (b *Book) Get(id jobs.NodeID) Donor {
	if d := b.donors[id]; d != nil {
		return *d
	}
	return Donor{}
}

// Len is the number of donors in the book.
func (b *Book) Len() int { return len(b.donors) }

// Proven is the number of donors with standing.
func (b *Book) Proven() int { return b.proven }

// change makes a change to what is known of a donor.
func (b *Book) change(id jobs.NodeID, f func(*Donor)) {
	d := b.donors[id]
	if d == nil {
		if len(b.donors) >= MaxDonors {
			b.forget()
		}
		d = &Donor{}
		b.donors[id] = d
	}
	before := d.Proven()
	f(d)
	b.count(before, d.Proven())
	b.dirty[id] = true
}

func (b *Book) count(before, after bool) {
	if after && !before {
		b.proven++
	} else if before && !after {
		b.proven--
	}
}

// forget makes room: one in eight go, those of whom least is known.
func (b *Book) forget() {
	ids := b.IDs()
	slices.SortStableFunc(ids, func(x, y jobs.NodeID) int { return b.donors[x].known() - b.donors[y].known() })
	for _, id := range ids[:len(ids)/8] {
		b.count(b.donors[id].Proven(), false)
		delete(b.donors, id)
		b.dirty[id] = true
	}
}

// known orders donors by what would be lost with them.
func (d *Donor) known() int {
	if d.Burned {
		return math.MaxInt32
	}
	return int(min(d.Accepted+d.Faults/faultScale, math.MaxInt32-1))
}

// IDs are the donors in the book, in order.
func (b *Book) IDs() []jobs.NodeID {
	ids := make([]jobs.NodeID, 0, len(b.donors))
	for id := range b.donors {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareNodes)
	return ids
}

func compareNodes(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) }

// Change is a donor whose record is to be written, or dropped where it has none.
type Change struct {
	Donor  jobs.NodeID
	Record []byte // canonical CBOR; nil: forgotten
}

// Changed gives what changed since it was asked last, in the order of ids.
func (b *Book) Changed() []Change {
	out := make([]Change, 0, len(b.dirty))
	for id := range b.dirty {
		c := Change{Donor: id}
		if d := b.donors[id]; d != nil {
			c.Record = jobs.Encode(*d)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y Change) int { return compareNodes(x.Donor, y.Donor) })
	clear(b.dirty)
	return out
}

// Touch has a donor's record given by Changed once more: it could not be written.
func (b *Book) Touch(id jobs.NodeID) { b.dirty[id] = true }

// maxRecord bounds an encoded Donor.
const maxRecord = 32

// Restore takes up a record as Changed gave it.
func (b *Book) Restore(id jobs.NodeID, record []byte) error {
	var d Donor
	if err := jobs.Decode(record, maxRecord, &d); err != nil {
		return fmt.Errorf("record of donor %s: %w", id.Short(), err)
	}
	b.change(id, func(old *Donor) { *old = d })
	delete(b.dirty, id)
	return nil
}
