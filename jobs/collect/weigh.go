package collect

import (
	"context"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// judgeShard reads what there is of some units, from every keeper that answers, and accepts, asks
// for votes, or has units run here.
func (c *Collector) judgeShard(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, set []jobs.NodeID, todo []uint16) error {
	ledger := scheduler.NewLedger(c.job, ref.Shard, m)
	var err error
	heard := 0
	for _, at := range set {
		var rs []*jobs.Record
		if rs, err = c.cfg.Keepers.Read(ctx, ref, at, todo, true); err == nil {
			heard++
		}
		c.apply(ledger, m, rs)
	}
	if heard == 0 {
		return err
	}
	c.trial.convict(ledger)
	var asks []jobs.UnitAsk
	var done []judged
	whom := c.trial.whom()
	for _, n := range todo {
		c.openVotes(ctx, ref, m, ledger, int(n), set)
		v := ledger.Verdict(int(n))
		if answer, ok := ledger.Final(int(n)); ok {
			u, uerr := c.adopt(ctx, ref, m, ledger, n, answer, set)
			if uerr != nil {
				err = uerr // judging it again could contradict what was said
				continue
			}
			done = append(done, judged{n, u})
			continue
		}
		votes := votesOf(ledger, v, int(c.job.Head.Policy.Votes))
		d := c.trial.decide(c.rt.Now(), ref, n, votes, unnamed(ledger, n, whom))
		if d.Step == trust.More && exhausted(votes, whom) {
			d.Step = trust.Run
		}
		switch d.Step {
		case trust.Accept:
			u, uerr := c.assembleAnswer(ctx, ref, m, ledger, int(n), d, set)
			if uerr != nil {
				err = uerr
				continue
			}
			c.keepNames(ctx, ref, &m.Units[n], set)
			done = append(done, judged{n, u})
		case trust.More:
			asks = append(asks, jobs.UnitAsk{Unit: n, Votes: uint8(min(len(v.Votes)+d.More, jobs.MaxVotes))})
		case trust.Run:
			asks = append(asks, jobs.UnitAsk{Unit: n, Votes: jobs.OwnRun})
		}
	}
	if aerr := c.ask(ctx, ref, ledger, asks, whom); aerr != nil {
		err = aerr
	}
	if derr := c.keepJudged(ctx, ref, ledger, todo, done); derr != nil {
		err = derr
	}
	return err
}

// votesOf are a unit's votes as its acceptance sees them. Who gave an input up has not voted; a
// vote is late unless it is independent of as many others as the first round has, and no copy of
// one that says the same.
func votesOf(l *scheduler.Ledger, v *scheduler.Verdict, first int) []trust.Vote {
	var out []trust.Vote
	same := map[jobs.Digest]uint32{}
	for i, x := range v.Votes {
		same[x.Reveal.Body.(*jobs.Reveal).Tuples] |= 1 << i
	}
	for i, x := range v.Votes {
		b := x.Reveal.Body.(*jobs.Reveal)
		if b.GaveUp && !x.Own {
			continue
		}
		others := 0
		for k, o := range v.Votes {
			if k != i && scheduler.Independent(x, o) {
				others++
			}
		}
		vote := trust.Vote{Worker: x.Worker, Answer: b.Tuples, Own: x.Own, Late: others < first-1 || copied(v.Votes, same[b.Tuples], i, first)}
		if x.Seal != nil {
			vote.Network = networkOf(l, x.Seal)
		}
		out = append(out, vote)
	}
	return out
}

// copied reports whether one of the votes that say the same may be a copy of another of them.
func copied(votes []scheduler.Vote, same uint32, i, first int) bool {
	return same != 1<<i && scheduler.Punctual(votes, same, first)&(1<<i) == 0
}

// networkOf is the network in which the keepers that granted a seal saw its worker; of several the
// first in order.
func networkOf(l *scheduler.Ledger, seal *jobs.Record) string {
	network := ""
	for _, r := range l.Grants(seal.Body.(*jobs.Seal).Grants) {
		if g := r.Body.(*jobs.Grant); g.Worker == seal.Author && g.Network != "" && (network == "" || g.Network < network) {
			network = g.Network
		}
	}
	return network
}
