package scheduler

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// fair is a shard on one keeper in a crowd, with the receipt that its draw is made of.
func fair(t fataler, units, donors int) (*world, *Ledger) {
	w := newWorld(t, standard(units, 1))
	l := w.ledger()
	receipt := w.sign("k1", &jobs.Receipt{Secret: [32]byte{7}})
	w.apply(l, receipt, w.sign("sam", &jobs.Placement{Keepers: w.ids([]string{"k1"}), Receipts: idsOf([]*jobs.Record{receipt})}))
	l.SetDonors(donors)
	l.Summary(epoch)
	return w, l
}

// donor is the n-th of many: met before anything, and known.
func donor(n int) Applicant {
	return Applicant{Worker: jobs.NodeID(jobs.Sum(fmt.Appendf(nil, "donor %d", n))), Proven: true, Room: jobs.MaxGrantHolds}
}

// eligibleFor counts which of many donors may claim a unit's replica at a time.
func eligibleFor(l *Ledger, at time.Time, donors, unit int, replica uint8) (n int) {
	for i := range donors {
		if d := donor(i); l.eligible(at, unit, &d, replica) {
			n++
		}
	}
	return n
}

// A fair share is eligible at first, twice as many with each window, and in the end everyone.
func TestTheShareWidens(t *testing.T) {
	const donors = 1000
	_, l := fair(t, 1, donors)
	before := 0
	for windows, want := range []int{8, 16, 32, 64, 128, 256, 512, 1000} {
		at := epoch.Add(time.Duration(windows) * Window(&l.job.Head))
		got := eligibleFor(l, at, donors, 0, 0)
		if got < before || got < want/3 || got > 3*want {
			t.Errorf("after %d windows %d of %d may claim, about %d should", windows, got, donors, want)
		}
		before = got
	}
	if before != donors {
		t.Errorf("in the end %d of %d may claim", before, donors)
	}
}

// What a worker works out from a summary is what the keeper grants, to the window.
func TestWorkersKnowWhatTheyAreEligibleFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, l := fair(t, rapid.IntRange(1, 300).Draw(t, "units"), rapid.IntRange(0, 3000).Draw(t, "donors"))
		window := Window(&l.job.Head)
		now := epoch
		for range 6 {
			now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "eighths")) * window / ageParts)
			a := donor(rapid.IntRange(0, 50).Draw(t, "donor"))
			if rapid.Bool().Draw(t, "late") {
				a.Met = epoch.Add(time.Second)
			}
			s := l.SummaryFor(now, a)
			all := l.Summary(now)
			s.Narrow(l.job.ID, a.Worker)
			for n := range s.Len() {
				for r := range uint8(jobs.MaxVotes) {
					free := all.Unit(n).Free&(1<<r) != 0
					may := free && l.eligible(now, n, &a, r)
					if told := s.Unit(n).Free&(1<<r) != 0; told != may {
						t.Fatalf("%d/%d: free %v, told %v, may claim %v", n, r, free, told, may)
					}
				}
			}
			if s.Wait > 0 {
				later := l.SummaryFor(now.Add(s.Wait), a)
				later.Narrow(l.job.ID, a.Worker)
				if freeBits(later.Units) <= freeBits(s.Units) {
					t.Fatalf("told to wait for %s, and nothing more is there then", s.Wait)
				}
			}
		}
	})
}

func freeBits(units []byte) (n int) {
	for i := 1; i < len(units); i += 2 {
		n += bits.OnesCount8(units[i])
	}
	return n
}

// Nothing starves: whoever is left gets the unit, however late it came.
func TestNothingStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		donors := rapid.IntRange(Crowd, 1<<20).Draw(t, "donors")
		_, l := fair(t, 1, donors)
		a := donor(0)
		a.Network, a.Met = "192.0.2.0/24", epoch.Add(time.Hour)
		window, now := Window(&l.job.Head), epoch
		for windows := 0; len(l.Claim(now, a, holds(1))) == 0; windows++ {
			if windows > bits.Len(uint(donors))+lateBy+1 {
				t.Fatalf("of %d donors the last one waits for more than %d windows", donors, windows)
			}
			now = now.Add(window)
		}
	})
}

