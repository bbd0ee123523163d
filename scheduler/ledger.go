package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Bounds of what one shard's ledger holds, under any input.
const (
	maxUnitSeals    = 4 * jobs.MaxVotes
	maxUnitReveals  = 2 * jobs.MaxVotes
	maxShardRecords = 32 << 10 // placements, receipts, hand-overs, grants and controls together
	maxStrangers    = maxShardRecords / 2
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
	sums    [generalSlots]setSum         // of general, by slot
	custody custody
	control *jobs.Record // the highest-numbered
	expires int64        // the latest that the submitter asked for

	donors int // that are known
	front  int // units before this one are open to claims, where work is given by lot
	draws  []draw
	redraw bool // the draws are not up to date

	finals [jobs.UnitsPerShard / jobs.FinalUnits]*jobs.Record // the submitter's last word

	convicted map[jobs.NodeID]Equivocation
	dealings  Dealings

	version  uint64
	contents map[jobs.Digest]content        // by tuples digest
	wanted   map[jobs.Digest][]*jobs.Record // reveals whose contents are not known yet, by tuples digest
	census   census

	last  Summary   // as it was told last
	quiet time.Time // until when it holds, if nothing changes the version
}

// unit is a work unit: its records, what they say, and who is at work on it.
type unit struct {
	inputs  uint32
	seals   []*jobs.Record // as retain leaves them
	reveals []*jobs.Record
	sum     setSum // of the records

	fresh   bool           // what follows is what the records say
	sealed  []*jobs.Record // seals that count
	sealers int            // their workers
	verdict Verdict

	leases []lease
	since  time.Time            // when its free replicas became so: the last of them
	tried  uint8                // replicas, a bit each, of which a claim has come to nothing since the last look
	spent  []lease              // workers that held the unit for as long as one may, barred for a while
	due    map[jobs.NodeID]owed // workers that sealed and could reveal
	wake   time.Time            // nothing changes by itself before that; zero: look again
	state  State
	free   uint8 // replicas that may be claimed, one bit for each
	held   bool  // this keeper holds the output bytes that were agreed
	asked  uint8 // votes that its submitter asked for; jobs.OwnRun: its own
	voters []jobs.NodeID
}

// content is what a tuples digest stands for.
type content struct {
	tuples []jobs.Tuple
	gaveUp bool // some input was given up
}

