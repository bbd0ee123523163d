package evidence

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// unit judges one unit of the chunk.
func (c *checker) unit(n int) error {
	r := c.report
	u := &Unit{
		Number: uint64(c.shard)*jobs.UnitsPerShard + uint64(n), Shard: c.shard, Index: n,
		First: c.first, Spec: &c.manifest.Units[n], Verdict: c.ledger.Verdict(n),
	}
	c.first += uint64(u.Spec.Count)
	r.Units++
	where := WhereUnit(u.Number, u.First, u.Spec.Count)
	c.uncounted(where, n, u.Verdict)
	v := u.Verdict
	if !v.State.Decided() {
		switch {
		case len(v.Votes) > 0:
			r.find(where, "%d of the votes here count, which does not decide it: %s asks for %d that agree",
				len(v.Votes), c.job.Head.Policy.Level, c.job.Head.Policy.Votes)
		case !c.o.Partial:
			r.await(where, "no verdict is proved")
		}
		return nil
	}
	_, said := c.ledger.Final(n)
	final := said || c.job.Head.Policy.Level < jobs.Strong
	if !final {
		r.Unfinal++
	}
	if said && !v.Settled() {
		r.find(where, "the answer that the submitter says is final is not among its votes")
	}
	u.Standing = standingOf(v, int(c.job.Head.Policy.Votes))
	if what := unmet(c.ledger, v, u.Standing); what != "" {
		r.find(where, "%s", what)
	}
	c.count(u, final)
	if c.o.Unit != nil {
		return c.o.Unit(u)
	}
	return nil
}

// count adds a proved unit to the report. One that is not final has earned nobody anything yet.
func (c *checker) count(u *Unit, final bool) {
	r, v := c.report, u.Verdict
	r.Proved++
	switch u.Standing {
	case Late:
		r.Late++
	case Vouched:
		r.Vouched++
	}
	r.Answers += v.Done - v.Failed
	r.Failed += v.Failed
	r.Stuck += v.Stuck
	r.Votes += uint64(len(v.Votes))
	for id, s := range Shares(v, &c.job.Head.Policy) {
		if r.Donors[id] == nil {
			r.Donors[id] = &Share{}
		}
		if final {
			r.Donors[id].Add(s)
		}
	}
}

// uncounted finds the reveals of a unit that are no votes, and says why.
func (c *checker) uncounted(where string, n int, v *scheduler.Verdict) {
	reveals := c.ledger.Reveals(n)
	for _, r := range reveals {
		if slices.ContainsFunc(v.Votes, func(x scheduler.Vote) bool { return x.Reveal.ID == r.ID }) {
			continue
		}
		c.report.find(where, "%s is no vote: %s", name(r), c.whyNot(n, r, reveals))
	}
}

// whyNot is why a reveal does not count.
func (c *checker) whyNot(n int, r *jobs.Record, reveals []*jobs.Record) string {
	b := r.Body.(*jobs.Reveal)
	if slices.ContainsFunc(reveals, func(o *jobs.Record) bool { return o.Author == r.Author && o.ID != r.ID }) {
		return "its author is there with another one"
	}
	p := &c.job.Head.Policy
	if p.Level == jobs.Trusted && !slices.Contains(p.Trust, r.Author) {
		return "its author is not among those whom the submitter trusts"
	}
	commitment := jobs.Commit(c.job.ID, c.shard, b.Unit, r.Author, b.Tuples, b.Nonce)
	seals := c.ledger.Seals(n)
	i := slices.IndexFunc(seals, func(s *jobs.Record) bool {
		sb := s.Body.(*jobs.Seal)
		return s.Author == r.Author && sb.Replica == b.Replica && sb.Commitment == commitment
	})
	switch {
	case i < 0 && r.Author == c.job.Head.Submitter:
		return "its answers are not there"
	case i < 0:
		return "there is no seal that it opens"
	}
	ids := seals[i].Body.(*jobs.Seal).Grants
	if have := len(c.ledger.Grants(ids)); have < len(ids) {
		return "some of the grants it leans on are not there, and the others do not suffice"
	}
	if slices.ContainsFunc(seals, func(s *jobs.Record) bool {
		return s.Author == r.Author && s.Body.(*jobs.Seal).Commitment != commitment
	}) {
		return "its author sealed two different results"
	}
	return "it was not granted by a majority of keepers to whom the submitter's placement leads"
}
