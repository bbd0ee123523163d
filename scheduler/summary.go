package scheduler

import (
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Summary is a shard at a glance, as a keeper tells it. It is a hint: a unit is closed to a
// worker when a majority says so, to a collector only by verified records.
type Summary struct {
	_          struct{} `cbor:",toarray"`
	Version    uint64   // of this keeper's ledger, in this run of it
	Units      []byte   // two bytes a unit: state and flags, free replicas
	Done       uint64   // inputs decided, failed ones included
	Failed     uint64   // inputs whose answer is a failure
	Stuck      uint64   // inputs that were given up
	Executions uint64   // results revealed
	Donors     []jobs.NodeID
	Closed     jobs.Act // 0 while the job is open
}

// MaxSummaryDonors bounds the donors named in a summary; more are told by the records.
const MaxSummaryDonors = 64

// HeldFlag is the bit of a unit's first byte that says its output bytes are held.
const HeldFlag = 0x80

// UnitSummary is one unit's part of a summary.
type UnitSummary struct {
	State State
	Held  bool  // the keeper holds the agreed output bytes
	Free  uint8 // replicas that may be claimed, one bit for each
}

// Unit is the part of the summary about one unit.
func (s *Summary) Unit(n int) UnitSummary {
	if 2*n+1 >= len(s.Units) {
		return UnitSummary{}
	}
	b := s.Units[2*n]
	return UnitSummary{State: State(b &^ HeldFlag), Held: b&HeldFlag != 0, Free: s.Units[2*n+1]}
}

// Len is the number of units the summary speaks of.
func (s *Summary) Len() int { return len(s.Units) / 2 }

// State is where a unit stands here and now: the verdict, refined by leases and seals.
func (l *Ledger) State(now time.Time, n int) State {
	v := l.Verdict(n)
	if v.State != Open {
		return v.State
	}
	u := &l.units[n]
	l.expire(now, u)
	switch {
	case len(u.seals) > 0 || len(v.Votes) > 0:
		return Sealed
	case len(u.leases) > 0:
		return Running
	}
	return Open
}

// SetHeld notes that this keeper holds the bytes of a unit's agreed output.
func (l *Ledger) SetHeld(n int) {
	if !l.units[n].held {
		l.units[n].held = true
		l.version++
	}
}

// Held reports what SetHeld noted.
func (l *Ledger) Held(n int) bool { return l.units[n].held }

// Summary tells the shard at a glance.
func (l *Ledger) Summary(now time.Time) Summary {
	s := Summary{Units: make([]byte, 0, 2*len(l.units))}
	donors := map[jobs.NodeID]bool{}
	for n := range l.units {
		state, v := l.State(now, n), l.Verdict(n)
		b := byte(state)
		if l.units[n].held {
			b |= HeldFlag
		}
		s.Units = append(s.Units, b, l.free(now, n))
		s.Done += v.Done
		s.Failed += v.Failed
		s.Stuck += v.Stuck
		s.Executions += uint64(len(l.units[n].reveals))
		for _, r := range l.units[n].reveals {
			donors[r.Author] = true
		}
	}
	for d := range donors {
		s.Donors = append(s.Donors, d)
	}
	slices.SortFunc(s.Donors, func(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) })
	s.Donors = s.Donors[:min(len(s.Donors), MaxSummaryDonors)]
	s.Closed, _ = l.Closed()
	s.Version = l.version
	return s
}
