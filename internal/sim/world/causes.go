package world

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// Causes counts executions that were not among the votes needed, by why they came about.
type Causes struct {
	Dispute     int `json:"dispute"` // an earlier result differs
	Hostile     int `json:"hostile"` // an earlier execution was a liar's
	Crash       int `json:"crash"`   // an earlier one ended with its machine, or was dropped
	Contact     int `json:"contact"` // an earlier one's machine was cut off, suspended or unheard
	Race        int `json:"race"`    // an earlier one was not told of yet
	Asked       int `json:"asked"`   // at strong: the submitter wants to be surer
	Unexplained int `json:"unexplained"`
}

func (c *Causes) add(o Causes) {
	c.Dispute += o.Dispute
	c.Hostile += o.Hostile
	c.Crash += o.Crash
	c.Contact += o.Contact
	c.Race += o.Race
	c.Asked += o.Asked
	c.Unexplained += o.Unexplained
}

// state is how far an execution is.
type state uint8

const (
	running state = iota
	dropped
	done
)

// execution is one run of one unit by one node.
type execution struct {
	by         *node
	as         jobs.NodeID // its name then
	run        int         // of its node's processes
	start, end time.Duration
	state      state
	out        []byte
}

func (x *execution) gave(out []byte) { x.state, x.out = done, out }

func (x *execution) stop(at time.Duration, s state) {
	if x.state == running {
		x.state, x.end = s, at
	}
}

// ending is what a guest tells of its execution.
type ending struct {
	*execution
	w *world
}

func (e ending) end(s state) { e.stop(e.w.loop.Elapsed(), s) }

func (e ending) gave(out []byte) {
	e.end(done)
	e.execution.gave(out)
}

// begins notes that a node runs a unit, and why if it is one too many.
func (s *witness) begins(p *process, k *work, prog worker.Program, number uint64, data []byte) ending {
	x := &execution{by: p.node, as: p.ID(), run: p.runs, start: s.w.loop.Elapsed()}
	e := ending{x, s.w}
	s.w.report.Executions++
	s.w.step("run", []byte(p.name), fmt.Append(nil, number))
	if k == nil {
		return e
	}
	if prog.Path != k.job.Head.Program.Digest.String() || string(data) != fmt.Sprint(k.first()+int64(number)) {
		s.w.broke("I17", "%s runs %s on %q for input %d", p.name, prog.Path, data, number)
	}
	if !slices.Contains(p.profiles(), k.job.Head.Profile) {
		s.w.broke("I17", "%s runs a program of profile %d, which its release does not know", p.name, k.job.Head.Profile)
	}
	ref := protocol.ShardRef{Job: k.job.ID, Shard: uint32(number / jobs.UnitsPerShard)}
	s.leased(p, k, ref, uint16(number%jobs.UnitsPerShard))
	before := inner(s.runs, k)[number]
	if len(before) >= k.votes {
		s.count(p, k, number, before)
	}
	s.runs[k][number] = append(before, x)
	return e
}

// count adds an execution to those of its cause.
func (s *witness) count(p *process, k *work, number uint64, before []*execution) {
	w, c := s.w, &s.w.report.Causes
	any := func(f func(*execution) bool) bool { return slices.ContainsFunc(before, f) }
	switch {
	case k.cheat != nil:
		c.Hostile++
	case any(func(x *execution) bool {
		return x.by == p.node && x.run == p.runs && x.state == done && (w.opt.Calm || x.end == w.loop.Elapsed())
	}):
		c.Unexplained++
		w.broke("I7", "%s runs unit %d again", p.name, number)
	case any(func(x *execution) bool {
		return x.state == done && !bytes.Equal(x.out, before[0].out) && before[0].state == done
	}):
		c.Dispute++
	case any(func(x *execution) bool { return x.by.lie != nil }):
		c.Hostile++
	case any(func(x *execution) bool { return x.state == dropped || x.by.p == nil || x.by == p.node }):
		c.Crash++
	case w.judges():
		c.Asked++
	case s.outOfTouch(p, k, before):
		c.Contact++
	case any(func(x *execution) bool { return x.state == running || w.loop.Elapsed()-x.start < raceWindow }):
		c.Race++
	default:
		c.Unexplained++
		w.broke("I7", "%s runs unit %d, which %d have run, for no reason", p.name, number, len(before))
	}
}

// raceWindow is how long two workers may know nothing of each other: a claim, a unit, a summary.
const raceWindow = time.Minute

// ringHolds reports whether as many of the ring run a unit as are needed to get a lie accepted.
func (s *witness) ringHolds(k *work, number uint64) bool {
	n := 0
	for _, x := range s.runs[k][number] {
		if x.by.lie != nil && x.by.lie.kind == sniping && x.state != dropped {
			n++
		}
	}
	return n >= k.votes
}

// crashed ends what a node was running.
func (s *witness) crashed(n *node) {
	s.lost(n)
	for _, units := range s.runs {
		for _, xs := range units {
			for _, x := range xs {
				if x.by == n {
					x.stop(s.w.loop.Elapsed(), dropped)
				}
			}
		}
	}
}

// lost notes that a node was out of touch just now: down, cut off, still, or not answered in time.
func (s *witness) lost(ns ...*node) {
	for _, n := range ns {
		s.touch[n] = s.w.loop.Elapsed()
	}
}

// outOfTouch reports whether somebody to whom a unit's executions matter was out of touch since a
// lease before the first of them: who ran it, who runs it now, or one who may keep it.
func (s *witness) outOfTouch(p *process, k *work, before []*execution) bool {
	since := before[0].start - k.job.Head.LeaseTime()
	return slices.ContainsFunc(s.w.nodes, func(n *node) bool {
		at, ever := s.touch[n]
		concerned := n.role.keeps || n == p.node || slices.ContainsFunc(before, func(x *execution) bool { return x.by == n })
		return ever && at >= since && concerned
	})
}
