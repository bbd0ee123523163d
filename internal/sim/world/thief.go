package world

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// thief is what a liar does that copies. What its machine computes never leaves it: under the grants
// that it was given it says of each unit what others said of it, as far as keepers show that. Of
// units with an even number it repeats a neighbour's commitment as it is, and later its reveal; of
// others it waits until a neighbour's answer can be read, and seals and reveals that under a nonce
// of its own, hiding which seals it has seen where a coin says so. It never says two things.
type thief struct {
	loots map[place]*loot
}

type place struct {
	ref  protocol.ShardRef
	unit uint16
}

// loot is a seal with the thief's grants, once it has them, and what it says of the unit, once it
// has found something to say.
type loot struct {
	seal   jobs.Seal
	with   []*jobs.Record
	says   bool
	hides  bool
	reveal *jobs.Reveal
}

// offer takes the place of the worker's offer.
func (t *thief) offer(ctx context.Context, p *process, c *client.Client, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	var with []*jobs.Record
	for _, r := range rs {
		switch b := r.Body.(type) {
		case *jobs.Seal:
			at := place{ref, b.Unit}
			if t.loots[at] == nil {
				t.loots[at] = &loot{hides: p.w.draw(2) == 0}
			}
			if l := t.loots[at]; !l.says {
				l.seal, l.with = *b, nil
			}
		case *jobs.Grant:
			with = append(with, r)
		}
	}
	var say []any
	for _, r := range rs {
		if b, ok := r.Body.(*jobs.Seal); ok {
			l := t.loots[place{ref, b.Unit}]
			l.with = with
			say = append(say, t.steal(ctx, p, c, place{ref, b.Unit}, l)...)
		}
	}
	return t.tell(ctx, p, c, ref, say, with)
}

// again looks whether there is more to copy of what it was granted.
func (t *thief) again(ctx context.Context, p *process, ref protocol.ShardRef) {
	for unit := range uint16(jobs.UnitsPerShard) {
		at := place{ref, unit}
		l := t.loots[at]
		if l == nil || l.reveal != nil {
			continue
		}
		if say := t.steal(ctx, p, p.client, at, l); len(say) > 0 {
			_, _ = t.tell(ctx, p, p.client, ref, say, l.with)
		}
	}
}

func (t *thief) tell(ctx context.Context, p *process, c *client.Client, ref protocol.ShardRef, say []any, with []*jobs.Record) (*client.Offered, error) {
	if len(say) == 0 {
		return &client.Offered{Keepers: 1, Set: 1}, nil
	}
	mine, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, say...)
	if err != nil {
		return nil, err
	}
	return c.Offer(ctx, ref, append(mine, with...))
}

// steal is what it has to say of a unit now.
func (t *thief) steal(ctx context.Context, p *process, c *client.Client, at place, l *loot) []any {
	seals, reveals := t.neighbours(ctx, p, c, at)
	verbatim := at.unit%2 == 0
	switch {
	case l.says:
	case verbatim && len(seals) > 0:
		l.seal.Commitment, l.says = seals[0].Body.(*jobs.Seal).Commitment, true
	case !verbatim && len(reveals) > 0:
		told := reveals[0].Body.(*jobs.Reveal)
		l.seal.Commitment, l.says = jobs.Commit(at.ref.Job, at.ref.Shard, at.unit, p.ID(), told.Tuples, stolenNonce), true
	default:
		return nil
	}
	say := []any{&l.seal}
	if l.reveal == nil && len(reveals) > 0 {
		told := *reveals[0].Body.(*jobs.Reveal)
		told.Replica = l.seal.Replica
		if !verbatim {
			told.Nonce = stolenNonce
		}
		told.Seals = nil
		for _, s := range seals {
			if !l.hides {
				told.Seals = append(told.Seals, s.ID)
			}
		}
		l.reveal = &told
	}
	if l.reveal != nil {
		say = append(say, l.reveal)
	}
	return say
}

var stolenNonce = jobs.Digest{7}

// neighbours are what the keepers show of others' seals and reveals.
func (t *thief) neighbours(ctx context.Context, p *process, c *client.Client, at place) (seals, reveals []*jobs.Record) {
	set, err := c.Keepers(ctx, at.ref)
	if err != nil {
		return nil, nil
	}
	for _, k := range set {
		asking, cancel := p.m.WithTimeout(ctx, time.Second)
		rs, err := c.Read(asking, at.ref, k, []uint16{at.unit}, false)
		cancel()
		if err != nil {
			continue
		}
		for _, r := range rs {
			switch {
			case r.Author == p.ID():
			case r.Kind == jobs.KindSeal:
				seals = append(seals, r)
			case r.Kind == jobs.KindReveal:
				reveals = append(reveals, r)
			}
		}
	}
	return seals, reveals
}
