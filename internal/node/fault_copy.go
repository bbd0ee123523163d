//go:build shoalfault

package node

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// idler gives the same answer to everything, after about the time in which others compute theirs:
// a thief must have something to copy.
type idler struct{}

const idleFor = time.Second

func (idler) Start(context.Context, worker.Program) (worker.Guest, error) { return idler{}, nil }

func (idler) Run(ctx context.Context, _ worker.Input, _ io.Writer) (worker.Report, error) {
	wait := time.NewTimer(idleFor)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return worker.Report{}, ctx.Err()
	case <-wait.C:
		return worker.Report{Tuple: jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf(nil).Digest}}, nil
	}
}

func (idler) Pause() error  { return nil }
func (idler) Resume() error { return nil }
func (idler) Close() error  { return nil }

// thief says of each unit what it finds that others said of it, as far as keepers show it. Of units
// with an even number it repeats a neighbour's seal as it is, and later a neighbour's reveal; of the
// others it waits until a neighbour's answer can be read, and seals and reveals that, under a nonce
// of its own. It never says two things, which would convict it.
type thief struct {
	*client.Client
	node *Node

	mu    sync.Mutex
	loots map[place]*loot
}

type place struct {
	ref  protocol.ShardRef
	unit uint16
}

// loot is a seal with the thief's grants, and whether it has a commitment by now.
type loot struct {
	jobs.Seal
	sealed bool
}

func (t *thief) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	set, err := t.Keepers(ctx, ref)
	if err != nil {
		return nil, err
	}
	var say []any
	var with []*jobs.Record
	for _, r := range rs {
		switch b := r.Body.(type) {
		case *jobs.Seal:
			say = append(say, t.copied(ctx, set, place{ref, b.Unit}, b, false)...)
		case *jobs.Reveal:
			say = append(say, t.copied(ctx, set, place{ref, b.Unit}, nil, true)...)
		default:
			with = append(with, r)
		}
	}
	if len(say) > 0 {
		own, err := jobs.SignBatch(t.node.identity, t.node.network, ref.Job, ref.Shard, say...)
		if err != nil {
			return nil, err
		}
		with = append(with, own...)
	}
	if len(with) == 0 {
		return &client.Offered{Keepers: len(set), Set: len(set)}, nil
	}
	return t.Client.Offer(ctx, ref, with)
}

// copied is what it says of a unit: its seal, once there is something to copy, and its reveal, once
// somebody's can be read.
func (t *thief) copied(ctx context.Context, set []jobs.NodeID, at place, mine *jobs.Seal, reveal bool) (say []any) {
	seals, reveals := t.neighbours(ctx, at, set)
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.loots[at]
	if l == nil && mine != nil {
		l = &loot{Seal: *mine}
		t.loots[at] = l
	}
	if l == nil {
		return nil
	}
	var told jobs.Reveal
	if len(reveals) > 0 {
		told = *reveals[0].Body.(*jobs.Reveal)
	}
	verbatim := at.unit%2 == 0
	if !verbatim {
		told.Nonce = jobs.Digest{7}
	}
	switch {
	case l.sealed:
	case verbatim && len(seals) > 0:
		l.Commitment, l.sealed = seals[0].Body.(*jobs.Seal).Commitment, true
	case !verbatim && len(reveals) > 0:
		l.Commitment, l.sealed = jobs.Commit(at.ref.Job, at.ref.Shard, at.unit, t.node.identity.ID(), told.Tuples, told.Nonce), true
	default:
		return nil
	}
	seal := l.Seal
	say = append(say, &seal)
	if reveal && len(reveals) > 0 {
		told.Replica = l.Replica
		say = append(say, &told)
	}
	return say
}

// neighbours are what every keeper, this node among them, shows of others' seals and reveals.
func (t *thief) neighbours(ctx context.Context, at place, set []jobs.NodeID) (seals, reveals []*jobs.Record) {
	for _, k := range set {
		rs, err := t.Read(ctx, at.ref, k, []uint16{at.unit}, false)
		if err != nil {
			continue
		}
		for _, r := range rs {
			switch {
			case r.Author == t.node.identity.ID():
			case r.Kind == jobs.KindSeal:
				seals = append(seals, r)
			case r.Kind == jobs.KindReveal:
				reveals = append(reveals, r)
			}
		}
	}
	return seals, reveals
}
