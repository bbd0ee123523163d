package worker

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

func summary(units ...scheduler.UnitSummary) *scheduler.Summary {
	s := &scheduler.Summary{}
	for _, u := range units {
		b := byte(u.State)
		if u.Own {
			b |= scheduler.OwnFlag
		}
		s.Units = append(s.Units, b, u.Free)
	}
	return s
}

func nobody(uint16) bool { return false }

func TestPick(t *testing.T) {
	sum := summary(
		scheduler.UnitSummary{State: scheduler.Agreed},
		scheduler.UnitSummary{State: scheduler.Open, Free: 3},
		scheduler.UnitSummary{State: scheduler.Sealed, Free: 2},
		scheduler.UnitSummary{State: scheduler.Running},
		scheduler.UnitSummary{State: scheduler.Disputed},
		scheduler.UnitSummary{State: scheduler.Sealed, Own: true},
	)
	for _, c := range []struct {
		name string
		own  bool
		ask  bool
		n    int
		want []uint16
	}{
		{"sealed before open", false, false, 5, []uint16{2, 1}},
		{"no more than asked", false, false, 1, []uint16{2}},
		{"none", false, false, 0, nil},
		{"own: in order, what nobody runs, disputes too", true, false, 5, []uint16{1, 2, 4, 5}},
		{"own: only what is asked for", true, true, 5, []uint16{5}},
	} {
		got := pick(sum, c.own, c.ask, nobody, c.n, 0)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want units %v", c.name, got, c.want)
			continue
		}
		for i, h := range got {
			if h.Unit != c.want[i] || c.own != (h.Replica == scheduler.WholeUnit) {
				t.Errorf("%s: %v, want units %v", c.name, got, c.want)
			}
		}
	}
	if got := pick(sum, false, false, func(u uint16) bool { return u == 2 }, 5, 0); len(got) != 1 || got[0].Unit != 1 {
		t.Errorf("a unit that is held was picked: %v", got)
	}
}

// A unit that is asked for, and that its keepers do not grant, keeps no other from its turn.
func TestPickGetsToAllThatIsAskedFor(t *testing.T) {
	one := scheduler.UnitSummary{State: scheduler.Sealed, Own: true}
	picked := map[uint16]bool{}
	for rnd := range uint64(16) {
		got := pick(summary(one, one, one, one), true, true, nobody, 1, rnd)
		if len(got) != 1 {
			t.Fatalf("%d units, not one", len(got))
		}
		picked[got[0].Unit] = true
	}
	if len(picked) != 4 {
		t.Errorf("of four units only %v are ever picked", picked)
	}
}

// Whatever the summary and the chance, only free replicas of units that are not held are asked
// for, each unit once.
func TestPickOnlyWhatIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var us []scheduler.UnitSummary
		for range rapid.IntRange(0, 40).Draw(t, "units") {
			us = append(us, scheduler.UnitSummary{
				State: scheduler.State(rapid.IntRange(0, int(scheduler.Disputed)).Draw(t, "state")), Free: rapid.Byte().Draw(t, "free"),
			})
		}
		held := func(u uint16) bool { return u%3 == 1 }
		n := rapid.IntRange(0, 50).Draw(t, "n")
		got := pick(summary(us...), false, false, held, n, rapid.Uint64().Draw(t, "rnd"))
		if len(got) > n {
			t.Fatalf("%d of %d", len(got), n)
		}
		seen := map[uint16]bool{}
		for _, h := range got {
			u := us[h.Unit]
			if seen[h.Unit] || held(h.Unit) || u.State.Decided() || h.Replica >= jobs.MaxVotes || u.Free&(1<<h.Replica) == 0 {
				t.Fatalf("%v of %+v", h, u)
			}
			seen[h.Unit] = true
		}
	})
}
