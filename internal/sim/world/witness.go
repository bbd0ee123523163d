package world

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

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

// granted is whom a process of a keeper lets hold a replica: since when, and until when unless it
// is renewed.
type granted struct {
	to           jobs.NodeID
	first, until time.Time
}

// culprit is somebody who said two things in a shard.
type culprit struct {
	id  jobs.NodeID
	ref protocol.ShardRef
}

// asked is when a worker asked to hold a unit, by its own clock and by the world's.
type asked struct {
	mine  time.Time
	world time.Duration
}

// kept is the records that lie on one disk, by shard.
type kept map[protocol.ShardRef]map[jobs.Digest]*jobs.Record

// witness sees every message, execution and write, and knows who lies.
type witness struct {
	w          *world
	runs       map[*work]map[uint64][]*execution
	sealed     map[statement]jobs.Digest
	revealed   map[statement]jobs.Digest
	spoken     map[place]map[jobs.NodeID]bool       // who has sealed or revealed a unit
	seals      map[jobs.Digest]bool                 // ids of seals that were sent
	heard      map[*process]map[place][]jobs.NodeID // honest workers whose seals a keeper has acknowledged
	kept       map[*disk]kept
	acked      map[*process]map[jobs.Digest]bool
	versions   map[*process]map[protocol.ShardRef]uint64
	grants     map[*process]map[hold]granted
	renewed    map[*process]map[hold]asked
	touch      map[*node]time.Duration             // when it was last out of touch, or down
	said       map[*disk]map[statement]jobs.Digest // what seals on a disk say
	guilty     map[*disk]map[culprit]bool          // of whom two seals are on a disk that contradict each other
	convicts   map[*process]map[jobs.NodeID]bool   // those whom it has learnt of
	burned     map[*node]map[jobs.NodeID]bool      // by submitter
	troubled   map[*disk]bool
	lastCheck  time.Duration
	firstCheck time.Duration                  // of what keepers hold
	offers     map[*byte]*offered             // requests parsed, by where they lie: they come by again and again
	batches    map[jobs.Digest][]*jobs.Record // likewise what is stored, by its bytes
}

// offered is what a request brings.
type offered struct {
	shard protocol.ShardRef
	rs    []*jobs.Record
}

// maxParsed bounds what is remembered of requests and of what is stored.
const maxParsed = 2048

// offer parses an offer; nil where it is none. Only what honest nodes send is taken for signed.
func (s *witness) offer(from *node, request []byte) *offered {
	if o, ok := s.offers[&request[0]]; ok {
		return o
	}
	var o *offered
	var q protocol.OfferRequest
	if verb, body, err := protocol.SplitRequest(request); err == nil && verb == protocol.Offer && protocol.DecodeRequest(body, &q) == nil {
		verify := s.w.verify
		if from == nil || from.honest() {
			verify = unchecked
		}
		o = &offered{q.Shard, openWith(q.Batches, verify)}
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
		spoken: map[place]map[jobs.NodeID]bool{}, heard: map[*process]map[place][]jobs.NodeID{},
		seals: map[jobs.Digest]bool{}, kept: map[*disk]kept{}, acked: map[*process]map[jobs.Digest]bool{},
		versions: map[*process]map[protocol.ShardRef]uint64{}, grants: map[*process]map[hold]granted{},
		renewed: map[*process]map[hold]asked{}, touch: map[*node]time.Duration{},
		said: map[*disk]map[statement]jobs.Digest{}, guilty: map[*disk]map[culprit]bool{}, convicts: map[*process]map[jobs.NodeID]bool{}, burned: map[*node]map[jobs.NodeID]bool{}, troubled: map[*disk]bool{},
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

func open(bs []jobs.Batch) []*jobs.Record { return openWith(bs, unchecked) }

func openWith(bs []jobs.Batch, verify jobs.Verifier) []*jobs.Record {
	var out []*jobs.Record
	for i := range bs {
		if rs, err := bs[i].OpenWith(network, verify); err == nil {
			out = append(out, rs...)
		}
	}
	return out
}

// sent looks at what a node asks of another.
func (s *witness) sent(p *process, request []byte) {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return
	}
	switch verb {
	case protocol.Offer:
		if o := s.offer(p.node, request); o != nil {
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
	if o := s.offer(s.w.byID[from], request); o != nil {
		a.shard, a.rs = o.shard, o.rs
		a.old = len(a.rs) > 0 && !slices.ContainsFunc(a.rs, func(r *jobs.Record) bool { return !s.acked[p][r.ID] })
	}
	return a
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
			s.weigh(t, ref, r)
		}
	case t.name == 'c' && key[0] == 'a':
		s.accepts(t.p, key, value)
	case t.name == 'c' && key[0] == 'd':
		s.believes(t.p, jobs.NodeID(key[1:]), value)
	case t.name == 'c' && key[0] == 'f':
		if k := s.w.workOf(jobs.JobID(key[1:33])); k != nil && k.at == t.p.node {
			k.final = true
		}
	}
	if had && t.name == 'k' && key[0] == 'r' && !bytes.Equal(old, value) && sound(key, old) {
		s.w.broke("I10", "%s replaces records it has", t.p.name)
	}
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
	case t.name == 'k' && (key[0] == 'r' || key[0] == 'm'): // it lets a shard go: that is others' now
		s.letGo(t, refIn(key), key[0] == 'm')
	}
}

// letGo forgets what a keeper knew of a shard whose records are being removed; with the last of it,
// also whom it lets work there.
func (s *witness) letGo(t table, ref protocol.ShardRef, last bool) {
	if _, kept := s.kept[t.d][ref]; !kept && !last {
		return // the first record of it that was removed did the rest
	}
	delete(s.kept[t.d], ref)
	delete(s.versions[t.p], ref)
	delete(s.acked, t.p)
	maps.DeleteFunc(s.said[t.d], func(at statement, _ jobs.Digest) bool { return at.ref == ref })
	maps.DeleteFunc(s.guilty[t.d], func(c culprit, _ bool) bool { return c.ref == ref })
	maps.DeleteFunc(s.heard[t.p], func(at place, _ []jobs.NodeID) bool { return at.ref == ref })
	if last {
		maps.DeleteFunc(s.grants[t.p], func(at hold, _ granted) bool { return at.ref == ref })
	}
}
