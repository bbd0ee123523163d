package world

import (
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// grantsSeen holds I8, I13 and I21 of what a keeper grants.
func (s *witness) grantsSeen(a *asking, answer []byte) {
	var q protocol.ClaimRequest
	var r protocol.ClaimAnswer
	if protocol.DecodeRequest(a.body, &q) != nil || protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	k := s.w.workOf(q.Shard.Job)
	if k == nil || a.from == k.at.ID() {
		return
	}
	for _, h := range r.Granted {
		s.gives(a, k, hold{q.Shard, h}, scheduler.UnconfirmedLease)
	}
	if len(r.Granted) > 0 {
		s.bounded(a, k, q.Shard)
	}
}

// renewedSeen holds them of what a worker may go on holding, and notes what it gives back.
func (s *witness) renewedSeen(a *asking, answer []byte) {
	var q protocol.RenewRequest
	var r protocol.RenewAnswer
	if protocol.DecodeRequest(a.body, &q) != nil || protocol.DecodeAnswer(answer, &r) != nil {
		return
	}
	k := s.w.workOf(q.Shard.Job)
	if k == nil || a.from == k.at.ID() {
		return
	}
	for _, h := range q.Holds {
		at := hold{q.Shard, h}
		switch {
		case q.Release:
			if s.grants[a.p][at].to == a.from {
				delete(s.grants[a.p], at)
			}
		case !slices.Contains(r.Lost, h) && !s.spoke(a.from, at):
			s.gives(a, k, at, k.job.Head.LeaseTime())
		}
	}
}

// gives notes that a keeper lets a worker hold a replica for a while from now. By the keeper's own
// clock nobody else may hold it then, but for one who gave it back, has said what it had to say, or
// held it for as long as one may.
func (s *witness) gives(a *asking, k *work, at hold, d time.Duration) {
	p, now := a.p, a.p.m.Now()
	if s.guilty[p.disk][culprit{a.from, at.ref}] || s.convicts[p][a.from] {
		s.w.broke("I13", "%s grants to %s, of whom it has two records that contradict each other", p.name, s.w.byID[a.from].name)
	}
	lease := k.job.Head.LeaseTime()
	given := inner(s.grants, p)
	g, ok := given[at]
	live := ok && now.Before(g.until) && !s.spoke(g.to, at)
	if live && g.to != a.from && s.w.byID[g.to].honest() && now.Sub(g.first) < longestHold*lease {
		s.w.broke("I8", "%s lets two workers hold replica %d of unit %d, the one for %s more", p.name, at.Replica, at.Unit, g.until.Sub(now))
	}
	until := now.Add(min(d, lease))
	if !live || g.to != a.from {
		g = granted{to: a.from, first: now}
	}
	if until.After(g.until) {
		g.until = until
	}
	given[at] = g
}

// longestHold is how many leases long a replica is held at least, if it is renewed.
const longestHold = 8

// bounded holds I21 of what a worker holds in a shard.
func (s *witness) bounded(a *asking, k *work, ref protocol.ShardRef) {
	live, now := 0, a.p.m.Now()
	for at, g := range s.grants[a.p] {
		if at.ref == ref && g.to == a.from && now.Before(g.until) && now.Sub(g.first) < longestHold*k.job.Head.LeaseTime() && !s.spoke(a.from, at) {
			live++
		}
	}
	if most := scheduler.MaxHolds(&k.job.Head); live > most {
		s.w.broke("I21", "%s lets one worker hold %d replicas, %d are allowed", a.p.name, live, most)
	}
}

// spoke reports whether a worker has sealed or revealed the unit of a hold.
func (s *witness) spoke(by jobs.NodeID, at hold) bool {
	said := statement{by, at.ref, at.Unit}
	_, sealed := s.sealed[said]
	_, revealed := s.revealed[said]
	return sealed || revealed
}

// leased holds I9: by the worker's own clock, at most a lease has gone by since it last asked for
// the unit, less what clocks may differ by (of a lease shorter than that, half); and by nobody's clock more than a lease, also if it slept.
func (s *witness) leased(p *process, k *work, ref protocol.ShardRef, unit uint16) {
	if !p.honest() || k.at == p.node {
		return
	}
	last, known := s.renewed[p][hold{ref, jobs.Hold{Unit: unit}}]
	ttl := k.job.Head.LeaseTime()
	if !known || p.m.Now().Sub(last.mine) > max(ttl-ttl/100-5*time.Second, ttl/2) {
		s.w.broke("I9", "%s starts unit %d, which it asked for %s ago", p.name, unit, p.m.Now().Sub(last.mine))
	}
	if ago := s.w.loop.Elapsed() - last.world; ago > ttl && p.jumped < last.world { // its clock stood while it slept, and its calendar went on
		s.w.broke("I9", "%s starts unit %d, which it asked for %s ago though it thinks %s", p.name, unit, ago, p.m.Now().Sub(last.mine))
	}
}

// hopes notes that a worker asked to hold replicas, or to go on holding them.
func (s *witness) hopes(p *process, ref protocol.ShardRef, hs []jobs.Hold) {
	for _, h := range hs {
		inner(s.renewed, p)[hold{ref, jobs.Hold{Unit: h.Unit}}] = asked{p.m.Now(), s.w.loop.Elapsed()}
	}
}

// weigh notes of whom two seals that differ lie on a keeper's disk: in that shard the keeper is to
// know it always, in all others for as long as the process lives that learnt it.
func (s *witness) weigh(t table, ref protocol.ShardRef, r *jobs.Record) {
	b, ok := r.Body.(*jobs.Seal)
	if !ok {
		return
	}
	at := statement{r.Author, ref, b.Unit}
	if old, said := s.said[t.d][at]; said && old != b.Commitment {
		inner(s.guilty, t.d)[culprit{r.Author, ref}] = true
		inner(s.convicts, t.p)[r.Author] = true
	}
	inner(s.said, t.d)[at] = b.Commitment
}
