package world

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// question is what a lying keeper is asked.
type question struct {
	from jobs.NodeID
	raw  []byte
	verb protocol.Verb
	body []byte
}

func unknownHere() []byte {
	return protocol.EncodeAnswer(nil, protocol.Refuse(protocol.Unknown, "that shard is not kept here"))
}

// answer is what a lying keeper says.
func (l *liar) answer(ctx context.Context, p *process, from jobs.NodeID, request []byte) []byte {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return unknownHere()
	}
	q := question{from, request, verb, body}
	if instead := l.instead(ctx, p, q); instead != nil {
		l.commits()
		return instead
	}
	answer := p.keeper.Handle(ctx, from, request)
	p.m.Check()
	if l.kind == stale {
		l.before[q.again()] = answer
	}
	if bent := l.bend(p, q, answer); bent != nil {
		l.commits()
		return bent
	}
	return answer
}

// again is what a stale keeper takes two questions for the same by.
func (q *question) again() string { return string(q.raw[:1]) + string(q.from[:4]) }

// instead is what a liar answers without a look at what is asked; nil: nothing else than others.
func (l *liar) instead(ctx context.Context, p *process, q question) []byte {
	switch l.kind {
	case withholding:
		if q.verb != protocol.Publish {
			return unknownHere()
		}
	case forgetful:
		if q.verb == protocol.Manifest || q.verb == protocol.Read || q.verb == protocol.Sync {
			return unknownHere()
		}
	case fickle:
		if (int(q.from[0])+int(q.verb))%2 == 0 {
			return unknownHere()
		}
	case stale:
		if old, ok := l.before[q.again()]; ok && l.n.w.draw(2) == 0 {
			return old
		}
	case generous, grinding:
		if q.verb == protocol.Claim {
			return grantAll(ctx, p, q.from, q.body, nil)
		}
	case renouncing:
		return l.renounces(q)
	case slow:
		l.commits()
		_ = strand.Sleep(ctx, p.m, l.n.w.between(time.Second, 8*time.Second))
		p.m.Check()
	}
	return nil
}

// renounces is to know nothing of a shard once a receipt for it was given.
func (l *liar) renounces(q question) []byte {
	var ref protocol.ShardRef
	switch q.verb {
	case protocol.Publish:
		return nil
	case protocol.Manifest, protocol.Holders:
		if protocol.DecodeRequest(q.body, &ref) != nil {
			return nil
		}
		return l.denies(ref)
	}
	for ref := range l.gone { // every other request begins with its shard
		if bytes.Contains(q.body[:min(len(q.body), 48)], ref.Job[:]) {
			return unknownHere()
		}
	}
	return nil
}

func (l *liar) denies(ref protocol.ShardRef) []byte {
	if l.gone[ref] {
		return unknownHere()
	}
	return nil
}

// bend is what a liar makes of an honest answer; nil: nothing.
func (l *liar) bend(p *process, q question, answer []byte) []byte {
	if len(answer) == 0 || answer[0] != 0 {
		return nil
	}
	switch l.kind {
	case renouncing:
		if q.verb == protocol.Publish {
			l.renounced(q)
		}
	case redrawing:
		if q.verb == protocol.Publish {
			return l.redraws(q)
		}
	case garbling:
		return l.garbles(answer)
	case twofaced:
		return l.faces(q, answer)
	case inventing:
		return l.invents(p, q, answer)
	}
	return nil
}

// published is the shard that a request is to have kept.
func published(q question) (ref protocol.ShardRef, ok bool) {
	var m protocol.PublishRequest
	if protocol.DecodeRequest(q.body, &m) != nil {
		return ref, false
	}
	job, err := jobs.OpenHead(m.Head, network)
	if err != nil {
		return ref, false
	}
	return protocol.ShardRef{Job: job.ID, Shard: m.Shard}, true
}

func (l *liar) renounced(q question) {
	if ref, ok := published(q); ok {
		l.gone[ref] = true
	}
}

// redraws gives a receipt that it never gave before.
func (l *liar) redraws(q question) []byte {
	ref, ok := published(q)
	if !ok {
		return nil
	}
	body := &jobs.Receipt{Until: 1 << 40}
	body.Secret[0] = byte(l.n.w.draw(256))
	body.Secret[1] = byte(l.n.w.draw(256))
	rs, err := jobs.SignBatch(l.n, network, ref.Job, ref.Shard, body)
	if err != nil {
		return nil
	}
	return protocol.EncodeAnswer(&protocol.PublishAnswer{Receipt: jobs.Batches(rs)}, nil)
}

