package scheduler

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

func strong(units int) policy {
	return policy{level: jobs.Strong, votes: 2, units: units, inputs: 1, lease: 2 * time.Minute}
}

// agreeing is the records of two donors who agree about unit 0, and everything before them.
func agreeing(w *world) (before, seals, reveals []*jobs.Record) {
	set := []string{"kim"}
	place := w.sign("sam", &jobs.Placement{Keepers: w.ids(set)})
	ann := w.grant("kim", "ann", set, jobs.Hold{Unit: 0, Replica: 0})
	bob := w.grant("kim", "bob", set, jobs.Hold{Unit: 0, Replica: 1})
	seals = []*jobs.Record{w.seal("ann", 0, 0, "yes", ann), w.seal("bob", 0, 1, "yes", bob)}
	for i, who := range []string{"ann", "bob"} {
		reveals = append(reveals, w.reveal(who, 0, uint8(i), "yes", seals...))
	}
	return []*jobs.Record{place, ann, bob}, seals, reveals
}

// glance is what a keeper tells of unit 0.
func glance(l *Ledger) UnitSummary {
	s := l.Summary(epoch)
	return s.Unit(0)
}

// At strong the second voter is not chosen before the first has sealed: who lies cannot know
// whether a friend comes next.
func TestStrongOpensOneReplicaAtATime(t *testing.T) {
	for _, c := range []struct {
		level jobs.Level
		want  uint8
	}{{jobs.Standard, 0b11}, {jobs.Strong, 0b1}} {
		p := strong(1)
		p.level = c.level
		w := newWorld(t, p)
		l := w.ledger()
		before, seals, _ := agreeing(w)
		w.apply(l, before...)
		if free := glance(l).Free; free != c.want {
			t.Errorf("%s: replicas %b are free at first, not %b", c.level, free, c.want)
		}
		w.apply(l, seals[0])
		if free := glance(l).Free; free != 0b10 {
			t.Errorf("%s: replicas %b are free after the first seal, not %b", c.level, free, 0b10)
		}
	}
}

func TestAskOpensAgain(t *testing.T) {
	w := newWorld(t, strong(2))
	l := w.ledger()
	before, seals, reveals := agreeing(w)
	w.apply(l, append(append(before, seals...), reveals...)...)
	if u := glance(l); u.State != Agreed || u.Free != 0 {
		t.Fatalf("two who agree: %+v", u)
	}
	if _, err := l.Apply(w.sign("ann", &jobs.Ask{Units: []jobs.UnitAsk{{Unit: 0, Votes: 3}}})); !errors.Is(err, ErrAuthor) {
		t.Errorf("a donor asks for votes: %v", err)
	}
	w.apply(l, w.sign("sam", &jobs.Ask{Units: []jobs.UnitAsk{{Unit: 0, Votes: 3}, {Unit: 9, Votes: 3}}, Voters: w.ids([]string{"cat"})}))
	if u := glance(l); u.State != Sealed || u.Free != 0b100 {
		t.Errorf("asked for a third: %+v", u)
	}
	u := &l.units[0]
	if !u.mayStill(w.node("cat").ID(), 2, 2) || u.mayStill(w.node("dan").ID(), 2, 2) || !u.mayStill(w.node("dan").ID(), 1, 2) {
		t.Error("the third vote is to be cat's, the first two anyone's")
	}
	w.apply(l, w.sign("sam", &jobs.Ask{Units: []jobs.UnitAsk{{Unit: 0, Votes: jobs.OwnRun}}}))
	if u := glance(l); u.State != Sealed || u.Free != 0 || !u.Own {
		t.Errorf("asked for the submitter's own run: %+v", u)
	}
	w.apply(l, w.reveal("sam", 0, WholeUnit, "no"))
	if u := glance(l); u.State != Agreed || u.Own || l.Verdict(0).Input(0).Tuple.Output != jobs.Sum([]byte("no")) {
		t.Errorf("the submitter ran it: %+v", u)
	}
}

// Asks are records like others: any order gives the same.
func TestOrderOfAsksDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, strong(2))
		before, seals, reveals := agreeing(w)
		rs := append(append(before, seals...), reveals...)
		for range rapid.IntRange(1, 4).Draw(t, "asks") {
			a := &jobs.Ask{Units: []jobs.UnitAsk{{Unit: 0, Votes: rapid.Uint8().Draw(t, "votes")}}}
			for _, v := range []string{"cat", "dan"} {
				if rapid.Bool().Draw(t, v) {
					a.Voters = append(a.Voters, w.node(v).ID())
				}
			}
			rs = append(rs, w.sign("sam", a))
		}
		first, second := w.ledger(), w.ledger()
		w.apply(first, rs...)
		for _, r := range rapid.Permutation(rs).Draw(t, "order") {
			w.apply(second, r)
			second.Verdict(0)
		}
		w.apply(second, rs...)
		if diff := cmp.Diff(w.portrait(first), w.portrait(second)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(first.Summary(epoch).Units, second.Summary(epoch).Units); diff != "" {
			t.Fatal(diff)
		}
		for _, v := range []string{"cat", "dan", "eve"} {
			if a, b := first.units[0].mayStill(w.node(v).ID(), 2, 2), second.units[0].mayStill(w.node(v).ID(), 2, 2); a != b {
				t.Fatalf("%s may vote: %v, %v", v, a, b)
			}
		}
	})
}
