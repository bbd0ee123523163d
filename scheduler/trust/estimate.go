package trust

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Cost is what an answer costs, as an average over a job's units.
type Cost struct {
	Executions float64 // in all
	Own        float64 // share of units that the submitter runs itself
}

// rehearsed is how many units of a job are played to see what it costs; the rest goes on as they
// end.
const rehearsed = 4096

// Estimate is what a job of so many units costs among some donors, as this submitter knows them,
// when none of them lies: the job is played by the rule, and who is not known yet becomes known as
// it goes. The donors that are given do not change. Without lots who votes can be foreseen.
func Estimate(p jobs.Policy, donors []Donor, units int, lots bool) Cost {
	if rule := RuleOf(p); rule.Need == 0 {
		return Cost{Executions: float64(rule.First)}
	}
	r := newRehearsal(p, donors, min(units, rehearsed))
	for n := range r.accept.units {
		r.accept.units[n].foreseen = !lots
	}
	last := max(1, len(r.accept.units)/4) // what the rest of a long job is taken to be like
	for n := range len(r.accept.units) - last {
		r.settle(uint32(n))
	}
	before := r.spent
	for n := len(r.accept.units) - last; n < len(r.accept.units); n++ {
		r.settle(uint32(n))
	}
	rest := float64(max(units, 1)-len(r.accept.units)) / float64(last)
	total := func(all, before int) float64 {
		return (float64(all) + float64(all-before)*rest) / float64(max(units, 1))
	}
	return Cost{Executions: total(r.spent.runs, before.runs), Own: total(r.spent.own, before.own)}
}

// rehearsal is a job that is played to see what it costs.
type rehearsal struct {
	accept *Acceptance
	names  []jobs.NodeID
	state  uint64 // of the lot by which voters come
	spent  struct{ runs, own int }
}

func newRehearsal(p jobs.Policy, donors []Donor, units int) *rehearsal {
	r := &rehearsal{}
	book := NewBook()
	for i, d := range donors {
		var id jobs.NodeID
		binary.BigEndian.PutUint64(id[:], uint64(i)+1)
		r.names = append(r.names, id)
		book.change(id, func(known *Donor) { *known = d })
	}
	r.accept = NewAcceptance(RuleOf(p), PlanOf(p.Level), Coin{}, book, max(units, 1))
	return r
}

// settle plays one unit until its answer is accepted.
func (r *rehearsal) settle(n uint32) {
	truth := jobs.Digest{1}
	var votes []Vote
	for {
		d := r.accept.Judge(n, votes)
		if d.Step == Accept {
			return
		}
		r.spent.runs++
		voter, ok := r.draw(votes, d.Step == More)
		if d.Step == Run || !ok {
			r.spent.own++
			votes = append(votes, Vote{Own: true, Answer: truth})
			continue
		}
		votes = append(votes, Vote{Worker: voter, Answer: truth, Late: d.Step == More})
	}
}

// draw gives a donor that has not voted; for a late vote, one with standing.
func (r *rehearsal) draw(votes []Vote, late bool) (jobs.NodeID, bool) {
	const golden = 0x9e3779b97f4a7c15
	r.state += golden
	at, _ := bits.Mul64(r.state*golden^r.state>>29, uint64(len(r.names)))
	for i := range r.names {
		id := r.names[(int(at)+i)%len(r.names)]
		voted := slices.ContainsFunc(votes, func(v Vote) bool { return v.Worker == id && !v.Own })
		if d := r.accept.book.Get(id); !voted && d.Heard() && (!late || d.Proven()) {
			return id, true
		}
	}
	return jobs.NodeID{}, false
}
