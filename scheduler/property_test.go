package scheduler

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// Two keepers must agree on a function of a set: whatever order records and payloads come in, and
// however often, the ledger says the same.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, standard(2, 2))
		rs := w.play(drawn(t), 16)
		first := w.ledger()
		w.apply(first, rs...)

		type event struct {
			attach bool
			record int
		}
		var events []event
		for i, r := range rs {
			events = append(events, event{false, i}, event{false, i})
			if r.Kind == jobs.KindReveal {
				events = append(events, event{true, i}, event{true, i})
			}
		}
		second := w.ledger()
		for _, e := range rapid.Permutation(events).Draw(t, "order") {
			if e.attach {
				w.attach(second, rs[e.record])
			} else if _, err := second.Apply(rs[e.record]); errors.Is(err, ErrForeign) || errors.Is(err, ErrNoUnit) {
				t.Fatal(err)
			}
			if e.record%3 == 0 {
				second.Verdict(e.record % 2) // a look between must leave nothing stale behind
			}
		}
		for _, r := range rs {
			w.attach(second, r) // a payload that came before its reveal comes again
		}
		if diff := cmp.Diff(w.portrait(first), w.portrait(second)); diff != "" {
			t.Fatalf("another order, another ledger:\n%s", diff)
		}
		before := second.Version()
		w.apply(second, rs...)
		if second.Version() != before {
			t.Fatal("records that were known made a change")
		}
	})
}

// Merging is what keepers do to each other: commutative, associative, idempotent.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, standard(2, 2))
		var parts [3][]*jobs.Record
		for _, r := range w.play(drawn(t), 16) {
			for i, in := range rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(t, "where") {
				if in {
					parts[i] = append(parts[i], r)
				}
			}
		}
		merged := func(order ...[]*jobs.Record) *Ledger {
			l := w.ledger()
			for _, rs := range order {
				w.apply(l, rs...)
			}
			return l
		}
		a, b, c := parts[0], parts[1], parts[2]
		want := w.portrait(merged(a, b, c))
		for name, l := range map[string]*Ledger{
			"a+(b+c)": merged(a, all(merged(b, c))),
			"(c+b)+a": merged(all(merged(c, b)), a),
			"c+a+b":   merged(c, a, b),
			"twice":   merged(a, b, c, all(merged(a, b, c)), b),
		} {
			if diff := cmp.Diff(want, w.portrait(l)); diff != "" {
				t.Fatalf("%s differs:\n%s", name, diff)
			}
		}
	})
}

// What is kept of one author's many records, and of one record each of many authors, does not
// depend on the order in which they came.
func TestRetainIsAFunctionOfTheSet(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	var few, many []*jobs.Record
	for _, answer := range []string{"a", "b", "c"} {
		for i := range 5 {
			few = append(few, w.seal("eve", 0, 0, answer, w.grant("eve", "eve", []string{"eve"}, jobs.Hold{Unit: uint16(i)})))
		}
	}
	for i := range 20 {
		many = append(many, w.seal("worker"+string(rune('a'+i)), 0, 0, "a"))
	}
	counts := func(r *jobs.Record) bool { return r.ID[0]%3 == 0 }
	for name, tc := range map[string]struct {
		rs   []*jobs.Record
		room int
		kept int
	}{
		"one author":   {few, maxUnitSeals, maxSayings * maxRepeats},
		"many authors": {many, 8, 8},
	} {
		keep := func(rs []*jobs.Record) (kept []*jobs.Record) {
			for _, r := range rs {
				kept = retain(append(slices.Clone(kept), r), tc.room, counts)
			}
			return kept
		}
		want := idsOf(keep(tc.rs))
		if len(want) != tc.kept {
			t.Errorf("%s: %d kept, not %d", name, len(want), tc.kept)
		}
		rapid.Check(t, func(t *rapid.T) {
			if diff := cmp.Diff(want, idsOf(keep(rapid.Permutation(tc.rs).Draw(t, "order")))); diff != "" {
				t.Fatalf("%s: another order keeps others:\n%s", name, diff)
			}
		})
	}
}

// Who contradicted itself once cannot undo it by saying more.
func TestContradictionIsForGood(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	rapid.Check(t, func(t *rapid.T) {
		l := w.ledger()
		g := w.grant("k1", "eve", []string{"k1"}, jobs.Hold{})
		w.apply(l, w.sign("sam", &jobs.Placement{Keepers: w.ids([]string{"k1"})}), g)
		contradicted := false
		said := map[string]bool{}
		for _, answer := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 12).Draw(t, "answers") {
			w.apply(l, w.seal("eve", 0, 0, answer, g, w.grant("eve", "eve", []string{"eve"}, jobs.Hold{Unit: uint16(len(said))})))
			said[answer] = true
			w.apply(l, w.reveal("eve", 0, 0, answer))
			contradicted = contradicted || len(said) > 1
			if voted := l.Verdict(0).votedBy(w.node("eve").ID()); voted == contradicted {
				t.Fatalf("sealed %d answers, voted: %v", len(said), voted)
			}
			if donors := len(l.Summary(epoch).Donors); (donors == 0) != contradicted {
				t.Fatalf("sealed %d answers, %d donors", len(said), donors)
			}
		}
	})
}
