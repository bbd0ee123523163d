package trust

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// policy is a whole way of getting answers, as in a Monte-Carlo of jobs: equal units, no latency,
// no churn, voters drawn at random, an omniscient cartel, and a submitter that can judge
// (notes/reliability.md §3.2). What decides is the real rule.
type policy struct {
	name    string
	level   jobs.Level
	votes   int  // of the first round
	foreign bool // nobody knows who votes next until the first vote is sealed
	away    bool // the submitter comes back when the first rounds are over
	plan    Plan
}

// world is who is in the grid.
type world struct {
	peers, units int
	hostile      float64 // share of peers
	attack       attack
	fault        float64 // of honest executions
}

// attack is what hostile peers do.
type attack struct {
	name      string
	common    bool // they tell one lie
	whitewash bool // whose name is spoilt comes back under another
	lie       func(t *trial, p *peer, b *ballot) bool
}

type peer struct {
	id  jobs.NodeID
	bad bool
}

// ballot is the votes of one unit so far.
type ballot struct {
	votes []Vote
	who   []int
	lies  int
	sure  bool // the first round is all hostile, and knows it
}

// trial is jobs of one submitter under a policy.
type trial struct {
	policy
	world
	rng     *rand.Rand
	all     []peer
	names   uint64
	book    *Book
	ballots []ballot
	accept  *Acceptance

	executions, own, wrong int
}

func newTrial(p policy, w world, seed uint64) *trial {
	t := &trial{policy: p, world: w, rng: rand.New(rand.NewPCG(seed, 7)), book: NewBook()}
	t.all = make([]peer, w.peers)
	for i := range t.all {
		t.all[i] = peer{id: t.fresh(), bad: float64(i) < w.hostile*float64(w.peers)-0.5}
	}
	return t
}

func (t *trial) fresh() (id jobs.NodeID) {
	t.names++
	binary.BigEndian.PutUint64(id[:], t.names*0x9e3779b97f4a7c15)
	return id
}

// job runs one job and counts what it cost and what was wrong in the end.
func (t *trial) job(number int) {
	id := jobs.JobID{byte(number), byte(number >> 8)}
	t.ballots = make([]ballot, t.units)
	rule := RuleOf(jobs.Policy{Level: t.level, Votes: uint8(t.votes)})
	t.accept = NewAcceptance(rule, t.plan, NewCoin([]byte("secret"), id), t.book, t.units)
	for n := range t.ballots {
		if t.away || t.peers < scheduler.Crowd {
			t.accept.Foresee(uint32(n))
		}
		if t.away {
			t.firstRound(&t.ballots[n])
		}
	}
	for n := range uint32(t.units) {
		t.settle(n)
		if n%64 == 0 {
			t.again()
		}
	}
	t.again()
	for n := range uint32(t.units) {
		if a, ok := t.answer(n); !ok || a != truth() {
			t.wrong++
		}
	}
}

func truth() jobs.Digest { return jobs.Digest{1} }

// again judges what has to be judged again until nothing has.
func (t *trial) again() {
	for units := t.accept.Again(); len(units) > 0; units = t.accept.Again() {
		for _, n := range units {
			t.settle(n)
		}
	}
}

// settle brings a unit to a decision that stands for now.
func (t *trial) settle(n uint32) {
	b := &t.ballots[n]
	for {
		switch d := t.judge(n); d.Step {
		case Accept:
			t.reborn(b)
			return
		case Run:
			t.run(b)
		case Wait:
			t.firstRound(b)
		case More:
			if i, ok := t.draw(b, t.level == jobs.Strong); ok {
				t.cast(b, i, true)
			} else {
				t.run(b)
			}
		}
	}
}

// judge asks the level's rule: this package's, or the scheduler's where keepers decide alone.
func (t *trial) judge(n uint32) Decision {
	b := &t.ballots[n]
	if t.level >= jobs.Strong {
		return t.accept.Judge(n, b.votes)
	}
	v := scheduler.Judge(ballots(b.votes), 1, t.votes)
	switch {
	case len(b.votes) == 0:
		return Decision{Step: Wait}
	case v.State == scheduler.Disputed:
		return Decision{Step: Run}
	case v.State == scheduler.Open:
		return Decision{Step: More}
	}
	return Decision{Step: Accept, Answer: v.Input(0).Tuple.Output}
}

