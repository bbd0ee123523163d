package trust

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

func node(n byte) jobs.NodeID      { return jobs.NodeID{n} }
func answer(n byte) jobs.Digest    { return jobs.Digest{n} }
func vote(who, what byte) Vote     { return Vote{Worker: node(who), Answer: answer(what)} }
func late(v Vote) Vote             { v.Late = true; return v }
func from(net string, v Vote) Vote { v.Network = net; return v }

// book is a book in which donor n has so many accepted units.
func book(accepted ...uint32) *Book {
	b := NewBook()
	for i, k := range accepted {
		b.change(node(byte(i+1)), func(d *Donor) { d.Accepted = k })
	}
	return b
}

func strongRule() Rule { return RuleOf(jobs.Policy{Level: jobs.Strong, Votes: 2}) }

func TestWeights(t *testing.T) {
	pair := func(k uint32) Weight { return 2 * Donor{Accepted: k}.Weight() }
	if w := (Donor{}).Weight(); w != 3170 {
		t.Errorf("a newcomer's word weighs %d, not log2(9) bits", w)
	}
	if pair(40) >= OneInAMillion || pair(41) < OneInAMillion {
		t.Errorf("a pair must do from 41 accepted units each on, not before: %d, %d", pair(40), pair(41))
	}
	if w := (Donor{Accepted: math.MaxUint32}).Weight(); w >= OneInAMillion {
		t.Errorf("one voter alone is enough: %d", w)
	}
	for k := uint32(1); k < 300; k++ {
		if (Donor{Accepted: k}).Weight() < (Donor{Accepted: k - 1}).Weight() {
			t.Fatalf("the word of a donor with %d units weighs less than with one fewer", k)
		}
	}
}