// In a grid of fewer than fifty donors everyone may take anything at once, and as much as anyone.
func TestSmallGridsWorkAtOnce(t *testing.T) {
	_, l := fair(t, 40, Crowd-1)
	a := Applicant{Worker: jobs.NodeID{1}, Met: epoch.Add(time.Hour), Network: "192.0.2.0/24", Room: jobs.MaxGrantHolds}
	b := a
	b.Worker = jobs.NodeID{2}
	second := holds(MinHolds)
	for i := range second {
		second[i].Replica = 1
	}
	if got := l.Claim(epoch, a, holds(40)); len(got) != MinHolds {
		t.Errorf("the first was granted %d", len(got))
	}
	if got := l.Claim(epoch, b, second); len(got) != MinHolds {
		t.Errorf("its neighbour was granted %d", len(got))
	}
	if l.Summary(epoch).Lottery != nil {
		t.Error("a lottery among few")
	}
}

// A key made when the seed was known already waits for two windows, whatever its rank.
func TestLateComersWait(t *testing.T) {
	_, l := fair(t, 1, 1000)
	a := donor(0)
	for i := 0; !l.eligible(epoch, 0, &a, 0); i++ { // grinding keys, as an attacker would
		a = donor(i)
	}
	a.Met = epoch.Add(time.Second)
	window := Window(&l.job.Head)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{2 * time.Second, false}, {2*window - time.Second, false}, {2 * window, true}} {
		if got := l.eligible(epoch.Add(c.after), 0, &a, 0); got != c.want {
			t.Errorf("after %s it may claim: %v", c.after, got)
		}
	}
}

// A secret that the submitter draws later makes another draw, for its units only; who was met
// before it is not late for it.
func TestFreshDraws(t *testing.T) {
	w, l := fair(t, 2*jobs.DrawUnits, 1000)
	before := slices.Clone(l.draws)
	later := epoch.Add(time.Hour)
	w.apply(l, w.sign("eve", &jobs.Draw{Number: 1, Secret: [32]byte{6}}))
	w.apply(l, w.sign("sam", &jobs.Draw{Number: 1, Secret: [32]byte{9}}))
	l.Summary(later)
	if l.draws[0] != before[0] || l.draws[1].seed == before[1].seed || !l.draws[1].since.Equal(later) {
		t.Fatalf("draws before %v, after %v", before, l.draws)
	}
	if drawn := l.Drawn(); len(drawn) != 1 || !drawn[1] {
		t.Errorf("the submitter had a part in the draws %v", drawn)
	}
	a := donor(0)
	a.Met = epoch.Add(time.Minute)
	if s := l.SummaryFor(later, a); s.Lottery.Late != 0b01 {
		t.Errorf("late for draws %b", s.Lottery.Late)
	}
	other := w.ledger()
	for _, r := range slices.Backward(all(l)) {
		w.apply(other, r)
	}
	w.apply(other, all(l)...)
	other.SetDonors(1000)
	other.Summary(later)
	for i := range l.draws {
		if l.draws[i].seed != other.draws[i].seed {
			t.Error("the same records in another order, another seed")
		}
	}
}