// garbles changes a byte of an answer, cuts it short, or adds to it.
func (l *liar) garbles(answer []byte) []byte {
	w := l.n.w
	out := bytes.Clone(answer)
	switch w.draw(6) {
	case 0:
		return out[:w.draw(len(out))]
	case 1:
		return append(out, make([]byte, 1+w.draw(100))...)
	case 2, 3:
		out[w.draw(len(out))] ^= byte(1 << w.draw(8))
		return out
	}
	return nil
}

// faces tells half of all nodes that all is done, and the others that nothing is.
func (l *liar) faces(q question, answer []byte) []byte {
	state, free := byte(scheduler.Agreed)|scheduler.HeldFlag, byte(0)
	if q.from[0]%2 == 0 {
		state, free = byte(scheduler.Open), 0xff
	}
	return resummed(q.verb, answer, func(s *scheduler.Summary) {
		for i := 0; i+1 < len(s.Units); i += 2 {
			s.Units[i], s.Units[i+1] = state, free
		}
	})
}

// resummed is an answer with another summary; nil where it has none.
func resummed(v protocol.Verb, answer []byte, change func(*scheduler.Summary)) []byte {
	var a any
	var sum **scheduler.Summary
	switch v {
	case protocol.Summary:
		m := &protocol.SummaryAnswer{}
		a, sum = m, &m.Summary
	case protocol.Claim:
		m := &protocol.ClaimAnswer{}
		a, sum = m, &m.Summary
	case protocol.Offer:
		m := &protocol.OfferAnswer{}
		a, sum = m, &m.Summary
	default:
		return nil
	}
	if protocol.DecodeAnswer(answer, a) != nil || *sum == nil {
		return nil
	}
	change(*sum)
	return protocol.EncodeAnswer(a, nil)
}

// invents answers with what is not: more units than there are, grants that nobody asked for, the end
// of everything.
func (l *liar) invents(p *process, q question, answer []byte) []byte {
	w := l.n.w
	switch q.verb {
	case protocol.Claim:
		var m protocol.ClaimRequest
		if w.draw(2) == 0 && protocol.DecodeRequest(q.body, &m) == nil {
			m.Holds = []jobs.Hold{{Unit: 0}, {Unit: uint16(w.draw(1 << 16)), Replica: uint8(w.draw(256))}}
			return grantAll(p.ctx, p, q.from, jobs.Encode(m), nil)
		}
	case protocol.Watch:
		return l.inventsRounds(q)
	case protocol.Renew:
		var m protocol.RenewRequest
		if protocol.DecodeRequest(q.body, &m) == nil {
			return protocol.EncodeAnswer(&protocol.RenewAnswer{Lost: append(m.Holds, jobs.Hold{Unit: 1 << 15})}, nil)
		}
	case protocol.Read:
		var m protocol.ReadRequest
		if protocol.DecodeRequest(q.body, &m) == nil {
			return protocol.EncodeAnswer(&protocol.ReadAnswer{More: append(m.Units, 1<<15)}, nil)
		}
	case protocol.Sync:
		return protocol.EncodeAnswer(&protocol.SyncAnswer{Slots: []uint16{0, 1 << 15, 1<<16 - 1}}, nil)
	}
	return resummed(q.verb, answer, func(s *scheduler.Summary) {
		s.Version, s.Done, s.Failed, s.Executions = 1<<63, 1<<60, 1<<60, 1<<60
		s.Closed = jobs.Act(w.draw(4))
		for range 1 + w.draw(2*jobs.UnitsPerShard) {
			s.Units = append(s.Units, byte(w.draw(256)), byte(w.draw(256)))
		}
		if w.draw(2) == 0 {
			s.Lottery = &scheduler.Lottery{Donors: 1 << 31, Window: uint32(w.draw(2)), Seeds: make([]jobs.Digest, w.draw(3)), Ages: slices.Repeat([]byte{255}, w.draw(4096))}
		}
	})
}

// inventsRounds says of all that is watched that it is ready, decided, accepted and refused.
func (l *liar) inventsRounds(q question) []byte {
	var m protocol.WatchRequest
	if protocol.DecodeRequest(q.body, &m) != nil {
		return nil
	}
	a := &protocol.WatchAnswer{Ready: m.Holds}
	for _, h := range m.Holds {
		a.Decided = append(a.Decided, h.Unit)
	}
	a.Decided = append(a.Decided, m.Units...)
	a.Accepted, a.Against = a.Decided, a.Decided
	return protocol.EncodeAnswer(a, nil)
}
