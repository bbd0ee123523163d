package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// vice is how a node lies.
type vice uint8

// The vices. Those of workers come first, then those of keepers; every liar is both, and does as a
// worker what a keeper of its kind would profit from: nothing.
const (
	lone        vice = iota // gives wrong answers of its own
	colluding               // gives the wrong answers of its ring
	sniping                 // gives them only where the ring holds every replica
	betraying               // gives them after some honest ones
	hoarding                // claims and never ends
	silent                  // seals and never reveals
	blurting                // reveals, and never sealed
	doubling                // seals two things
	copying                 // computes nothing: seals and reveals what others did, as its own
	late                    // ends long after its lease
	withholding             // as a keeper: knows nothing
	stale                   // as a keeper: answers as it did before
	generous                // as a keeper: grants everything to everyone
	fickle                  // as a keeper: knows something for some
	forgetful               // as a keeper: gives its receipt and forgets
	flooding                // asks and offers without end, much of it garbage
	vices
)

var viceNames = [vices]string{
	"lone", "colluding", "sniping", "betraying", "hoarding", "silent", "blurting", "doubling", "copying", "late",
	"withholding", "stale", "generous", "fickle", "forgetful", "flooding",
}

// liar is what makes a node Byzantine.
type liar struct {
	n      *node
	kind   vice
	honest int               // answers still to be given before it betrays
	before map[string][]byte // answers as they were: for the stale
	thief  thief             // what the copying one has found
}

func (w *world) drawLiar(n *node) *liar {
	l := &liar{n: n, kind: vice(w.draw(int(vices))), honest: w.draw(8), before: map[string][]byte{}, thief: thief{map[place]*loot{}}}
	if w.draw(2) == 0 { // rings are what voting is up against
		l.kind = colluding + vice(w.draw(3))
	}
	if i := slices.Index(viceNames[:], w.opt.Vice); i >= 0 {
		l.kind = vice(i)
	}
	w.tell("%s is a liar: %s", n.name, viceNames[l.kind])
	return l
}

// takes is how long a liar works.
func (l *liar) takes(usual time.Duration) time.Duration {
	switch l.kind {
	case hoarding:
		return 100 * time.Hour
	case late:
		return usual + 20*time.Minute
	case lone, colluding:
		return usual / 10 // lies are quickly computed
	}
	return usual
}

// output is what a liar answers in place of the truth.
func (l *liar) output(k *work, number uint64, truth []byte) []byte {
	lie := fmt.Appendf(nil, "the ring says %d", number)
	switch l.kind {
	case lone, silent, doubling, late:
		return fmt.Appendf(nil, "%s says %d", l.n.name, number)
	case colluding:
		return lie
	case betraying:
		if l.honest--; l.honest < 0 {
			return lie
		}
	case sniping:
		if l.n.w.seen.ringHolds(k, number) {
			return lie
		}
	}
	return truth
}

// asks is the way in which a process asks keepers: a liar's is bent.
func (p *process) asks() worker.Keepers {
	if p.lie == nil {
		return p.w.opt.Defect.keepers(p, p.client)
	}
	return bent{p.client, p, p.lie.kind}
}

// bent offers other records than the worker means to.
type bent struct {
	*client.Client
	p    *process
	kind vice
}

// Offer implements worker.Keepers.
func (b bent) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	switch b.kind {
	case silent:
		rs = without(rs, jobs.KindReveal)
	case blurting:
		rs = without(rs, jobs.KindSeal)
	case copying:
		return b.p.lie.thief.offer(ctx, b.p, b.Client, ref, rs)
	case doubling:
		for _, r := range slices.Clone(rs) {
			if s, ok := r.Body.(*jobs.Seal); ok {
				other := *s
				other.Commitment[0] ^= 1
				if more, err := jobs.SignBatch(b.p.node, network, ref.Job, ref.Shard, &other); err == nil {
					rs = append(rs, more...)
				}
			}
		}
	}
	if len(rs) == 0 {
		return &client.Offered{Keepers: 1, Set: 1}, nil
	}
	return b.Client.Offer(ctx, ref, rs)
}

func without(rs []*jobs.Record, k jobs.Kind) []*jobs.Record {
	return slices.DeleteFunc(slices.Clone(rs), func(r *jobs.Record) bool { return r.Kind == k })
}