// A long queue does not become everybody's: units open as they are needed, and age from then.
func TestQueuesOpenInTurn(t *testing.T) {
	_, l := fair(t, 1000, 100)
	open := func(now time.Time) int { s := l.Summary(now); return freeBits(s.Units) / 2 }
	if n := open(epoch); n != leastOpen {
		t.Fatalf("%d units are open at first", n)
	}
	now := epoch.Add(24 * time.Hour)
	for n := range 10 { // ten units are taken
		for i, taken := 0, uint8(0); taken < 2; i++ {
			taken += uint8(len(l.Claim(now, donor(i), []jobs.Hold{{Unit: uint16(n), Replica: taken}})))
		}
	}
	if n := open(now); n != leastOpen {
		t.Fatalf("%d units are open after ten are taken", n)
	}
	if got := eligibleFor(l, now, 100, leastOpen+9, 0); got == 0 || got > 30 {
		t.Errorf("%d of 100 may claim a unit that opened just now", got)
	}
	if got := eligibleFor(l, now, 100, leastOpen-1, 0); got != 100 {
		t.Errorf("%d of 100 may claim a unit that has been open for a day", got)
	}
}

// Voters of one unit come from different networks, while others may still come; private
// addresses are no network.
func TestVotersComeFromDifferentNetworks(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		after         int // windows
		want          bool
	}{
		"the same":            {"192.0.2.0/24", "192.0.2.0/24", apartFor - 1, false},
		"the same, nobody":    {"192.0.2.0/24", "192.0.2.0/24", apartFor, true},
		"another":             {"192.0.2.0/24", "198.51.100.0/24", apartFor - 1, true},
		"one LAN":             {"", "", apartFor - 1, true},
		"a LAN and a network": {"", "192.0.2.0/24", apartFor - 1, true},
	} {
		for _, sealed := range []bool{false, true} {
			w, l := fair(t, 1, Crowd)
			now := epoch.Add(time.Duration(c.after) * Window(&l.job.Head)) // when everyone's lot has fallen
			ann := anyone(w.node("ann").ID())
			ann.Network, ann.Proven = c.first, true
			if len(l.Claim(now, ann, holds(1))) == 0 {
				t.Fatalf("%s: the first may not claim", name)
			}
			if sealed {
				g := w.sign("k1", &jobs.Grant{Worker: ann.Worker, Network: c.first, Set: w.ids([]string{"k1"}), Holds: holds(1)})
				w.apply(l, g, w.seal("ann", 0, 0, "a", g))
			}
			b := anyone(w.node("bob").ID())
			b.Network, b.Proven = c.second, true
			if got := len(l.Claim(now, b, []jobs.Hold{{Replica: 1}})) == 1; got != c.want {
				t.Errorf("%s (sealed: %v): the second may claim: %v", name, sealed, got)
			}
		}
	}
}

// A replica that was claimed, and that nobody was at work on, has waited all the same. Keepers whose
// clocks differ agree to a claim at different times: what the first of them grant comes back to them,
// and if they began anew with it they would never agree with the others.
func TestClaimsOfFewStartNothingAnew(t *testing.T) {
	const donors = 1000
	for name, c := range map[string]struct {
		ends func(l *Ledger, now time.Time, a Applicant) time.Time
		anew bool
	}{
		"given back at once": {func(l *Ledger, now time.Time, a Applicant) time.Time {
			l.Summary(now)
			l.Release(a.Worker, holds(1))
			return now
		}, false},
		"lapsed": {func(l *Ledger, now time.Time, _ Applicant) time.Time {
			l.Summary(now)
			return now.Add(UnconfirmedLease)
		}, false},
		"worked on, and given back": {func(l *Ledger, now time.Time, a Applicant) time.Time {
			if lost := l.Renew(now, a, holds(1)); len(lost) > 0 {
				t.Fatalf("lost %v", lost)
			}
			l.Summary(now)
			l.Release(a.Worker, holds(1))
			return now
		}, true},
		"worked on, and lapsed": {func(l *Ledger, now time.Time, a Applicant) time.Time {
			l.Renew(now, a, holds(1))
			l.Summary(now)
			return now.Add(l.job.Head.LeaseTime())
		}, true},
	} {
		_, l := fair(t, 1, donors)
		now := epoch.Add(7 * Window(&l.job.Head)) // when nearly everyone's lot has fallen
		a := donor(0)
		for i := 1; len(l.Claim(now, a, holds(1))) == 0; i++ {
			a = donor(i)
		}
		now = c.ends(l, now, a)
		l.Summary(now)
		got := eligibleFor(l, now, donors, 0, 0)
		if anew := got < donors/10; anew != c.anew || freeOf(l, 0)&1 == 0 {
			t.Errorf("%s: %d of %d may claim it, free %b", name, got, donors, freeOf(l, 0))
		}
	}
}

