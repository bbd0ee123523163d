package trust

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shoalgrid/shoal/jobs"
)

// The story of a ring: two proven donors lie together and are accepted; a third vote for another
// reason brings the lie out, both are burned, all that leaned on them is looked at again, and so
// is every unit that two alone decided, until the budget is spent.
func TestRingIsBurned(t *testing.T) {
	b := book(90, 90, 90, 90, 90)
	a := NewAcceptance(strongRule(), Plan{Alarm: 1}, Coin{}, b, 4)
	for n := range uint32(2) {
		if d := a.Judge(n, []Vote{vote(1, 9), vote(2, 9)}); d.Step != Accept {
			t.Fatalf("two proven donors are not believed: %+v", d)
		}
	}
	a.Judge(2, []Vote{vote(1, 1), vote(3, 1)})
	a.Judge(3, []Vote{vote(3, 1), vote(4, 1)})

	votes := []Vote{vote(1, 9), vote(2, 9), late(vote(5, 1))}
	if d := a.Judge(0, votes); d.Step != Run {
		t.Fatalf("proven donors disagree: %+v", d)
	}
	if d := a.Judge(0, append(votes, Vote{Own: true, Answer: answer(1)})); d.Step != Accept || d.Answer != answer(1) {
		t.Fatalf("one's own run: %+v", d)
	}
	for n := byte(1); n <= 2; n++ {
		if !b.Get(node(n)).Burned {
			t.Errorf("liar %d is not burned", n)
		}
	}
	if diff := cmp.Diff([]uint32{1, 2, 3}, a.Again()); diff != "" {
		t.Errorf("to be judged again:\n%s", diff)
	}
	if d := a.Judge(1, []Vote{vote(1, 9), vote(2, 9)}); d.Step == Accept {
		t.Errorf("a unit stands on burned donors: %+v", d)
	}
	if d := a.Judge(3, []Vote{vote(3, 1), vote(4, 1)}); d.Step != More {
		t.Errorf("after a ring two are enough: %+v", d)
	}
	if a.Judge(3, []Vote{vote(3, 1), vote(4, 1), late(vote(5, 1))}); a.Suspicion().Spent == 0 {
		t.Error("the alarm costs nothing")
	}
}

// Looking again at everything costs at most one vote for each unit of the job. When that is spent the
// job is degraded, and stays so after a restart: what stood before is left, what leans on a known
// liar is not.
func TestTheBudgetOfAnAlarmEnds(t *testing.T) {
	const units = 3
	b := book(90, 90, 90, 90, 90, 90)
	a := NewAcceptance(strongRule(), Plan{Alarm: 1, Ring: 1}, Coin{}, b, units)
	for n := range uint32(units) {
		a.Judge(n, []Vote{vote(1, 1), vote(2, 1)})
	}
	ring := func(n uint32, x, y byte) {
		a.Judge(n, []Vote{vote(x, 9), vote(y, 9), {Own: true, Answer: answer(1)}})
	}
	ring(0, 3, 4)
	for _, n := range a.Again() {
		a.Judge(n, []Vote{vote(1, 1), vote(2, 1), late(vote(5, 1))})
	}
	if a.Degraded() {
		t.Fatalf("degraded after %+v of %d units", a.Suspicion(), units)
	}
	ring(1, 5, 6)
	for _, n := range a.Again() {
		a.Judge(n, []Vote{vote(1, 1), vote(2, 1)})
	}
	if !a.Degraded() {
		t.Fatalf("not degraded after %+v of %d units", a.Suspicion(), units)
	}
	c := NewAcceptance(strongRule(), Plan{Alarm: 1, Ring: 1}, Coin{}, b, units)
	for n := range uint32(units) {
		if err := c.RestoreUnit(n, a.Standing(n)); err != nil {
			t.Fatal(err)
		}
	}
	c.Restore(a.Suspicion())
	if !c.Degraded() {
		t.Error("a restart makes a degraded job a good one")
	}
}

// ringPlan is a plan whose alarms last for three units, after which two voters are enough again.
func ringPlan() Plan { return Plan{Alarm: 1, Calm: 3, Vouch: true} }

