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
	j := judging{Collector: c, ref: ref, manifest: m, ledger: ledger, set: set, whom: c.trial.whom(), drawn: ledger.Drawn()}
	for _, n := range todo {
		if uerr := j.judge(ctx, n); uerr != nil {
			err = uerr
		}
	}
	if aerr := c.ask(ctx, ref, ledger, append(j.asks, j.ownRuns()...), j.whom); aerr != nil {
		err = aerr
	}
	if derr := c.keepJudged(ctx, ref, ledger, todo, j.done); derr != nil {
		err = derr
	}
	return err
}

// judging is one look at some units of a shard.
type judging struct {
	*Collector
	ref      protocol.ShardRef
	manifest *jobs.Manifest
	ledger   *scheduler.Ledger
	set      []jobs.NodeID   // keepers
	whom     []jobs.NodeID   // donors that may vote late
	drawn    map[uint16]bool // draws in which the submitter had a part

	done []judged
	asks []jobs.UnitAsk
	run  []uint16       // units that are for the submitter to run
	said [][]trust.Vote // of each
}

// judge decides about one unit.
func (j *judging) judge(ctx context.Context, n uint16) error {
	j.openVotes(ctx, j.ref, j.manifest, j.ledger, int(n), j.set)
	v := j.ledger.Verdict(int(n))
	if answer, ok := j.ledger.Final(int(n)); ok { // judging it again could contradict what was said
		u, err := j.adopt(ctx, j.ref, j.manifest, j.ledger, n, answer, j.set)
		if err == nil {
			j.done = append(j.done, judged{n, u})
		}
		return err
	}
	votes := votesOf(j.ledger, v, int(j.job.Head.Policy.Votes))
	if !j.drawn[n/jobs.DrawUnits] {
		j.trial.foresee(j.ref, n)
	}
	d := j.trial.decide(j.rt.Now(), j.ref, n, votes, unnamed(j.ledger, n, j.whom))
	if d.Step == trust.More && exhausted(votes, j.whom) {
		d.Step = trust.Run
	}
	switch d.Step {
	case trust.Accept:
		u, err := j.assembleAnswer(ctx, j.ref, j.manifest, j.ledger, int(n), d, j.set)
		if err != nil {
			return err
		}
		j.keepNames(ctx, j.ref, &j.manifest.Units[n], j.set)
		j.done = append(j.done, judged{n, u})
	case trust.More:
		j.asks = append(j.asks, jobs.UnitAsk{Unit: n, Votes: uint8(min(len(v.Votes)+d.More, jobs.MaxVotes))})
	case trust.Run:
		j.run, j.said = append(j.run, n), append(j.said, votes)
	}
	return nil
}

// ownRuns are the asks for the units that the submitter is to run next, the most useful first.
func (j *judging) ownRuns() (asks []jobs.UnitAsk) {
	var running, waiting [][]trust.Vote
	var units []uint16
	for i, n := range j.run {
		if j.ledger.Asked(int(n)) == jobs.OwnRun {
			running = append(running, j.said[i])
			continue
		}
		waiting, units = append(waiting, j.said[i]), append(units, n)
	}
	for _, i := range j.trial.nearest(waiting, running) {
		asks = append(asks, jobs.UnitAsk{Unit: units[i], Votes: jobs.OwnRun})
	}
	return asks
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
