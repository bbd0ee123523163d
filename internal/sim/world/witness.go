package world

import (
	"bytes"
	"encoding/binary"
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
	run        int // of its node's processes
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

// statement is what an honest node can say one thing about only.
type statement struct {
	by   jobs.NodeID
	ref  protocol.ShardRef
	unit uint16
}

// hold is a replica at a keeper.
type hold struct {
	ref protocol.ShardRef
	jobs.Hold
}

// granted is the last grant of a replica by a process of a keeper.
type granted struct {
	to jobs.NodeID
	at time.Time
}

// kept is the records that lie on one disk, by shard.
type kept map[protocol.ShardRef]map[jobs.Digest]*jobs.Record

// witness sees every message, execution and write, and knows who lies.
type witness struct {
	w         *world
	runs      map[*work]map[uint64][]*execution
	sealed    map[statement]jobs.Digest
	revealed  map[statement]jobs.Digest
	seals     map[jobs.Digest]bool // ids of seals that were sent
	kept      map[*disk]kept
	acked     map[*process]map[jobs.Digest]bool
	versions  map[*process]map[protocol.ShardRef]uint64
	grants    map[*process]map[hold]granted
	renewed   map[*process]map[hold]time.Time
	troubled  map[*disk]bool
	lastCheck time.Duration
	offers    map[*byte]*offered             // requests parsed, by where they lie: they come by again and again
	batches   map[jobs.Digest][]*jobs.Record // likewise what is stored, by its bytes
}

// offered is what a request brings.
type offered struct {
	shard protocol.ShardRef
	rs    []*jobs.Record
}

// maxParsed bounds what is remembered of requests and of what is stored.
const maxParsed = 2048

// offer parses an offer; nil where it is none.
func (s *witness) offer(request []byte) *offered {
	if o, ok := s.offers[&request[0]]; ok {
		return o
	}
	var o *offered
	var q protocol.OfferRequest
	if verb, body, err := protocol.SplitRequest(request); err == nil && verb == protocol.Offer && protocol.DecodeRequest(body, &q) == nil {
		o = &offered{q.Shard, open(q.Batches)}
	}
	if len(s.offers) >= maxParsed {
		clear(s.offers)
	}
	s.offers[&request[0]] = o
	return o
}

// batch parses a batch as it lies on a disk.
func (s *witness) batch(raw []byte) []*jobs.Record {
	sum := jobs.Sum(raw)
	rs, ok := s.batches[sum]
	if ok {
		return rs
	}
	var b jobs.Batch
	if jobs.Decode(raw, protocol.MaxMessage, &b) == nil {
		rs = open([]jobs.Batch{b})
	}
	if len(s.batches) >= maxParsed {
		clear(s.batches)
	}
	s.batches[sum] = rs
	return rs
}

func newWitness(w *world) *witness {
	return &witness{
		w: w, runs: map[*work]map[uint64][]*execution{}, sealed: map[statement]jobs.Digest{}, revealed: map[statement]jobs.Digest{},
		seals: map[jobs.Digest]bool{}, kept: map[*disk]kept{}, acked: map[*process]map[jobs.Digest]bool{},
		versions: map[*process]map[protocol.ShardRef]uint64{}, grants: map[*process]map[hold]granted{},
		renewed: map[*process]map[hold]time.Time{}, troubled: map[*disk]bool{},
		offers: map[*byte]*offered{}, batches: map[jobs.Digest][]*jobs.Record{},
	}
}

// inner gives m's map for a key, made when it is not there.
func inner[K, L comparable, V any](m map[K]map[L]V, k K) map[L]V {
	if m[k] == nil {
		m[k] = map[L]V{}
	}
	return m[k]
}

// unchecked trusts a signature: what is only watched is checked by whom it is meant for.
func unchecked(jobs.NodeID, []byte, []byte) bool { return true }

func open(bs []jobs.Batch) []*jobs.Record {
	var out []*jobs.Record
	for i := range bs {
		if rs, err := bs[i].OpenWith(network, unchecked); err == nil {
			out = append(out, rs...)
		}
	}
	return out
}

// sent looks at what a node asks of another.
func (s *witness) sent(p *process, to *node, request []byte) {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return
	}
	switch verb {
	case protocol.Offer:
		if o := s.offer(request); o != nil {
			for _, r := range o.rs {
				s.stated(p, o.shard, r)
			}
		}
	case protocol.Claim:
		var q protocol.ClaimRequest
		if p.honest() && protocol.DecodeRequest(body, &q) == nil {
			s.hopes(p, q.Shard, q.Holds)
		}
	case protocol.Renew:
		var q protocol.RenewRequest
		if p.honest() && protocol.DecodeRequest(body, &q) == nil && !q.Release {
			s.hopes(p, q.Shard, q.Holds)
		}
	}
}

