package scheduler

import (
	"math/bits"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// told is a vote, the submitter's own where its name is "own", whose reveal names the seals of some.
func told(name string, names ...string) Vote {
	v := Vote{Worker: jobs.NodeID(jobs.Sum([]byte(name))), Own: name == "own"}
	if !v.Own {
		v.Seal = &jobs.Record{ID: sealOf(name)}
	}
	b := &jobs.Reveal{}
	for _, n := range names {
		b.Seals = append(b.Seals, sealOf(n))
	}
	v.Reveal = &jobs.Record{Body: b}
	return v
}

func sealOf(name string) jobs.Digest { return jobs.Sum([]byte("seal of " + name)) }

// Who names whom, and who can therefore not have copied. Of each vote: name, colon, the seals it names.
func TestPunctual(t *testing.T) {
	for _, c := range []struct{ name, votes, want string }{
		{"two that name each other", "ann:ann,bob bob:ann,bob", "ann bob"},
		{"a third came when they could be read", "ann:ann,bob bob:ann,bob thief:ann,bob,thief", "ann bob"},
		{"and hides that", "ann:ann,bob bob:ann,bob thief:thief", "ann bob"},
		{"it sealed between two reveals", "ann:ann,bob bob:ann,bob,thief thief:ann,bob,thief", "ann bob"},
		{"and hides which one it read", "ann:ann,bob bob:ann,bob,thief thief:bob,thief", "bob"},
		{"all that it read", "ann:ann,bob bob:ann,bob,thief thief:thief", ""},
		{"somebody honest came later still", "ann:ann,bob bob:ann,bob thief:thief dan:ann,bob,thief,dan", "ann bob"},
		{"and could be led about", "ann:ann,bob bob:ann,bob thief:thief,dan dan:ann,bob,thief,dan", "ann bob"},
		{"one sealed and never revealed: the second vote is late", "ann:ann,eve bob:ann,eve,bob", "ann"},
		{"the second vote hides that it came second", "ann:ann,eve thief:eve,thief", ""},
		{"beside somebody honest", "ann:ann,eve thief:eve,thief,cat cat:ann,eve,thief,cat", ""},
		{"two pairs that know nothing of each other", "ann:ann,bob bob:ann,bob thief:thief,fred fred:thief,fred", ""},
		{"three at once", "ann:ann,bob,cat bob:ann,bob,cat cat:ann,bob,cat", "ann bob cat"},
		{"one alone", "ann:ann,bob", ""},
		{"the submitter ran it after two", "ann:ann,bob bob:ann,bob own:ann,bob", "ann bob"},
		{"and vouches for one", "ann:ann,bob own:ann", "ann"},
		{"what the submitter had told is copied", "thief:thief own:", ""},
		{"by two in league", "thief:thief,fred fred:thief,fred own:", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var votes []Vote
			var names, got []string
			for s := range strings.FieldsSeq(c.votes) {
				name, seals, _ := strings.Cut(s, ":")
				names = append(names, name)
				votes = append(votes, told(name, strings.Split(seals, ",")...))
			}
			for p := range 4 { // in any order
				first := Punctual(votes, 1<<len(votes)-1, 2)
				got = nil
				for i := range votes {
					if first&(1<<i) != 0 {
						got = append(got, names[i])
					}
				}
				slices.Sort(got)
				if strings.Join(got, " ") != c.want {
					t.Errorf("order %d: %q, not %q", p, strings.Join(got, " "), c.want)
				}
				votes, names = append(votes[1:], votes[0]), append(names[1:], names[0])
			}
		})
	}
}

// Whenever honest workers seal and reveal, those are punctual that had sealed when the first of them
// revealed; one thief that copies what was revealed, and names whom it likes, never is; and once a
// round has been revealed, it takes nothing from it.
func TestNoThiefIsPunctual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		need := rapid.IntRange(2, 3).Draw(t, "need")
		n := rapid.IntRange(need, 6).Draw(t, "honest")
		sealed, revealed := make([]int, n), make([]int, n)
		for i := range n {
			sealed[i] = 2 * rapid.IntRange(0, 20).Draw(t, "sealed")
		}
		complete := slices.Sorted(slices.Values(sealed))[need-1] // nobody reveals before the round is sealed
		first, last := 1<<30, 0
		for i := range n {
			revealed[i] = max(complete, sealed[i]) + 1 + 2*rapid.IntRange(0, 10).Draw(t, "after")
			first, last = min(first, revealed[i]), max(last, revealed[i])
		}
		theft := first + 1 + 2*rapid.IntRange(0, 15).Draw(t, "theft")
		name := func(i int) string { return string(rune('a' + i)) }
		var votes, alone []Vote
		want := uint32(0)
		for i := range n {
			var names []string
			for k := range n {
				if sealed[k] < revealed[i] {
					names = append(names, name(k))
				}
			}
			if sealed[i] < first {
				want |= 1 << i
			}
			alone = append(alone, told(name(i), names...))
			if theft < revealed[i] {
				names = append(names, "thief")
			}
			votes = append(votes, told(name(i), names...))
		}
		hidden := rapid.Uint32().Draw(t, "hidden")
		names := []string{"thief"}
		for i := range n {
			if hidden&(1<<i) == 0 {
				names = append(names, name(i))
			}
		}
		votes = append(votes, told("thief", names...))
		if got := Punctual(alone, 1<<n-1, need); got != want {
			t.Fatalf("punctual are %b, not %b", got, want)
		}
		got := Punctual(votes, 1<<(n+1)-1, need)
		if got&(1<<n) != 0 {
			t.Fatalf("the thief is punctual: %b", got)
		}
		if theft > last && got != want {
			t.Fatalf("the thief came when all was over, and makes %b of %b", got, want)
		}
		if bits.OnesCount32(hidden&(1<<n-1)) == 0 && got != want {
			t.Fatalf("a thief that hides nothing makes %b of %b", got, want)
		}
	})
}
