package world

import (
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// grantsSeen holds I8 and I21.
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
	if s.guilty[a.p.disk][culprit{a.from, q.Shard}] && len(r.Granted) > 0 {
		s.w.broke("I13", "%s grants to %s, of whom it has two seals of one unit that differ", a.p.name, s.w.byID[a.from].name)
	}
	now := a.p.m.Now()
	live := 0
	given := inner(s.grants, a.p)
	for _, h := range r.Granted {
		at := hold{q.Shard, h}
		if g, ok := given[at]; ok && g.to != a.from && s.w.byID[g.to].honest() && !s.hasSealed(g.to, at) && now.Sub(g.at) < scheduler.UnconfirmedLease/2 {
			s.w.broke("I8", "%s grants replica %d of unit %d to two workers within %s", a.p.name, h.Replica, h.Unit, now.Sub(g.at))
		}
		given[at] = granted{a.from, now}
	}
	for at, g := range given {
		if at.ref == q.Shard && g.to == a.from && now.Sub(g.at) < scheduler.UnconfirmedLease/2 && !s.hasSealed(a.from, at) {
			live++
		}
	}
	if most := scheduler.MaxHolds(&k.job.Head); live > most {
		s.w.broke("I21", "%s lets one worker hold %d replicas, %d are allowed", a.p.name, live, most)
	}
}

func (s *witness) hasSealed(by jobs.NodeID, at hold) bool {
	_, ok := s.sealed[statement{by, at.ref, at.Unit}]
	return ok
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

// weigh notes of whom two seals that differ lie on a keeper's disk: that keeper is to know it.
func (s *witness) weigh(d *disk, ref protocol.ShardRef, r *jobs.Record) {
	b, ok := r.Body.(*jobs.Seal)
	if !ok {
		return
	}
	at := statement{r.Author, ref, b.Unit}
	if old, said := s.said[d][at]; said && old != b.Commitment {
		inner(s.guilty, d)[culprit{r.Author, ref}] = true
	}
	inner(s.said, d)[at] = b.Commitment
}
