package worker

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
)

// Dealing is what this node did for one submitter on one day: its own account, which proves
// nothing to others.
type Dealing struct {
	Day       int64         // since 1970, in UTC; 0: all days before those that are told one by one
	Submitter jobs.NodeID   // zero: all beyond those that are told one by one
	CPU       time.Duration // of what follows
	Units     int64
	Inputs    int64
	Accepted  int64 // units whose answers are what was decided
	Disagreed int64 // units in which another answer was
	GaveUp    int64 // units with an input that this machine gave up
	Unused    int64 // units that were decided, or whose job ended, without them
}

// What an account tells one by one at most.
const (
	accountDays       = 90
	submittersADay    = 64
	submittersEarlier = 1024
	daySeconds        = 24 * 60 * 60
)

// fate is what became of a result.
type fate uint8

const (
	unused fate = iota
	accepted
	disagreed
)

// account is on disk, a row for each day and submitter.
type account struct {
	disk disk.Disk
	rt   strand.Runtime
	turn *strand.Gate // one change at a time
}

const accountPrefix = 'd'

// maxRow bounds a small record of this worker's own as it is read from disk, in bytes.
const maxRow = 1 << 10

// dealing is a row on disk.
type dealing struct {
	_                                   struct{} `cbor:",toarray"`
	CPU                                 uint64   // milliseconds
	Units, Inputs                       uint64
	Accepted, Disagreed, GaveUp, Unused uint64
}

func newAccount(d disk.Disk, rt strand.Runtime) *account {
	return &account{disk: d, rt: rt, turn: strand.NewGate(1)}
}

func accountKey(day uint32, submitter jobs.NodeID) []byte {
	return append(dayKey(day), submitter[:]...)
}

func dayKey(day uint32) []byte { return binary.BigEndian.AppendUint32([]byte{accountPrefix}, day) }

func (d *dealing) add(o *dealing) {
	d.CPU += o.CPU
	d.Units += o.Units
	d.Inputs += o.Inputs
	d.Accepted += o.Accepted
	d.Disagreed += o.Disagreed
	d.GaveUp += o.GaveUp
	d.Unused += o.Unused
}

// dealingOf is what one result adds to an account.
func dealingOf(r *result, f fate) dealing {
	d := dealing{CPU: r.CPU, Units: 1, Inputs: uint64(r.Inputs)}
	switch {
	case r.GaveUp:
		d.GaveUp = 1
	case f == accepted:
		d.Accepted = 1
	case f == disagreed:
		d.Disagreed = 1
	default:
		d.Unused = 1
	}
	return d
}

// nodesInOrder are the keys of a map, always in the same order.
func nodesInOrder[V any](m map[jobs.NodeID]V) []jobs.NodeID {
	return slices.SortedFunc(maps.Keys(m), func(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) })
}

// enter writes what became of some results into the account, and with the same stroke marks them
// as entered: a node that is killed then does not count them twice.
func (a *account) enter(ctx context.Context, rs []*result, became func(*result) fate) error {
	given := map[jobs.NodeID]*dealing{}
	var pairs []disk.Pair
	for _, r := range rs {
		if r.Own || r.Entered {
			continue
		}
		d := dealingOf(r, became(r))
		if given[r.Submitter] == nil {
			given[r.Submitter] = &dealing{}
		}
		given[r.Submitter].add(&d)
		entered := *r
		entered.Entered, entered.Inline = true, nil
		pairs = append(pairs, entered.pair())
	}
	if len(pairs) == 0 {
		return nil
	}
	if err := a.turn.Enter(ctx, a.rt); err != nil {
		return err
	}
	defer a.turn.Leave()
	day := uint32(max(a.rt.Date()/daySeconds, 1))
	for _, s := range nodesInOrder(given) {
		row, err := a.row(ctx, day, s)
		if err != nil {
			return err
		}
		row.add(given[s])
		pairs = append(pairs, disk.Pair{Key: row.key, Value: jobs.Encode(row.dealing)})
	}
	return a.disk.Put(ctx, pairs...)
}

// keyed is a row with its place.
type keyed struct {
	dealing
	key []byte
}

// row is the row of a day and submitter, or of all others where a day has too many. With the first
// row of a submitter's day, days that are too long ago become part of what was earlier.
func (a *account) row(ctx context.Context, day uint32, s jobs.NodeID) (*keyed, error) {
	k := &keyed{key: accountKey(day, s)}
	there, err := a.read(k)
	if there || err != nil {
		return k, err
	}
	n := 0
	err = a.disk.Scan(dayKey(day), func([]byte, []byte) error { n++; return nil })
	if err != nil {
		return nil, err
	}
	if n == 0 && day > accountDays {
		if err := a.fold(ctx, day-accountDays); err != nil {
			return nil, err
		}
	}
	if n >= submittersADay {
		k.key = accountKey(day, jobs.NodeID{})
		_, err = a.read(k)
	}
	return k, err
}

func (a *account) read(k *keyed) (bool, error) {
	raw, ok, err := a.disk.Get(k.key)
	if !ok || err != nil {
		return false, err
	}
	return true, jobs.Decode(raw, maxRow, &k.dealing)
}

// fold adds the days up to last to what was earlier.
func (a *account) fold(ctx context.Context, last uint32) error {
	earlier := map[jobs.NodeID]*dealing{}
	known := 0
	var gone [][]byte
	err := a.each(func(day uint32, s jobs.NodeID, d dealing) {
		switch {
		case day == 0:
			known++
			earlier[s] = &d
			return
		case day > last:
			return
		}
		gone = append(gone, accountKey(day, s))
		if earlier[s] == nil && known >= submittersEarlier {
			s = jobs.NodeID{}
		}
		if earlier[s] == nil {
			known++
			earlier[s] = &dealing{}
		}
		earlier[s].add(&d)
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	pairs := make([]disk.Pair, 0, len(earlier)+len(gone))
	for _, s := range nodesInOrder(earlier) {
		pairs = append(pairs, disk.Pair{Key: accountKey(0, s), Value: jobs.Encode(*earlier[s])})
	}
	for _, k := range gone { // empty in the same stroke: a kill before they are gone counts nothing twice
		pairs = append(pairs, disk.Pair{Key: k, Value: jobs.Encode(dealing{})})
	}
	if err := a.disk.Put(ctx, pairs...); err != nil {
		return err
	}
	return a.disk.Delete(ctx, gone...)
}

// each calls f with every row, in the order of days: what was earlier first.
func (a *account) each(f func(day uint32, s jobs.NodeID, d dealing)) error {
	return a.disk.Scan([]byte{accountPrefix}, func(key, value []byte) error {
		var d dealing
		if err := jobs.Decode(value, maxRow, &d); err != nil {
			return err
		}
		f(binary.BigEndian.Uint32(key[1:]), jobs.NodeID(key[5:]), d)
		return nil
	})
}

// Account is what this node did for whom, in the order of days: what was earlier first.
func (w *Worker) Account() ([]Dealing, error) {
	var out []Dealing
	err := w.account.each(func(day uint32, s jobs.NodeID, d dealing) {
		out = append(out, Dealing{
			Day: int64(day), Submitter: s, CPU: time.Duration(d.CPU) * time.Millisecond, Units: int64(d.Units), Inputs: int64(d.Inputs),
			Accepted: int64(d.Accepted), Disagreed: int64(d.Disagreed), GaveUp: int64(d.GaveUp), Unused: int64(d.Unused),
		})
	})
	return out, err
}