// hopes notes that a worker asked to hold replicas, or to go on holding them.
func (s *witness) hopes(p *process, ref protocol.ShardRef, hs []jobs.Hold) {
	for _, h := range hs {
		inner(s.renewed, p)[hold{ref, jobs.Hold{Unit: h.Unit}}] = p.m.Now()
	}
}

// asking is a request that a keeper is answering.
type asking struct {
	p    *process
	from jobs.NodeID
	verb protocol.Verb
	body []byte

	shard protocol.ShardRef // of an offer
	rs    []*jobs.Record    // offered
	old   bool              // all of them were acknowledged before
}

// asked looks at a request as it comes to an honest keeper.
func (s *witness) asked(p *process, from jobs.NodeID, request []byte) *asking {
	if n := p.m.Strands(); n > maxStrands {
		s.w.broke("I22", "%s is busy with %d things at once", p.name, n)
	}
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return nil
	}
	a := &asking{p: p, from: from, verb: verb, body: body}
	if verb != protocol.Offer {
		return a
	}
	if o := s.offer(request); o != nil {
		a.shard, a.rs = o.shard, o.rs
		a.old = len(a.rs) > 0 && !slices.ContainsFunc(a.rs, func(r *jobs.Record) bool { return !s.acked[p][r.ID] })
	}
	return a
}

// begins notes that a node runs a unit, and why if it is one too many.
func (s *witness) begins(p *process, k *work, prog worker.Program, number uint64, data []byte) ending {
	x := &execution{by: p.node, run: p.runs, start: s.w.loop.Elapsed()}
	e := ending{x, s.w}
	s.w.report.Executions++
	s.w.step("run", []byte(p.name), fmt.Append(nil, number))
	if k == nil {
		return e
	}
	if prog.Path != k.job.Head.Program.Digest.String() || string(data) != fmt.Sprint(number) {
		s.w.broke("I17", "%s runs %s on %q for input %d", p.name, prog.Path, data, number)
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
	case w.fate.lossPPM > 0 || w.fate.weather > 0:
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

// stored looks at a pair that came to lie on a disk.
func (s *witness) stored(t table, key, value, old []byte, had bool) {
	switch {
	case t.name == 'k' && key[0] == 'r':
		ref := protocol.ShardRef{Job: jobs.JobID(key[1:33]), Shard: binary.BigEndian.Uint32(key[33:])}
		if s.kept[t.d] == nil {
			s.kept[t.d] = kept{}
		}
		for _, r := range s.batch(value) {
			inner(s.kept[t.d], ref)[r.ID] = r
		}
	case t.name == 'c' && key[0] == 'a':
		s.accepts(t.p, key, value)
	case t.name == 'c' && key[0] == 'f':
		if k := s.w.workOf(jobs.JobID(key[1:33])); k != nil && k.at == t.p.node {
			k.final = true
		}
	}
	if had && t.name == 'k' && key[0] == 'r' && !bytes.Equal(old, value) {
		s.w.broke("I10", "%s replaces records it has", t.p.name)
	}
}

// accepts looks at an acceptance.
func (s *witness) accepts(p *process, key, value []byte) {
	k := s.w.workOf(jobs.JobID(key[1:33]))
	if k == nil || k.at != p.node {
		return
	}
	number := unitIn(key)
	sum := [32]byte(jobs.Sum(value))
	if old, had := k.accepted[number]; had && old != sum && (k.final || !s.w.judges()) {
		s.w.broke("I4", "%s accepts another answer to input %d than it had", p.name, number)
	}
	k.accepted[number] = sum
	s.w.step("accept", key)
}

// unitIn is the number in its job of the unit that a key is about.
func unitIn(key []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(key[33:]))*jobs.UnitsPerShard + uint64(binary.BigEndian.Uint16(key[37:]))
}

// deleted looks at a pair that went from a disk.
func (s *witness) deleted(t table, key []byte) {
	switch {
	case t.name == 'c' && key[0] == 'a':
		if k := s.w.workOf(jobs.JobID(key[1:33])); k != nil && s.w.judges() && !k.final {
			delete(k.accepted, unitIn(key)) // it leaned on what fell
			return
		}
		s.w.broke("I4", "%s forgets an answer that it accepted", t.p.name)
	case t.name == 'j' && key[0] != 'c':
		s.w.broke("I5", "%s forgets a part of its own job", t.p.name)
	case t.name == 'k' && (key[0] == 'r' || key[0] == 'm'): // it let a shard go: that is others' now
		ref := protocol.ShardRef{Job: jobs.JobID(key[1:33]), Shard: binary.BigEndian.Uint32(key[33:])}
		delete(s.kept[t.d], ref)
		delete(s.versions[t.p], ref)
		delete(s.acked, t.p)
		delete(s.grants, t.p)
	}
}

// crashed ends what a node was running.
func (s *witness) crashed(n *node) {
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

// wiped forgets the disk that a node had.
func (s *witness) wiped(*node) {}