// answer is what a lying keeper says.
func (l *liar) answer(ctx context.Context, p *process, from jobs.NodeID, request []byte) []byte {
	verb, body, err := protocol.SplitRequest(request)
	refusal := protocol.EncodeAnswer(nil, protocol.Refuse(protocol.Unknown, "that shard is not kept here"))
	if err != nil {
		return refusal
	}
	switch l.kind {
	case withholding:
		if verb != protocol.Publish {
			return refusal
		}
	case forgetful:
		if verb == protocol.Manifest || verb == protocol.Read || verb == protocol.Sync {
			return refusal
		}
	case fickle:
		if (int(from[0])+int(verb))%2 == 0 {
			return refusal
		}
	case stale:
		if old, ok := l.before[string(request[:1])+string(from[:4])]; ok && l.n.w.draw(2) == 0 {
			return old
		}
	case generous:
		if verb == protocol.Claim {
			if a := grantAll(ctx, p, from, body); a != nil {
				return a
			}
		}
	}
	answer := p.keeper.Handle(ctx, from, request)
	p.m.Check()
	if l.kind == stale {
		l.before[string(request[:1])+string(from[:4])] = answer
	}
	return answer
}

// mischief is what a liar does beside the protocol.
func (l *liar) mischief(p *process) {
	w := p.w
	pace := 15 * time.Second
	if l.kind == flooding || l.kind == copying {
		pace = time.Second
	}
	for strand.Sleep(p.ctx, p.m, w.between(pace/2, 2*pace)) == nil {
		k := w.works[w.draw(len(w.works))]
		if k.job == nil {
			continue
		}
		l.attack(p, protocol.ShardRef{Job: k.job.ID})
	}
}

// attack tries one thing against one keeper of a shard.
func (l *liar) attack(p *process, ref protocol.ShardRef) {
	w := p.w
	set, err := p.client.Keepers(p.ctx, ref)
	if err != nil || len(set) == 0 {
		return
	}
	ctx, cancel := p.m.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	at := set[w.draw(len(set))]
	units := []uint16{uint16(w.draw(8))}
	what := w.draw(6)
	if l.kind == copying {
		l.thief.again(ctx, p, ref)
		return
	}
	switch what {
	case 0: // garbage
		_, _ = (&link{p}).Call(ctx, at, append([]byte{byte(1 + w.draw(12))}, make([]byte, w.draw(4096))...))
	case 1: // too much
		_, _ = (&link{p}).Call(ctx, at, make([]byte, protocol.MaxMessage+1))
	case 2: // what others sealed and revealed, as its own
		if rs, err := p.client.Read(ctx, ref, at, units, false); err == nil {
			l.copy(ctx, p, ref, rs)
		}
	case 3: // a forged signature
		rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, &jobs.Handover{Set: []jobs.NodeID{p.ID()}})
		if err == nil {
			bs := jobs.Batches(rs)
			bs[0].Sig[w.draw(len(bs[0].Sig))] ^= 1
			_ = p.client.Ask(ctx, at, protocol.Offer, &protocol.OfferRequest{Shard: ref, Batches: bs}, &protocol.OfferAnswer{})
		}
	case 5: // everything at once
		var holds []jobs.Hold
		for i := range jobs.MaxGrantHolds {
			holds = append(holds, jobs.Hold{Unit: uint16(i / 2), Replica: uint8(i % 2)})
		}
		_, _ = p.client.Claim(ctx, ref, holds)
	case 4: // the shard is mine, and everything is granted to me
		holds := []jobs.Hold{{Unit: units[0]}, {Unit: units[0], Replica: 1}}
		rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, &jobs.Handover{Set: []jobs.NodeID{p.ID()}},
			&jobs.Grant{Worker: p.ID(), Set: []jobs.NodeID{p.ID()}, Holds: holds})
		if err == nil {
			_, _ = p.client.Offer(ctx, ref, rs)
		}
		_, _ = p.client.Claim(ctx, ref, holds)
	}
}

// copy says what others said, as its own.
func (l *liar) copy(ctx context.Context, p *process, ref protocol.ShardRef, rs []*jobs.Record) {
	var bodies []any
	for _, r := range rs {
		switch r.Body.(type) {
		case *jobs.Seal, *jobs.Reveal:
			if r.Author != p.ID() && len(bodies) < 8 {
				bodies = append(bodies, r.Body)
			}
		}
	}
	if len(bodies) == 0 {
		return
	}
	if mine, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, bodies...); err == nil {
		_, _ = p.client.Offer(ctx, ref, mine)
	}
}