// In a crowd a newcomer holds one replica, until a result of it was accepted.
func TestNewcomersHoldOne(t *testing.T) {
	_, l := fair(t, 40, Crowd)
	now := epoch.Add(10 * Window(&l.job.Head))
	a := donor(0)
	a.Proven = false
	if got := l.Claim(now, a, holds(40)); len(got) != 1 {
		t.Errorf("a newcomer was granted %d", len(got))
	}
	a.Proven = true
	if got := l.Claim(now, a, holds(40)); len(got) != MinHolds {
		t.Errorf("granted %d in all after a result was accepted", len(got))
	}
}

// Whom the submitter names for a unit finds it free at once, also in a crowd; nobody else does, and
// what is not asked for waits for its lot as ever.
func TestTheNamedWaitForNoLot(t *testing.T) {
	const donors = 5000
	w, l := fair(t, 4, donors)
	named := w.node("nan").ID()
	var first []*jobs.Record
	for replica, worker := range []string{"ann", "bob"} {
		hold := jobs.Hold{Unit: 1, Replica: uint8(replica)}
		g := w.grant("k1", worker, []string{"k1"}, hold)
		first = append(first, g, w.seal(worker, 1, hold.Replica, worker, g))
	}
	w.apply(l, first...)
	for i, worker := range []string{"ann", "bob"} {
		r := w.reveal(worker, 1, uint8(i), worker, first[1], first[3])
		w.apply(l, r)
		w.attach(l, r)
	}
	w.apply(l, w.sign("sam", &jobs.Ask{Units: []jobs.UnitAsk{{Unit: 1, Votes: 3}}, Voters: []jobs.NodeID{named}}))
	for _, c := range []struct {
		who  jobs.NodeID
		free bool
	}{{named, true}, {donor(1).Worker, false}, {donor(2).Worker, false}} {
		a := Applicant{Worker: c.who, Met: epoch.Add(time.Second), Proven: true, Room: jobs.MaxGrantHolds}
		s := l.SummaryFor(epoch, a)
		if s.Lottery == nil {
			t.Fatal("there is no lot: nothing is tested")
		}
		s.Narrow(l.job.ID, c.who)
		if got := s.Unit(1).Free &^ 3; got != 0 != c.free {
			t.Errorf("%s may take %b of the asked unit", c.who.Short(), got)
		}
		if c.who == named && s.Unit(1).Free != 0 && !l.eligible(epoch, 1, &a, 2) {
			t.Error("it is told of what its keeper refuses")
		}
	}
}

// Whatever a keeper tells of a draw, a worker comes to an end with it.
func TestNarrowEndsWhateverIsTold(t *testing.T) {
	for _, o := range []*Lottery{
		{Window: 1, Share: 0, Seeds: []jobs.Digest{{}}, Ages: []byte{0}},
		{Window: math.MaxUint32, Share: math.MaxUint64, Late: math.MaxUint64, Seeds: []jobs.Digest{{}}, Ages: []byte{255}},
		{Window: 1, Seeds: nil, Ages: []byte{0}},
		{Window: 0, Seeds: []jobs.Digest{{}}, Ages: nil},
	} {
		s := Summary{Units: []byte{byte(Open), 3}, Lottery: o}
		s.Narrow(jobs.JobID{1}, jobs.NodeID{2})
		if s.Wait < 0 {
			t.Errorf("%+v: a wait of %s", o, s.Wait)
		}
	}
}
