package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// liar is what makes a node Byzantine.
type liar struct {
	n      *node
	kind   vice
	honest int                               // answers still to be given before it betrays
	before map[string][]byte                 // answers as they were: for the stale
	thief  thief                             // what the copying one has found
	lies   int                               // told under its present key
	keys   int                               // that it has gone through
	ground map[protocol.ShardRef]bool        // jobs that it has made a key for
	held   map[protocol.ShardRef][]jobs.Hold // all that one who renews for ever ever held
	gone   map[protocol.ShardRef]bool        // given a receipt for, by who renounces
}

func (w *world) drawLiar(n *node) *liar {
	kinds := cheats
	if w.opt.Early {
		kinds = firstVices
	}
	l := &liar{n: n, kind: vice(w.draw(int(kinds))), honest: w.draw(8), before: map[string][]byte{}, thief: thief{map[place]*loot{}}, held: map[protocol.ShardRef][]jobs.Hold{}, gone: map[protocol.ShardRef]bool{}, ground: map[protocol.ShardRef]bool{}}
	if w.draw(2) == 0 { // rings are what voting is up against
		l.kind = colluding + vice(w.draw(3))
	}
	if v, ok := w.asked(lone, cheats); ok {
		l.kind = v
	}
	w.tell("%s is a liar: %s", n.name, viceNames[l.kind])
	return l
}

// commits notes that a liar did what it is one for.
func (l *liar) commits() { l.n.w.commits(l.kind) }

// takes is how long a liar works.
func (l *liar) takes(usual time.Duration) time.Duration {
	switch l.kind {
	case hoarding, renewing:
		l.commits()
		return 100 * time.Hour
	case late:
		l.commits()
		return usual + 20*time.Minute
	case lone, colluding, whitewashing, grinding:
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
	case colluding, whitewashing, grinding:
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

// lied notes that a liar gave a wrong answer.
func (l *liar) lied() {
	l.lies++
	l.n.w.report.Lies++
	switch l.kind {
	case lone, colluding, sniping, betraying:
		l.commits()
	}
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
	was := len(rs)
	switch b.kind {
	case silent:
		rs = without(rs, jobs.KindReveal)
	case blurting:
		rs = without(rs, jobs.KindSeal)
	case copying:
		return b.p.lie.thief.offer(ctx, b.p, b.Client, ref, rs)
	case doubling:
		rs = append(slices.Clone(rs), b.others(ref, rs)...)
	case splitting:
		if other := b.others(ref, rs); len(other) > 0 {
			return b.split(ctx, ref, rs, append(other, without(rs, jobs.KindSeal)...))
		}
	}
	if len(rs) != was {
		b.p.w.commits(b.kind)
	}
	if len(rs) == 0 {
		return &client.Offered{Keepers: 1, Set: 1}, nil
	}
	return b.Client.Offer(ctx, ref, rs)
}

func without(rs []*jobs.Record, k jobs.Kind) []*jobs.Record {
	return slices.DeleteFunc(slices.Clone(rs), func(r *jobs.Record) bool { return r.Kind == k })
}

// others are seals that say something else than those among some records.
func (b bent) others(ref protocol.ShardRef, rs []*jobs.Record) (out []*jobs.Record) {
	for _, r := range rs {
		if s, ok := r.Body.(*jobs.Seal); ok {
			other := *s
			other.Commitment[0] ^= 1
			if more, err := jobs.SignBatch(b.p.node, network, ref.Job, ref.Shard, &other); err == nil {
				out = append(out, more...)
			}
		}
	}
	return out
}

// split offers one thing to some of a shard's keepers and another to the others.
func (b bent) split(ctx context.Context, ref protocol.ShardRef, rs, others []*jobs.Record) (*client.Offered, error) {
	set, err := b.Keepers(ctx, ref)
	if err != nil {
		return nil, err
	}
	b.p.w.commits(splitting)
	for i, at := range set {
		q := &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(rs)}
		if i%2 == 1 {
			q.Batches = jobs.Batches(others)
		}
		b.p.offersTo(ctx, at, q)
	}
	return &client.Offered{Keepers: len(set), Set: len(set)}, nil
}

// offersTo offers one keeper something whatever it answers, for a few seconds.
func (p *process) offersTo(ctx context.Context, at jobs.NodeID, q *protocol.OfferRequest) {
	ctx, cancel := p.m.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, _ = (&link{p}).Call(ctx, at, protocol.EncodeRequest(protocol.Offer, q))
}

// Renew implements worker.Keepers: who never ends renews all that it ever held, and hears of no loss.
func (b bent) Renew(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) ([]jobs.Hold, error) {
	if b.kind != renewing {
		return b.Client.Renew(ctx, ref, holds)
	}
	l := b.p.lie
	for _, h := range holds {
		if !slices.Contains(l.held[ref], h) {
			l.held[ref] = append(l.held[ref], h)
		}
	}
	slices.SortFunc(l.held[ref], jobs.CompareHolds)
	_, err := b.Client.Renew(ctx, ref, slices.Clone(l.held[ref]))
	return nil, err
}
