package scheduler

import (
	"bytes"
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
	Lottery    *Lottery // nil: whoever asks is eligible for what is free

	Wait time.Duration `cbor:"-"` // after Narrow: until the worker is eligible for more; 0: not known
}

// MaxSummaryDonors bounds the donors named in a summary; more are told by the records.
const MaxSummaryDonors = 64

// HeldFlag is the bit of a unit's first byte that says its output bytes are held.
const HeldFlag = 0x80

// OwnFlag is the bit of a unit's first byte that says that its submitter is to run it.
const OwnFlag = 0x40

// UnitSummary is one unit's part of a summary.
type UnitSummary struct {
	State State
	Held  bool  // the keeper holds the agreed output bytes
	Own   bool  // its submitter is to run it
	Free  uint8 // replicas that may be claimed, one bit for each
}

// Unit is the part of the summary about one unit.
func (s *Summary) Unit(n int) UnitSummary {
	if 2*n+1 >= len(s.Units) {
		return UnitSummary{}
	}
	b := s.Units[2*n]
	return UnitSummary{State: State(b &^ (HeldFlag | OwnFlag)), Held: b&HeldFlag != 0, Own: b&OwnFlag != 0, Free: s.Units[2*n+1]}
}

// Len is the number of units the summary speaks of.
func (s *Summary) Len() int { return len(s.Units) / 2 }

// State is where a unit stands here and now: the verdict, refined by leases and seals.
func (l *Ledger) State(now time.Time, n int) State { return l.look(now, n).state }

// SetHeld notes that this keeper holds the bytes of a unit's agreed output.
func (l *Ledger) SetHeld(n int) {
	if u := l.judged(n); !u.held && u.verdict.State.Decided() {
		u.held = true
		l.version++
	}
}

// Held reports what SetHeld noted.
func (l *Ledger) Held(n int) bool { return l.judged(n).held }

// Summary tells the shard at a glance. Executions and donors are those whose results are votes:
// a stranger cannot inflate them. A keeper tells it with every answer, mostly unchanged.
func (l *Ledger) Summary(now time.Time) Summary {
	if l.last.Units == nil || l.last.Version != l.version || !now.Before(l.quiet) {
		l.summarize(now)
	}
	s := l.last
	s.Units, s.Donors, s.Lottery = bytes.Clone(s.Units), slices.Clone(s.Donors), l.lottery(now)
	return s
}

func (l *Ledger) summarize(now time.Time) {
	l.drawn(now)
	l.advance(now)
	s := Summary{Units: l.last.Units[:0]}
	l.quiet = now.Add(lookAgain)
	for n := range l.units {
		u := l.look(now, n)
		l.quiet = earlier(l.quiet, u.wake)
		b := byte(u.state)
		if u.held {
			b |= HeldFlag
		}
		if u.asked == jobs.OwnRun && !u.state.Decided() {
			b |= OwnFlag
		}
		s.Units = append(s.Units, b, u.free)
		s.Done += u.verdict.Done
		s.Failed += u.verdict.Failed
		s.Stuck += u.verdict.Stuck
		s.Executions += uint64(len(u.verdict.Votes))
	}
	s.Donors = l.census.donors()
	s.Closed, _ = l.Closed()
	s.Version = l.version
	l.last = s
}

// census counts each donor's votes in the shard, as they come and go.
type census struct {
	votes map[jobs.NodeID]int
	names []jobs.NodeID // the first of them by id; nil: look again
}

// move counts a unit's votes again: they were others before.
func (c *census) move(before, after []Vote) {
	for _, v := range after {
		if c.votes[v.Worker]++; c.votes[v.Worker] == 1 {
			c.names = nil
		}
	}
	for _, v := range before {
		if c.votes[v.Worker]--; c.votes[v.Worker] == 0 {
			delete(c.votes, v.Worker)
			c.names = nil
		}
	}
}

func (c *census) donors() []jobs.NodeID {
	if c.names == nil {
		for d := range c.votes {
			c.names = append(c.names, d)
		}
		slices.SortFunc(c.names, compareNodes)
		c.names = c.names[:min(len(c.names), MaxSummaryDonors)]
	}
	return c.names
}

// Decided reports whether no unit of the shard is left to do.
func (s *Summary) Decided() bool {
	for i := range s.Len() {
		if !s.Unit(i).State.Decided() {
			return false
		}
	}
	return true
}