func TestDecide(t *testing.T) {
	paranoid := RuleOf(jobs.Policy{Level: jobs.Paranoid, Votes: jobs.ParanoidVotes})
	var seven []Vote
	for i := byte(1); i <= 7; i++ {
		seven = append(seven, from(string('a'+rune(i)), vote(i, 1)))
	}
	burnt := NewBook()
	burnt.change(node(8), func(d *Donor) { d.Burned = true })
	oneLate := append([]Vote{late(seven[0])}, seven[1:]...)
	twoOfOneNetwork := append([]Vote{from(seven[1].Network, seven[0])}, seven[1:]...)
	for _, c := range []struct {
		name  string
		rule  Rule
		book  *Book
		votes []Vote
		extra int
		want  Decision
	}{
		{"nobody yet", strongRule(), book(), nil, 0, Decision{Step: Wait, More: 2}},
		{"one of two", strongRule(), book(90, 90), []Vote{vote(1, 1)}, 0, Decision{Step: Wait, More: 1}},
		{"two well known", strongRule(), book(90, 90), []Vote{vote(1, 1), vote(2, 1)}, 0, Decision{Step: Accept, Answer: answer(1), Votes: 2}},
		{"two newcomers", strongRule(), book(), []Vote{vote(1, 1), vote(2, 1)}, 0, Decision{Step: More, More: 2}},
		{"an audit asks for a third", strongRule(), book(90, 90), []Vote{vote(1, 1), vote(2, 1)}, 1, Decision{Step: More, More: 1}},
		{"a late third with standing", strongRule(), book(90, 90, 5), []Vote{vote(1, 1), vote(2, 1), late(vote(3, 1))}, 1, Decision{Step: Accept, Answer: answer(1), Votes: 3}},
		{"a late third without", strongRule(), book(90, 90, 4), []Vote{vote(1, 1), vote(2, 1), late(vote(3, 1))}, 1, Decision{Step: More, More: 1}},
		{"late votes decide", strongRule(), book(5, 5, 90), []Vote{vote(1, 1), vote(2, 1), late(vote(3, 1))}, 0, Decision{Step: Accept, Answer: answer(1), Votes: 3, Late: true}},
		{"two proven disagree", strongRule(), book(90, 5), []Vote{vote(1, 1), vote(2, 2)}, 0, Decision{Step: Run}},
		{"a newcomer disagrees", strongRule(), book(90, 0, 90, 90), []Vote{vote(1, 1), vote(2, 2), late(vote(3, 1)), late(vote(4, 1))}, 0, Decision{Step: Accept, Answer: answer(1), Votes: 3, Late: true}},
		{"one's own run", strongRule(), book(90, 90), []Vote{vote(1, 1), vote(2, 1), {Own: true, Answer: answer(2)}}, 3, Decision{Step: Accept, Answer: answer(2), Votes: 1, Own: true}},
		{"two from one network", strongRule(), book(90, 90), []Vote{from("x", vote(1, 1)), from("x", vote(2, 1))}, 0, Decision{Step: More, More: 2}},
		{"seven of seven networks", paranoid, book(), seven, 0, Decision{Step: Accept, Answer: answer(1), Votes: 7}},
		{"one of seven is late", paranoid, book(90), oneLate, 0, Decision{Step: More, More: 1}},
		{"two of seven from one network", paranoid, book(), twoOfOneNetwork, 0, Decision{Step: More, More: 1}},
		{"one of seven dissents", paranoid, book(), append([]Vote{from("z", vote(8, 2))}, seven[1:]...), 0, Decision{Step: Run}},
		{"one more dissents, late", paranoid, book(), append([]Vote{late(from("z", vote(8, 2)))}, seven...), 0, Decision{Step: Run}},
		{"one more dissents, from a private address", paranoid, book(), append([]Vote{vote(8, 2)}, seven...), 0, Decision{Step: Run}},
		{"one more dissents, who has lied", paranoid, burnt, append([]Vote{from("z", vote(8, 2))}, seven...), 0, Decision{Step: Run}},
		{"one more says the same, late", paranoid, book(), append([]Vote{late(from("z", vote(8, 1)))}, seven...), 0, Decision{Step: Accept, Answer: answer(1), Votes: 7}},
		{"no room for more", strongRule(), book(), append(seven, vote(8, 2)), 0, Decision{Step: Run}},
	} {
		if diff := cmp.Diff(c.want, c.rule.Decide(c.votes, c.book, c.extra)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func drawVotes(t *rapid.T) []Vote {
	n := rapid.IntRange(0, jobs.MaxVotes).Draw(t, "votes")
	out := make([]Vote, n)
	for i := range out {
		out[i] = Vote{
			Worker: node(byte(i + 1)), Answer: answer(rapid.ByteRange(1, 3).Draw(t, "answer")),
			Network: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "network"),
			Late:    i >= 2 && rapid.Bool().Draw(t, "late"),
		}
	}
	return out
}

func drawBook(t *rapid.T) *Book {
	b := NewBook()
	for i := byte(1); i <= jobs.MaxVotes; i++ {
		b.change(node(i), func(d *Donor) {
			d.Accepted = rapid.SampledFrom([]uint32{0, 1, 4, 5, 41, 200}).Draw(t, "accepted")
			d.Faults = rapid.SampledFrom([]uint32{0, 0, 6 * faultScale}).Draw(t, "faults")
			if rapid.IntRange(0, 7).Draw(t, "burned") == 0 {
				d.Burned, d.Accepted = true, 0
			}
		})
	}
	return b
}

func TestOrderOfVotesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes, b := drawVotes(t), drawBook(t)
		extra := rapid.IntRange(0, 2).Draw(t, "extra")
		rule := RuleOf(jobs.Policy{Level: rapid.SampledFrom([]jobs.Level{jobs.Strong, jobs.Paranoid}).Draw(t, "level"), Votes: 2})
		shuffled := rapid.Permutation(votes).Draw(t, "order")
		if diff := cmp.Diff(rule.Decide(votes, b, extra), rule.Decide(shuffled, b, extra)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// An answer stands only on what the level asks: computed here the long way, with probabilities.
func TestAcceptedAnswersMeetTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes, b := drawVotes(t), drawBook(t)
		for i := range votes {
			votes[i].Network = ""
		}
		d := strongRule().Decide(votes, b, 0)
		if d.Step != Accept {
			return
		}
		right, other := 1.0, map[jobs.Digest]float64{}
		voters, none := 0, 1.0
		for _, v := range votes {
			donor := b.Get(v.Worker)
			if !donor.Heard() || v.Late && !donor.Proven() {
				continue
			}
			e := donor.Error()
			none *= e
			if v.Answer == d.Answer {
				voters++
				right *= (1 - e) / e
				continue
			}
			if other[v.Answer] == 0 {
				other[v.Answer] = 1
			}
			other[v.Answer] *= (1 - e) / e
		}
		against := 1.0
		for _, o := range other {
			against += o
		}
		if voters < 2 {
			t.Fatalf("accepted with %d voter", voters)
		}
		if wrong := against / (against + right); wrong > 1.001e-6 {
			t.Fatalf("accepted with an error of %g", wrong)
		}
	})
}