// ballots are votes as the scheduler has them.
func ballots(votes []Vote) []scheduler.Vote {
	out := make([]scheduler.Vote, len(votes))
	for i, v := range votes {
		out[i] = scheduler.Vote{Worker: v.Worker, Own: v.Own, Tuples: []jobs.Tuple{{Output: v.Answer}}}
	}
	return out
}

func (t *trial) answer(n uint32) (jobs.Digest, bool) {
	if t.level >= jobs.Strong {
		s := t.accept.Standing(n)
		return s.Answer, s.Accepted
	}
	d := t.judge(n)
	return d.Answer, d.Step == Accept
}

// firstRound draws the first round's voters. Where the next one is drawn after the last has
// sealed, none can know whether it is among friends.
func (t *trial) firstRound(b *ballot) {
	if t.foreign {
		for range t.votes {
			i, _ := t.draw(b, false)
			t.cast(b, i, false)
		}
		return
	}
	drawn := ballot{sure: true}
	for range t.votes {
		i, _ := t.draw(&drawn, false)
		drawn.who = append(drawn.who, i)
		drawn.sure = drawn.sure && t.all[i].bad
	}
	b.sure = drawn.sure
	for _, i := range drawn.who {
		t.cast(b, i, false)
	}
}

// draw picks a peer that has not voted; late, one with standing.
func (t *trial) draw(b *ballot, late bool) (int, bool) {
	for range 300 {
		i := t.rng.IntN(len(t.all))
		if !slices.Contains(b.who, i) && (!late || t.book.Get(t.all[i].id).Proven()) {
			return i, true
		}
	}
	return 0, false
}

func (t *trial) run(b *ballot) {
	t.executions++
	t.own++
	b.votes = append(b.votes, Vote{Own: true, Answer: truth()})
}

func (t *trial) cast(b *ballot, i int, late bool) {
	p := &t.all[i]
	v := Vote{Worker: p.id, Answer: truth(), Late: late, Network: string(p.id[:8])}
	t.executions++
	switch {
	case p.bad && t.attack.lie(t, p, b):
		b.lies++
		v.Answer = jobs.Digest{2}
		if !t.attack.common {
			v.Answer = t.noise()
		}
	case !p.bad && t.fault > 0 && t.rng.Float64() < t.fault:
		v.Answer = t.noise()
	}
	b.votes = append(b.votes, v)
	b.who = append(b.who, i)
}

// noise is an answer that nobody else gives.
func (t *trial) noise() (d jobs.Digest) {
	binary.BigEndian.PutUint64(d[1:], t.rng.Uint64())
	return d
}

// reborn gives those whose name is worth nothing any more another one.
func (t *trial) reborn(b *ballot) {
	for _, i := range b.who {
		if p := &t.all[i]; p.bad && t.attack.whitewash && !t.book.Get(p.id).Heard() {
			p.id = t.fresh()
		}
	}
}

// attacks are the attackers of notes/reliability.md §3, and two more: betrayers who also second
// each other's lies while they are not trusted, and a cartel that knows it has no sure chance and
// gambles that the next voter is one of it.
func attacks() []attack {
	always := func(*trial, *peer, *ballot) bool { return true }
	return []attack{
		{name: "indep", lie: always},
		{name: "collude", common: true, lie: always},
		{name: "whitewash", common: true, whitewash: true, lie: always},
		{name: "betray", common: true, whitewash: true, lie: betray},
		{name: "betray+", common: true, whitewash: true, lie: func(t *trial, p *peer, b *ballot) bool { return b.lies > 0 || betray(t, p, b) }},
		{name: "cartel", common: true, whitewash: true, lie: cartel(1)},
		{name: "cartel 1%", common: true, whitewash: true, lie: cartel(0.01)},
		{name: "cartel .1%", common: true, whitewash: true, lie: cartel(0.001)},
	}
}

// betray is good until trusted, then lies.
func betray(t *trial, p *peer, _ *ballot) bool {
	return t.level < jobs.Strong || t.book.Get(p.id).Accepted >= 41 // keepers alone trust everyone
}

// cartel lies in a share of its chances, and stands by a lie that one of it told.
func cartel(share float64) func(*trial, *peer, *ballot) bool {
	return func(t *trial, p *peer, b *ballot) bool {
		chance := b.sure
		if t.foreign {
			chance = betray(t, p, b) // a gamble pays only where two are enough
		}
		return b.lies > 0 || len(b.votes) == 0 && chance && t.rng.Float64() < share
	}
}
