package trust

import (
	"fmt"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Acceptance is the state of one job's acceptance. It is not safe for concurrent use.
type Acceptance struct {
	rule    Rule
	plan    Plan
	coin    Coin
	book    *Book
	units   []unit
	names   []jobs.NodeID // donors, by their number here
	number  map[jobs.NodeID]uint32
	leaning map[uint32][]uint32 // units that a donor was credited for
	again   map[uint32]bool     // units whose answers may stand no more
	doubted int                 // units that have one more vote because of doubt
	rate    float64             // of extra voters, when units were looked through last
	seen    Suspicion
}

// unit is what became of a unit.
type unit struct {
	accepted bool
	stood    bool        // it was accepted once
	foreseen bool        // it could be known beforehand who votes
	own      bool        // by the submitter's own run: nothing can bring it down
	extra    uint8       // voters more than the least that its answer has
	doubt    uint8       // that it is to have whatever the rate
	lot      float32     // of the audit coin, plus one; 0: not tossed yet
	answer   jobs.Digest // accepted last
	right    []uint32    // donors credited for it
	wrong    []uint32    // donors blamed for it
}

// NewAcceptance begins the acceptance of a job of so many units.
func NewAcceptance(rule Rule, plan Plan, coin Coin, book *Book, units int) *Acceptance {
	a := &Acceptance{
		rule: rule, plan: plan, coin: coin, book: book, units: make([]unit, units),
		number: map[jobs.NodeID]uint32{}, leaning: map[uint32][]uint32{}, again: map[uint32]bool{},
	}
	a.rate = a.Rate()
	return a
}

// Suspicion is what the job has seen of lies.
func (a *Acceptance) Suspicion() Suspicion { return a.seen }

// Judge decides about a unit by all its votes, and draws the consequences for their authors.
func (a *Acceptance) Judge(n uint32, votes []Vote) Decision {
	delete(a.again, n)
	u := &a.units[n]
	extra := a.extra(n)
	if extra > int(u.extra) && u.stood && a.seen.Rings > 0 {
		a.seen.Spent += uint32(extra - int(u.extra))
	}
	u.extra = uint8(extra)
	d := a.rule.Decide(votes, a.book, extra)
	switch {
	case d.Step == More && !a.someoneElse(votes):
		d = Decision{Step: Run}
	case d.Step == Accept && d.Late && a.coin.toss(n, lateLot) < a.plan.Late:
		d = Decision{Step: Run}
	}
	u.accepted = d.Step == Accept
	if u.accepted {
		first, before := !u.stood, a.seen
		u.stood, u.own = true, d.Own
		a.settle(n, votes, d)
		if first && a.seen.Rings == before.Rings && a.seen.Dissent == before.Dissent {
			a.seen.Calm++
		}
	}
	return d
}

// someoneElse reports whether there is a donor with standing that has not voted.
func (a *Acceptance) someoneElse(votes []Vote) bool {
	left := a.book.Proven()
	for _, v := range votes {
		if !v.Own && a.book.Get(v.Worker).Proven() {
			left--
		}
	}
	return left > 0
}

// settle credits and blames the authors of a unit's votes for its accepted answer, each once.
// Late votes earn nothing: they can be copied.
func (a *Acceptance) settle(n uint32, votes []Vote, d Decision) {
	u := &a.units[n]
	fell := len(u.right) > 0 && u.answer != d.Answer // an answer that stood was wrong
	u.answer = d.Answer
	rings := a.rings(votes, d.Answer, fell)
	if len(rings) > 0 {
		a.seen.Rings++
		a.seen.Calm = 0
	}
	for _, v := range votes {
		if v.Own {
			continue
		}
		id := a.numberOf(v.Worker)
		switch {
		case v.Answer != d.Answer && !slices.Contains(u.wrong, id):
			u.wrong = append(u.wrong, id)
			u.right = slices.DeleteFunc(u.right, func(x uint32) bool { return x == id })
			a.blame(v.Worker, slices.Contains(rings, v.Answer))
		case v.Answer == d.Answer && !v.Late && len(votes) > 1 && !a.book.Get(v.Worker).Burned &&
			!slices.Contains(u.right, id) && !slices.Contains(u.wrong, id):
			u.right = append(u.right, id)
			a.leaning[id] = append(a.leaning[id], n)
			if a.earns(v.Worker, d) {
				a.book.change(v.Worker, (*Donor).right)
			}
		}
	}
}

// earns reports whether a donor that was right becomes better known by it. Once a ring was found,
// whoever is little known may be one of it that was caught alone, or is back under a new name: only
// units that the submitter ran itself make it better known. Otherwise each of a ring would come to
// be believed again and again in one job, every time for another lie.
func (a *Acceptance) earns(donor jobs.NodeID, d Decision) bool {
	return !a.plan.Vouch || a.seen.Rings == 0 || d.Own || 2*a.book.Get(donor).Weight() >= a.rule.Need
}

// rings are the wrong answers that prove a lie: two proven donors gave it, or two on whom it
// stood, neither able to see the other's. (A late vote proves nothing about the one it repeats:
// otherwise a copy could make a liar of a machine that failed once.)
func (a *Acceptance) rings(votes []Vote, answer jobs.Digest, fell bool) (out []jobs.Digest) {
	for i, v := range votes {
		if v.Own || v.Answer == answer || slices.Contains(out, v.Answer) {
			continue
		}
		n := 0
		for _, o := range votes[i:] {
			if !o.Own && !o.Late && o.Answer == v.Answer && (fell || a.book.Get(o.Worker).Proven()) {
				n++
			}
		}
		if n > 1 {
			out = append(out, v.Answer)
		}
	}
	return out
}

// blame draws the consequences of a wrong vote. A lone one is a fault, since hardware fails; who
// lied together with others is burned, and with it everything that leaned on it.
func (a *Acceptance) blame(donor jobs.NodeID, lied bool) {
	switch d := a.book.Get(donor); {
	case d.Burned:
	case lied:
		a.Burn(donor)
	default:
		if d.Proven() {
			a.seen.Dissent++
			if a.alarmed() {
				a.seen.Calm = 0
			}
			a.doubt(donor)
		}
		a.book.change(donor, (*Donor).wrong)
	}
}

// Burn notes that a donor was proved to have lied, here or by its own two signatures: its votes count
// no more, and everything that leaned on them is to be judged again.
func (a *Acceptance) Burn(donor jobs.NodeID) {
	if a.book.Get(donor).Burned {
		return
	}
	a.book.change(donor, func(d *Donor) { d.Burned, d.Accepted = true, 0 })
	for _, n := range a.leaning[a.numberOf(donor)] {
		a.question(n, donor)
	}
}

// doubt asks for one more vote for the units that a proven donor that was wrong has vouched for, the
// last ones first: who begins to lie does not stop, nor does failing hardware; and who lies seldom may
// have done so at any time, and found a friend.
func (a *Acceptance) doubt(donor jobs.NodeID) {
	units := a.leaning[a.numberOf(donor)]
	room := int(a.plan.Most*float64(len(a.units))) - a.doubted
	for i := len(units) - 1; i >= 0 && (len(units)-i <= a.plan.Doubt || room > 0); i-- {
		u := &a.units[units[i]]
		if u.doubt > 0 || u.extra > 0 {
			continue
		}
		u.doubt = 1
		a.doubted++
		room--
		a.question(units[i], donor)
	}
}

// question has a unit judged again, if its answer stands on a donor's word.
func (a *Acceptance) question(n uint32, donor jobs.NodeID) {
	if u := &a.units[n]; u.accepted && !u.own && slices.Contains(u.right, a.numberOf(donor)) {
		a.again[n] = true
	}
}

func (a *Acceptance) numberOf(id jobs.NodeID) uint32 {
	n, ok := a.number[id]
	if !ok {
		n = uint32(len(a.names))
		a.names = append(a.names, id)
		a.number[id] = n
	}
	return n
}

// Again gives the units, in order, whose answers may stand no more, because what they lean on
// fell, or because more is asked of an answer now. They are to be judged again.
func (a *Acceptance) Again() []uint32 {
	if rate := a.Rate(); rate != a.rate {
		a.rate = rate
		for n := range a.units {
			if u := &a.units[n]; u.accepted && !u.own && a.extra(uint32(n)) > int(u.extra) {
				a.again[uint32(n)] = true
			}
		}
	}
	out := make([]uint32, 0, len(a.again))
	for n := range a.again {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Adopt takes up an answer that the submitter has said is final, maybe on another machine with its
// key: nothing can bring it down, and nobody is credited or blamed for it here.
func (a *Acceptance) Adopt(n uint32, answer jobs.Digest) Decision {
	delete(a.again, n)
	u := &a.units[n]
	u.accepted, u.stood, u.own, u.answer = true, true, true, answer
	return Decision{Step: Accept, Answer: answer, Own: true}
}

// Standing is what is to be kept of a unit for Restore.
type Standing struct {
	_        struct{} `cbor:",toarray"`
	Accepted bool
	Stood    bool // it was accepted once
	Own      bool
	Extra    uint8 // voters more than the least that were asked for
	Doubt    uint8 // that it is to have
	Answer   jobs.Digest
	Right    []jobs.NodeID // credited for it
	Wrong    []jobs.NodeID // blamed for it
}

// Standing is where a unit stands.
func (a *Acceptance) Standing(n uint32) Standing {
	u := &a.units[n]
	return Standing{Accepted: u.accepted, Stood: u.stood, Own: u.own, Extra: u.extra, Doubt: u.doubt, Answer: u.answer, Right: a.named(u.right), Wrong: a.named(u.wrong)}
}

func (a *Acceptance) named(numbers []uint32) []jobs.NodeID {
	out := make([]jobs.NodeID, len(numbers))
	for i, n := range numbers {
		out[i] = a.names[n]
	}
	return out
}

// RestoreUnit takes up a unit as Standing gave it.
func (a *Acceptance) RestoreUnit(n uint32, s Standing) error {
	if int(n) >= len(a.units) || len(s.Right)+len(s.Wrong) > 2*jobs.MaxVotes {
		return fmt.Errorf("unit %d: not a standing of this job", n)
	}
	u := &a.units[n]
	*u = unit{accepted: s.Accepted, stood: s.Stood, own: s.Own, extra: s.Extra, doubt: s.Doubt, answer: s.Answer}
	a.doubted += int(s.Doubt)
	for _, id := range s.Right {
		u.right = append(u.right, a.numberOf(id))
		a.leaning[a.numberOf(id)] = append(a.leaning[a.numberOf(id)], n)
		if u.accepted && !u.own && (u.doubt > u.extra || a.book.Get(id).Burned) {
			a.again[n] = true
		}
	}
	for _, id := range s.Wrong {
		u.wrong = append(u.wrong, a.numberOf(id))
	}
	return nil
}

// Restore takes up what the job had seen, after its units. Everything is looked through once.
func (a *Acceptance) Restore(s Suspicion) { a.seen, a.rate = s, -1 }