// Donors earn by replicated, accepted units only; what is burned stays burned and never counts.
func TestTheRecordIsEarned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		a := NewAcceptance(strongRule(), PlanOf(jobs.Strong), NewCoin([]byte("k"), jobs.JobID{}), b, 4)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			n := rapid.Uint32Range(0, 3).Draw(t, "unit")
			votes := drawVotes(t)
			if rapid.Bool().Draw(t, "own") {
				votes = append(votes, Vote{Own: true, Answer: answer(rapid.ByteRange(1, 3).Draw(t, "own answer"))})
			}
			before := map[jobs.NodeID]Donor{}
			for _, id := range b.IDs() {
				before[id] = b.Get(id)
			}
			d := a.Judge(n, votes)
			for _, id := range b.IDs() {
				was, is := before[id], b.Get(id)
				if was.Burned && !is.Burned {
					t.Fatal("a burned donor is back")
				}
				if is.Accepted <= was.Accepted {
					continue
				}
				agreed := false
				for _, v := range votes {
					agreed = agreed || v.Worker == id && v.Answer == d.Answer && !v.Late
				}
				if d.Step != Accept || len(votes) < 2 || !agreed || is.Accepted != was.Accepted+1 {
					t.Fatalf("%s for %v: a donor went from %+v to %+v", d.Step, votes, was, is)
				}
			}
			again := a.Judge(n, votes)
			if d.Step == Accept && d.Own && again != d {
				t.Fatalf("judged again: %+v, not %+v", again, d)
			}
		}
	})
}

func TestJudgingAgainPaysOnce(t *testing.T) {
	b := book(90, 90)
	a := NewAcceptance(strongRule(), Plan{}, Coin{}, b, 1)
	votes := []Vote{vote(1, 1), vote(2, 1)}
	a.Judge(0, votes)
	a.Judge(0, votes)
	if got := b.Get(node(1)).Accepted; got != 91 {
		t.Errorf("one unit, judged twice, earned %d", got-90)
	}
}