// An alarm goes on until it was calm for long enough: what stood before gets a third voter, then two
// are enough again. A proven donor that is wrong alone makes it last longer, and does not wake it
// up again. All of it outlives a restart.
func TestAnAlarmEnds(t *testing.T) {
	const units = 20
	b := book(90, 90, 90, 90, 90, 90)
	a := NewAcceptance(strongRule(), ringPlan(), Coin{}, b, units)
	three := []Vote{vote(1, 1), vote(2, 1), late(vote(3, 1))}
	next := uint32(0)
	calm := func(n int) {
		for range n {
			if a.Judge(next, three[:2]); !a.units[next].accepted {
				a.Judge(next, three)
			}
			next++
		}
	}
	enough := func(want Step, story string) {
		t.Helper()
		if d := a.Judge(units-1, three[:2]); d.Step != want {
			t.Errorf("%s: two votes call for %s, not %s", story, d.Step, want)
		}
		a.units[units-1] = unit{}
	}
	calm(2)
	a.Judge(next, []Vote{vote(5, 9), vote(6, 9), {Own: true, Answer: answer(1)}})
	next++
	if diff := cmp.Diff([]uint32{0, 1}, a.Again()); diff != "" {
		t.Errorf("after a ring, to be judged again:\n%s", diff)
	}
	calm(2)
	enough(More, "two units after a ring")
	a.Judge(next, []Vote{vote(4, 9), vote(1, 1), {Own: true, Answer: answer(1)}})
	next++
	calm(2)
	enough(More, "two units after a dissent")
	calm(1)
	enough(Accept, "all is calm")
	b.change(node(4), func(d *Donor) { d.Accepted = 90 })
	a.Judge(next, []Vote{vote(4, 9), vote(1, 1), {Own: true, Answer: answer(1)}})
	next++
	enough(Accept, "a dissent when the alarm is over")

	seen, err := ReadSuspicion(jobs.Encode(a.Suspicion()))
	if err != nil || seen != a.Suspicion() || seen.Dissent != 2 || seen.Rings != 1 {
		t.Fatalf("%+v was kept, %+v came back, %v", a.Suspicion(), seen, err)
	}
	rate := a.Rate()
	a = NewAcceptance(strongRule(), ringPlan(), Coin{}, b, units)
	a.Restore(seen)
	if a.Rate() != rate {
		t.Errorf("after a restart the rate is %g, it was %g", a.Rate(), rate)
	}
	enough(Accept, "a restart when the alarm is over")
}

// Early builds kept three numbers of what was seen: an alarm among them is on.
func TestSuspicionOfAnEarlyBuild(t *testing.T) {
	got, err := ReadSuspicion([]byte{0x83, 4, 2, 9})
	if err != nil || got != (Suspicion{Dissent: 4, Rings: 2, Spent: 9}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {0x82, 1, 1}, {0x84, 1, 1, 1}, {0x83, 0x18, 1, 1, 1}, {0x84, 1, 1, 1, 1, 0}} {
		if got, err := ReadSuspicion(bad); err == nil {
			t.Errorf("% x reads as %+v", bad, got)
		}
	}
}

// Once a ring was found, who is little known becomes better known only where the submitter looked
// itself: one of the ring that was caught alone, or is back under a new name, is not believed twice in
// one job. Its votes lean on it all the same. Who is well known goes on as before.
func TestAfterARingStandingIsVouchedFor(t *testing.T) {
	b := book(90, 90, 0, 40, 41)
	a := NewAcceptance(strongRule(), ringPlan(), Coin{}, b, 4)
	a.Judge(0, []Vote{vote(3, 1), vote(1, 1), vote(2, 1)})
	if got := b.Get(node(3)).Accepted; got != 1 {
		t.Fatalf("before a ring a newcomer that was right has %d units", got)
	}
	a.Judge(1, []Vote{vote(8, 9), vote(9, 9), {Own: true, Answer: answer(1)}})
	if a.Suspicion().Rings != 0 {
		t.Fatal("two newcomers are a ring")
	}
	for _, id := range []byte{8, 9} {
		b.change(node(id), func(d *Donor) { d.Accepted = 5 })
	}
	a.Judge(1, []Vote{vote(8, 9), vote(9, 9), {Own: true, Answer: answer(1)}})
	b.change(node(8), func(d *Donor) { d.Accepted = 5 })
	b.change(node(7), func(d *Donor) { d.Accepted = 5 })
	a.Judge(2, []Vote{vote(7, 9), vote(8, 9), {Own: true, Answer: answer(1)}})
	if a.Suspicion().Rings == 0 {
		t.Fatal("two proven donors that lied together are no ring")
	}
	known := func() (out []uint32) {
		for n := byte(1); n <= 5; n++ {
			out = append(out, b.Get(node(n)).Accepted)
		}
		return out
	}
	before := known()
	all := []Vote{vote(1, 1), vote(2, 1), vote(3, 1), vote(4, 1), vote(5, 1)}
	if d := a.Judge(3, all); d.Step != Accept {
		t.Fatalf("%+v", d)
	}
	if diff := cmp.Diff([]uint32{before[0] + 1, before[1] + 1, before[2], before[3], before[4] + 1}, known()); diff != "" {
		t.Errorf("after a ring, known of those that were right:\n%s", diff)
	}
	if again := a.Again(); slices.Contains(again, 3) {
		t.Fatalf("to be judged again: %v", again)
	}
	a.Burn(node(4))
	if again := a.Again(); !slices.Contains(again, 3) {
		t.Errorf("to be judged again is not what one that earned nothing vouched for: %v", again)
	}
}