// NewLedger makes the empty ledger of a shard.
func NewLedger(job *jobs.Job, shard uint32, m *jobs.Manifest) *Ledger {
	l := &Ledger{
		job: job, shard: shard, expires: job.Head.Expires,
		trust:   map[jobs.NodeID]bool{},
		units:   make([]unit, len(m.Units)),
		general: map[jobs.Digest]*jobs.Record{},
		custody: newCustody(),
		draws:   make([]draw, (len(m.Units)+jobs.DrawUnits-1)/jobs.DrawUnits), redraw: true,
		convicted: map[jobs.NodeID]Equivocation{},
		contents:  map[jobs.Digest]content{},
		wanted:    map[jobs.Digest][]*jobs.Record{},
		census:    census{votes: map[jobs.NodeID]int{}},
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

// GoOnFrom makes the versions of a ledger that was read from disk go on from those that were told
// before it went there.
func (l *Ledger) GoOnFrom(version uint64) { l.version += version }

// Apply merges one verified record into the set. It reports whether the record is new here;
// merging it again is a no-op. An error says that the record can never belong here, or that
// there is no room.
func (l *Ledger) Apply(r *jobs.Record) (fresh bool, err error) {
	if r.Job != l.job.ID || r.Shard != l.shard && (r.Shard != jobs.WholeJob || r.Kind != jobs.KindControl) {
		return false, ErrForeign
	}
	switch b := r.Body.(type) {
	case *jobs.Seal:
		fresh, err = l.applySeal(r, b)
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

func (l *Ledger) applySeal(r *jobs.Record, b *jobs.Seal) (bool, error) {
	if int(b.Unit) >= len(l.units) {
		return false, ErrNoUnit
	}
	u := &l.units[b.Unit]
	if hasID(u.seals, r.ID) {
		return false, nil
	}
	kept := retain(append(slices.Clone(u.seals), r), maxUnitSeals, func(r *jobs.Record) bool {
		return l.granted(r.Author, r.Body.(*jobs.Seal))
	})
	if !hasID(kept, r.ID) {
		return false, ErrFull
	}
	u.seals = kept
	u.changed()
	l.weigh(r, kept)
	return true, nil
}

func (l *Ledger) applyReveal(r *jobs.Record, b *jobs.Reveal) (bool, error) {
	if int(b.Unit) >= len(l.units) {
		return false, ErrNoUnit
	}
	u := &l.units[b.Unit]
	if hasID(u.reveals, r.ID) {
		return false, nil
	}
	kept := retain(append(slices.Clone(u.reveals), r), maxUnitReveals, func(r *jobs.Record) bool {
		_, ok := l.opens(l.judged(int(b.Unit)), r)
		return ok
	})
	if !hasID(kept, r.ID) {
		return false, ErrFull
	}
	before := u.reveals
	u.reveals = kept
	for _, o := range before {
		if !hasID(kept, o.ID) {
			l.forget(o)
		}
	}
	u.changed()
	l.weigh(r, kept)
	if _, known := l.contents[b.Tuples]; !known {
		l.wanted[b.Tuples] = append(l.wanted[b.Tuples], r)
	}
	return true, nil
}

// changed notes that a unit has other records than before.
func (u *unit) changed() {
	u.fresh = false
	u.sum = setSum{}
	u.sum.add(u.seals...)
	u.sum.add(u.reveals...)
}

// forget drops what is known, or wanted, on behalf of a reveal that is not kept any more. Tuples
// stay known only while a reveal that they fit is kept: otherwise what is wanted would depend on
// what was once here.
func (l *Ledger) forget(r *jobs.Record) {
	d := saying(r)
	c, known := l.contents[d]
	var others []*jobs.Record
	for i := range l.units {
		for _, o := range l.units[i].reveals {
			if saying(o) != d {
				continue
			}
			if known && l.fits(o, c) {
				return
			}
			others = append(others, o)
		}
	}
	delete(l.contents, d)
	delete(l.wanted, d)
	if len(others) > 0 {
		l.wanted[d] = others
	}
}

// fits reports whether tuples can be what a reveal of their digest says.
func (l *Ledger) fits(r *jobs.Record, c content) bool {
	b := r.Body.(*jobs.Reveal)
	return len(c.tuples) == int(l.units[b.Unit].inputs) && c.gaveUp == b.GaveUp
}

// applyGeneral keeps a record that is not about one unit, if its author may state it. A grant
// or a hand-over by a stranger is kept too, as far as strangers' room goes: whether it counts is
// decided with the whole set.
func (l *Ledger) applyGeneral(r *jobs.Record) (bool, error) {
	if _, ok := l.general[r.ID]; ok {
		return false, nil
	}
	own := r.Author == l.job.Head.Submitter
	room := maxStrangers
	if own || l.custody.members[r.Author] {
		room = maxShardRecords
	}
	switch b := r.Body.(type) {
	case *jobs.Placement, *jobs.Control, *jobs.Ask, *jobs.Draw:
		if !own {
			return false, ErrAuthor
		}
	case *jobs.Final:
		if !own || l.job.Head.Policy.Level < jobs.Strong {
			return false, ErrAuthor
		}
		if len(b.Answers) != l.finalUnits(b.Number) {
			return false, ErrNoUnit
		}
	case *jobs.Grant:
		if !slices.Contains(b.Set, r.Author) {
			return false, ErrAuthor
		}
	}
	if len(l.general) >= room {
		return false, ErrFull
	}
	l.general[r.ID] = r
	l.sums[generalSlot(r)].add(r)
	switch b := r.Body.(type) {
	case *jobs.Draw:
		l.redraw = true
	case *jobs.Receipt:
		l.redraw = l.redraw || room == maxShardRecords
	case *jobs.Placement:
		l.redraw = true
		if l.custody.place(b.Keepers) {
			l.stale()
		}
	case *jobs.Handover:
		if l.custody.handOver(r.Author, b.Set) {
			l.stale()
		}
	case *jobs.Control:
		l.controlled(r, b)
	case *jobs.Grant:
		l.named(r.ID, b)
	case *jobs.Ask:
		l.askedFor(b)
	case *jobs.Final:
		l.finished(r, b)
	}
	return true, nil
}

// named marks the units with a seal that names a newly known grant: a vote may come to count.
func (l *Ledger) named(id jobs.Digest, g *jobs.Grant) {
	for _, h := range g.Holds {
		if int(h.Unit) >= len(l.units) {
			continue
		}
		u := &l.units[h.Unit]
		if slices.ContainsFunc(u.seals, func(s *jobs.Record) bool { return slices.Contains(s.Body.(*jobs.Seal).Grants, id) }) {
			u.fresh = false
		}
	}
}

// controlled notes the submitter's word on the whole job. Of two with one number that with the
// smaller id wins, whichever came first.
func (l *Ledger) controlled(r *jobs.Record, c *jobs.Control) {
	if c.Act == jobs.ActExtend {
		l.expires = max(l.expires, c.Expires)
	}
	if l.control != nil {
		n := l.control.Body.(*jobs.Control).Number
		if n > c.Number || n == c.Number && compareIDs(l.control, r) < 0 {
			return
		}
	}
	l.control = r
}

// Attach makes the tuples behind a reveal's digest known. A vote counts once its tuples are
// known; inline payloads' are attached by whoever decodes them, others' when they are fetched.
func (l *Ledger) Attach(r *jobs.Record, ts []jobs.Tuple) error {
	b, ok := r.Body.(*jobs.Reveal)
	if !ok || !l.Has(r) {
		return ErrForeign
	}
	c, known := l.contents[b.Tuples]
	if !known {
		if jobs.TuplesDigest(ts) != b.Tuples {
			return errors.New("payload has other tuples than were revealed")
		}
		c = content{ts, slices.ContainsFunc(ts, func(t jobs.Tuple) bool { return t.Outcome == jobs.GaveUp })}
	}
	switch {
	case len(c.tuples) != int(l.units[b.Unit].inputs):
		return fmt.Errorf("%d tuples for %d inputs", len(c.tuples), l.units[b.Unit].inputs)
	case c.gaveUp != b.GaveUp:
		return errors.New("reveal misstates whether an input was given up")
	case known:
		return nil
	}
	l.contents[b.Tuples] = c
	for _, r := range l.wanted[b.Tuples] {
		l.units[r.Body.(*jobs.Reveal).Unit].fresh = false
	}
	delete(l.wanted, b.Tuples)
	l.version++
	return nil
}

// Wanted are the reveals that would be votes, were their tuples known here.
func (l *Ledger) Wanted() []*jobs.Record {
	var out []*jobs.Record
	for _, rs := range l.wanted {
		for _, r := range rs {
			if _, ok := l.opens(l.judged(int(r.Body.(*jobs.Reveal).Unit)), r); ok {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, compareIDs)
	return out
}