// What the submitter runs itself are the units of whom it has met already, so that a few come to
// stand; who stands, is late or is out is no reason.
func TestOwnRunsVouchForTheNearest(t *testing.T) {
	strangers, half, proven := []Vote{vote(1, 1), vote(2, 1)}, []Vote{vote(3, 1), vote(4, 1)}, []Vote{vote(5, 1), vote(6, 2)}
	for _, c := range []struct {
		name           string
		book           *Book
		units, running [][]Vote
		most           int
		want           []int
	}{
		{"nothing to choose from", book(), nil, nil, 4, nil},
		{"nobody is known: the first, and those it makes known", book(), [][]Vote{strangers, half, strangers}, nil, 2, []int{0, 2}},
		{"half known first", book(0, 0, 3, 2), [][]Vote{strangers, half}, nil, 2, []int{1, 0}},
		{"one that runs already counts", book(), [][]Vote{strangers, half}, [][]Vote{half}, 1, []int{1}},
		{"who stands needs nobody's word", book(0, 0, 0, 0, 90, 90), [][]Vote{proven, strangers}, nil, 2, []int{1, 0}},
		{"a late vote earns nothing", book(), [][]Vote{{late(vote(1, 1)), late(vote(2, 1))}, {vote(3, 1)}}, nil, 1, []int{1}},
	} {
		if got := c.book.Nearest(c.units, c.running, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}

// Who said two things is burned whatever else is known of it: its votes count no more, and what it
// decided with others is judged again, which asks for somebody new.
func TestTheConvictedIsBurned(t *testing.T) {
	b := book(90, 90, 90)
	a := NewAcceptance(strongRule(), Plan{}, Coin{}, b, 2)
	leaning, other := []Vote{vote(1, 1), vote(2, 1)}, []Vote{vote(2, 1), vote(3, 1)}
	for n, votes := range [][]Vote{leaning, other} {
		if d := a.Judge(uint32(n), votes); d.Step != Accept || len(a.Again()) > 0 {
			t.Fatalf("two proven donors are not believed: %+v", d)
		}
	}
	a.Burn(node(1))
	if diff := cmp.Diff([]uint32{0}, a.Again()); diff != "" {
		t.Errorf("to be judged again:\n%s", diff)
	}
	if d := a.Judge(0, leaning); d.Step != More {
		t.Errorf("one donor and a convicted one: %+v", d)
	}
	if d := a.Judge(0, append(leaning, vote(3, 1))); d.Step != Accept || b.Get(node(2)).Accepted != 92 {
		t.Errorf("two donors beside a convicted one: %+v, and of one of them is known %+v", d, b.Get(node(2)))
	}
	if !b.Get(node(1)).Burned || a.Suspicion().Rings != 0 {
		t.Error("one convicted donor is not burned, or is a ring")
	}
}

// Hardware fails: a lone wrong answer is no crime, and a copy of it by a late liar makes none of it.
func TestLoneWrongAnswerIsAFault(t *testing.T) {
	b := book(90, 90, 90)
	a := NewAcceptance(strongRule(), Plan{}, Coin{}, b, 1)
	d := a.Judge(0, []Vote{vote(1, 9), vote(2, 1), late(vote(3, 9)), {Own: true, Answer: answer(1)}})
	if d.Step != Accept || d.Answer != answer(1) {
		t.Fatalf("%+v", d)
	}
	if one := b.Get(node(1)); one.Burned || one.Accepted != 0 || !one.Heard() {
		t.Errorf("a lone wrong vote: %+v", one)
	}
	for range maxFaults {
		b.change(node(1), (*Donor).wrong)
	}
	if b.Get(node(1)).Heard() {
		t.Error("six faults in a row, and it still votes")
	}
	for range faultWindow {
		b.change(node(1), (*Donor).right)
	}
	if !b.Get(node(1)).Heard() {
		t.Error("200 good units do not make up for six faults")
	}
}

func TestBookSurvives(t *testing.T) {
	b := book(3, 90)
	b.change(node(2), func(d *Donor) { d.Burned = true })
	c := NewBook()
	for _, x := range b.Changed() {
		if err := c.Restore(x.Donor, x.Record); err != nil {
			t.Fatal(err)
		}
	}
	if c.Get(node(1)) != b.Get(node(1)) || c.Get(node(2)) != b.Get(node(2)) || len(b.Changed())+len(c.Changed()) != 0 {
		t.Error("another book came back")
	}
	if c.Restore(node(3), []byte{0x83, 0, 0, 0xf4, 0}) == nil {
		t.Error("a record with more behind it was taken up")
	}
}

// After a restart an acceptance goes on as if there had been none.
func TestAcceptanceSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const units = 6
		b := drawBook(t)
		coin := NewCoin([]byte("k"), jobs.JobID{1})
		a := NewAcceptance(strongRule(), PlanOf(jobs.Strong), coin, b, units)
		play := func(a *Acceptance, n uint32, votes []Vote) Decision { return a.Judge(n, votes) }
		for n := range uint32(units) {
			play(a, n, append(drawVotes(t), Vote{Own: rapid.Bool().Draw(t, "own"), Worker: node(9), Answer: answer(1)}))
		}
		c := NewBook()
		b.Changed()
		for _, id := range b.IDs() {
			if err := c.Restore(id, jobs.Encode(b.Get(id))); err != nil {
				t.Fatal(err)
			}
		}
		later := NewAcceptance(strongRule(), PlanOf(jobs.Strong), coin, c, units)
		for n := range uint32(units) {
			if err := later.RestoreUnit(n, a.Standing(n)); err != nil {
				t.Fatal(err)
			}
		}
		later.Restore(a.Suspicion())
		if diff := cmp.Diff(a.Again(), later.Again()); diff != "" {
			t.Fatal(diff)
		}
		votes := drawVotes(t)
		for n := range uint32(units) {
			if diff := cmp.Diff(play(a, n, votes), play(later, n, votes)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestCoinIsSecretAndFair(t *testing.T) {
	mine, other := NewCoin([]byte("a"), jobs.JobID{}), NewCoin([]byte("b"), jobs.JobID{})
	hits, both := 0, 0
	for n := range uint32(10000) {
		x, y := mine.toss(n, auditLot) < 0.1, other.toss(n, auditLot) < 0.1
		if x {
			hits++
		}
		if x && y {
			both++
		}
	}
	if hits < 850 || hits > 1150 || both < 50 || both > 160 {
		t.Errorf("%d of 10,000 at 10 %%, %d of them by another's coin too", hits, both)
	}
}

// What an answer costs is estimated by playing the job with the real rule.
func TestEstimate(t *testing.T) {
	many := func(n int, d Donor) (out []Donor) {
		for range n {
			out = append(out, d)
		}
		return out
	}
	strong := jobs.Policy{Level: jobs.Strong, Votes: 2}
	for _, c := range []struct {
		name          string
		policy        jobs.Policy
		donors        []Donor
		units         int
		least, most   float64
		own, ownAtMax float64
	}{
		{"two votes are two votes", jobs.Policy{Level: jobs.Standard, Votes: 2}, nil, 10, 2, 2, 0, 0},
		{"all well known", strong, many(20, Donor{Accepted: 90}), 1000, 2.03, 2.09, 0, 0},
		{"some standing, a short job", strong, many(20, Donor{Accepted: 10}), 10, 3, 3.3, 0, 0},
		{"nobody known, a short job", strong, many(8, Donor{}), 10, 2.9, 3.1, 0.9, 1},
		{"nobody known, a longer one", strong, many(8, Donor{}), 1000, 2.1, 2.4, 0.01, 0.05},
		{"nobody known, a long one", strong, many(8, Donor{}), 1_000_000, 2.03, 2.1, 0, 0.01},
		{"one donor", strong, many(1, Donor{Accepted: 90}), 100, 2, 2, 1, 1},
		{"nobody", strong, nil, 100, 1, 1, 1, 1},
		{"the burned do not count", strong, many(20, Donor{Burned: true}), 100, 1, 1, 1, 1},
	} {
		before := slices.Clone(c.donors)
		got := Estimate(c.policy, c.donors, c.units, true)
		if got.Executions < c.least || got.Executions > c.most || got.Own < c.own || got.Own > c.ownAtMax {
			t.Errorf("%s: %.3f executions, %.3f own; not in %g–%g, %g–%g", c.name, got.Executions, got.Own, c.least, c.most, c.own, c.ownAtMax)
		}
		if !slices.Equal(before, c.donors) {
			t.Errorf("%s: an estimate changed what is known", c.name)
		}
	}
}