// A proven donor that is wrong alone has what it vouched for looked at again: its last units always,
// the others as long as that is no more than a share of the job's. A restart counts the same.
func TestDoubtReachesBack(t *testing.T) {
	const units = 40
	plan := Plan{Most: 0.2, Doubt: 2}
	b := book(90, 90, 90)
	a := NewAcceptance(strongRule(), plan, Coin{}, b, units)
	for n := range uint32(20) {
		a.Judge(n, []Vote{vote(byte(1+n%2), 1), vote(3, 1)})
	}
	dissent := func(a *Acceptance, donor byte, n uint32) []uint32 {
		b.change(node(donor), func(d *Donor) { d.Accepted = 90 })
		before := a.Again()
		a.Judge(n, []Vote{vote(donor, 9), vote(4, 1), {Own: true, Answer: answer(1)}})
		return slices.DeleteFunc(a.Again(), func(n uint32) bool { return slices.Contains(before, n) })
	}
	if diff := cmp.Diff([]uint32{4, 6, 8, 10, 12, 14, 16, 18}, dissent(a, 1, 20)); diff != "" {
		t.Fatalf("a fifth of 40 units:\n%s", diff)
	}
	c := NewAcceptance(strongRule(), plan, Coin{}, b, units)
	for n := range uint32(units) {
		if err := c.RestoreUnit(n, a.Standing(n)); err != nil {
			t.Fatal(err)
		}
	}
	c.Restore(a.Suspicion())
	for name, x := range map[string]*Acceptance{"then": a, "after a restart": c} {
		if diff := cmp.Diff([]uint32{17, 19}, dissent(x, 2, 21)); diff != "" {
			t.Errorf("%s the last two, since the share is spent:\n%s", name, diff)
		}
	}
}

// Where it could be known beforehand who votes, more is looked at again, and no answer less than
// elsewhere; what a job has seen counts for both.
func TestWhatWasForeseenIsLookedAtMoreOften(t *testing.T) {
	const units = 2000
	b := book(90, 90, 90)
	plan := Plan{Quiet: 0.05, Foreseen: 0.10, Dissent: 0.15, Most: 0.20}
	asked := func(dissent uint32, foreseen bool) (out []bool) {
		a := NewAcceptance(strongRule(), plan, NewCoin([]byte("k"), jobs.JobID{}), b, units)
		a.Restore(Suspicion{Dissent: dissent})
		for n := range uint32(units) {
			if foreseen {
				a.Foresee(n)
			}
			out = append(out, a.Judge(n, []Vote{vote(1, 1), vote(2, 1)}).Step == More)
		}
		return out
	}
	count := func(asked []bool) (n int) {
		for _, yes := range asked {
			if yes {
				n++
			}
		}
		return n
	}
	lots, none := asked(0, false), asked(0, true)
	if x, y := count(lots), count(none); x < units/30 || x > units/14 || y < units/13 || y > units/8 {
		t.Errorf("of %d units %d are looked at again, and %d where there were no lots", units, x, y)
	}
	for n := range lots {
		if lots[n] && !none[n] {
			t.Fatalf("unit %d is looked at again with lots, and not without", n)
		}
	}
	if !slices.Equal(asked(1, false), asked(1, true)) {
		t.Error("what was seen asks for more than either, and not for the same")
	}
}
