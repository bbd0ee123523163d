package collect

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// What is asked for at a time in one shard. Until it comes the others can wait: every unit that is
// accepted says more about its voters, and then fewer have to be asked.
const (
	askedAtOnce = 32
	ownAtOnce   = 4
)

// unnamed reports whether there is somebody to ask whom no earlier ask about a unit names.
func unnamed(l *scheduler.Ledger, n uint16, whom []jobs.NodeID) bool {
	named := l.Named(int(n))
	return len(named) > 0 && slices.ContainsFunc(whom, func(id jobs.NodeID) bool { return !slices.Contains(named, id) })
}

// widen reports whether an ask is to be repeated to more voters: too few of those that it names are
// left to give the votes, or none of them has come for a lease. The new ones get their time.
func (t *trial) widen(now time.Time, ref protocol.ShardRef, l *scheduler.Ledger, n uint16, whom []jobs.NodeID) bool {
	if !unnamed(l, n, whom) {
		return false
	}
	votes, left := l.Verdict(int(n)).Votes, 0
	for _, id := range l.Named(int(n)) {
		if !slices.ContainsFunc(votes, func(v scheduler.Vote) bool { return v.Worker == id }) {
			left++
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := unitOf(ref, n)
	q, known := t.quiet[at]
	if left >= int(l.Asked(int(n)))-len(votes) && known && now.Sub(q.since) < t.lease {
		return false
	}
	t.quiet[at] = quiet{q.votes, now}
	return true
}

// within leaves of some asks those that are new, or that name too few, and that there is room for.
func (c *Collector) within(ref protocol.ShardRef, l *scheduler.Ledger, asks []jobs.UnitAsk, whom []jobs.NodeID) (fresh []jobs.UnitAsk) {
	room, own := askedAtOnce, ownAtOnce
	c.mu.Lock()
	accepted := c.accepted[ref.Shard]
	for n := range l.Units() {
		switch asked := l.Asked(n); {
		case accepted[n] != scheduler.Open || asked == 0:
		case asked == jobs.OwnRun:
			own--
		default:
			room--
		}
	}
	c.mu.Unlock()
	for _, a := range asks {
		switch asked := l.Asked(int(a.Unit)); {
		case asked >= a.Votes && asked != jobs.OwnRun && c.trial.widen(c.rt.Now(), ref, l, a.Unit, whom):
			fresh = append(fresh, jobs.UnitAsk{Unit: a.Unit, Votes: asked})
		case asked >= a.Votes:
		case a.Votes == jobs.OwnRun && own > 0:
			own--
			fresh = append(fresh, a)
		case a.Votes != jobs.OwnRun && (asked > 0 || room > 0):
			room--
			fresh = append(fresh, a)
		}
	}
	return fresh
}

// ask asks the keepers for votes that they were not asked for yet, with one record.
func (c *Collector) ask(ctx context.Context, ref protocol.ShardRef, l *scheduler.Ledger, asks []jobs.UnitAsk, whom []jobs.NodeID) error {
	fresh := c.within(ref, l, asks, whom)
	if len(fresh) == 0 {
		return nil
	}
	slices.SortFunc(fresh, func(a, b jobs.UnitAsk) int { return cmp.Compare(a.Unit, b.Unit) })
	rs, err := jobs.SignBatch(c.trial.signer, c.trial.network, ref.Job, ref.Shard, &jobs.Ask{Units: fresh, Voters: whom})
	if err != nil {
		return err
	}
	_, err = c.cfg.Keepers.Offer(ctx, ref, rs)
	return err
}
