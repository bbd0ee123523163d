package world

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// mischief is what a liar does beside the protocol.
func (l *liar) mischief(p *process) {
	w := p.w
	pace := 15 * time.Second
	switch l.kind {
	case flooding, copying:
		pace = time.Second
	case bulky, forging:
		pace = 5 * time.Second
	}
	for strand.Sleep(p.ctx, p.m, w.between(pace/2, 2*pace)) == nil {
		k := w.works[w.draw(len(w.works))]
		if k.job == nil {
			continue
		}
		l.attack(p, protocol.ShardRef{Job: k.job.ID})
	}
}

// attack tries one thing against one keeper of a shard: what its kind does, or anything.
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
	switch l.kind {
	case copying:
		l.commits()
		l.thief.again(ctx, p, ref)
		return
	case whitewashing:
		l.whitewash(p)
	case grinding:
		l.grind(p, ref)
	case bulky:
		l.overload(ctx, p, ref, at)
		return
	case forging:
		l.forge(ctx, p, ref, at)
		return
	case hoarding:
		if !w.opt.Early {
			what = 5
		}
	case flooding:
		l.commits()
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
		l.forgeHandover(ctx, p, ref, at)
	case 4: // the shard is mine, and everything is granted to me
		holds := []jobs.Hold{{Unit: units[0]}, {Unit: units[0], Replica: 1}}
		rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, &jobs.Handover{Set: []jobs.NodeID{p.ID()}},
			&jobs.Grant{Worker: p.ID(), Set: []jobs.NodeID{p.ID()}, Holds: holds})
		if err == nil {
			_, _ = p.client.Offer(ctx, ref, rs)
		}
		_, _ = p.client.Claim(ctx, ref, holds)
	case 5: // everything at once
		var holds []jobs.Hold
		for i := range jobs.MaxGrantHolds {
			holds = append(holds, jobs.Hold{Unit: uint16(i / 2), Replica: uint8(i % 2)})
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

// forgeHandover hands a shard over to itself under a signature that is not one.
func (l *liar) forgeHandover(ctx context.Context, p *process, ref protocol.ShardRef, at jobs.NodeID) {
	rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, &jobs.Handover{Set: []jobs.NodeID{p.ID()}})
	if err != nil {
		return
	}
	bs := jobs.Batches(rs)
	bs[0].Sig[p.w.draw(len(bs[0].Sig))] ^= 1
	p.offersTo(ctx, at, &protocol.OfferRequest{Shard: ref, Batches: bs})
}

// forge offers what somebody else is to have said: the submitter that it asks for nothing more, a
// keeper that it grants all, a worker that it sealed something else.
func (l *liar) forge(ctx context.Context, p *process, ref protocol.ShardRef, at jobs.NodeID) {
	w := p.w
	l.commits()
	k := w.workOf(ref.Job)
	victim := w.nodes[w.draw(len(w.nodes))].ID()
	bodies := []any{&jobs.Seal{Commitment: jobs.Digest{byte(w.draw(256))}}}
	switch w.draw(3) {
	case 0:
		victim = k.at.ID()
		bodies = []any{&jobs.Control{Number: 1 << 20, Act: jobs.ActCancel}}
	case 1:
		victim = at
		bodies = []any{&jobs.Grant{Worker: p.ID(), Set: []jobs.NodeID{at}, Holds: []jobs.Hold{{}}}}
	}
	rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, bodies...)
	if err != nil {
		return
	}
	bs := jobs.Batches(rs)
	bs[0].Author = victim
	p.offersTo(ctx, at, &protocol.OfferRequest{Shard: ref, Batches: bs})
	l.forgeHandover(ctx, p, ref, at)
}

// overload offers what is larger than it may be, or says nothing that can be.
func (l *liar) overload(ctx context.Context, p *process, ref protocol.ShardRef, at jobs.NodeID) {
	w := p.w
	l.commits()
	huge := func(n int) []byte { return make([]byte, n) }
	raw := jobs.Batch{Author: p.ID(), Job: ref.Job, Shard: ref.Shard, Count: 1}
	entry := jobs.Entry{Kind: jobs.KindReveal, Body: huge(jobs.MaxBody + 1)}
	switch w.draw(4) {
	case 0:
		raw.Entries = []jobs.Entry{entry}
	case 1:
		raw.Count = 1<<16 - 1
		for i := range 2000 {
			raw.Entries = append(raw.Entries, jobs.Entry{Index: uint16(i % 7), Kind: jobs.Kind(i), Body: huge(i % 64)})
		}
	case 2:
		raw.Entries = []jobs.Entry{{Index: 1<<16 - 1, Kind: 255, Path: make([]jobs.Digest, 4000)}}
	case 3:
		l.nonsense(ctx, p, ref, at)
		return
	}
	p.offersTo(ctx, at, &protocol.OfferRequest{Shard: ref, Batches: []jobs.Batch{raw}})
}

// nonsense offers records that are signed as they should be and that nobody can mean.
func (l *liar) nonsense(ctx context.Context, p *process, ref protocol.ShardRef, at jobs.NodeID) {
	w := p.w
	strangers := make([]jobs.NodeID, jobs.MaxKeepers)
	for i := range strangers {
		strangers[i] = p.m.Secret()
	}
	holds := make([]jobs.Hold, jobs.MaxGrantHolds)
	for i := range holds {
		holds[i] = jobs.Hold{Unit: uint16(64 * i), Replica: 255}
	}
	unit := uint16(w.draw(1 << 16))
	if w.draw(2) == 0 {
		unit = 0
	}
	rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard,
		&jobs.Seal{Unit: unit, Replica: 255, Grants: make([]jobs.Digest, jobs.MaxKeepers)},
		&jobs.Reveal{Unit: unit, Replica: 200, Inline: make([]byte, jobs.MaxInline), Seals: make([]jobs.Digest, 4*jobs.MaxVotes), CPU: 1 << 63},
		&jobs.Reveal{Unit: unit, Replica: 1, GaveUp: true, Payload: jobs.Blob{Digest: jobs.Digest{1}, Size: jobs.MaxBlob}},
		&jobs.Grant{Worker: p.ID(), Set: []jobs.NodeID{p.ID()}, Holds: holds},
		&jobs.Handover{Set: strangers}, &jobs.Receipt{Until: -1 << 63},
		&jobs.Placement{Keepers: strangers}, &jobs.Control{Number: 1<<32 - 1, Act: jobs.ActCollected},
		&jobs.Ask{Units: []jobs.UnitAsk{{Unit: unit, Votes: 255}}}, &jobs.Draw{}, &jobs.Final{Answers: make([]jobs.Digest, jobs.FinalUnits)})
	if err == nil {
		p.offersTo(ctx, at, &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(rs)})
	}
}
