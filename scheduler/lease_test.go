package scheduler

import (
	"math/bits"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// day is one keeper's day: workers claim, renew, seal, reveal, lie and leave in any order, and
// after each step everything that must hold of a ledger is looked at.
type day struct {
	*world
	ledger *Ledger
	now    time.Time
	scenes map[string]*scene // by worker and unit: what it was granted last
}

func TestOneKeepersDay(t *testing.T) {
	agreed := 0
	rapid.Check(t, func(t *rapid.T) {
		p := standard(2, 1)
		p.millis = rapid.Uint32Range(0, 60_000).Draw(t, "estimate")
		d := &day{world: newWorld(t, p), now: epoch, scenes: map[string]*scene{}}
		d.ledger = d.world.ledger()
		d.apply(d.ledger, d.sign("sam", &jobs.Placement{Keepers: d.ids([]string{"k0"})}))
		pick := drawn(t)
		for range 40 {
			d.step(t, pick)
			d.invariants(d.ledger, d.now)
			d.tellsHolders(t)
		}
		if d.ledger.Summary(d.now).Done > 0 {
			agreed++
		}
	})
	if agreed == 0 {
		t.Error("nobody ever agreed on anything: the days say little")
	}
}

func (d *day) step(t *rapid.T, pick chooser) {
	worker := append(playWorkers, "fay", "sam")[pick(7)]
	hold := jobs.Hold{Unit: uint16(pick(3)), Replica: uint8(pick(4))}
	if worker == "sam" {
		hold.Replica = WholeUnit
	}
	s := d.scenes[worker+string(rune('0'+hold.Unit))]
	switch action := pick(8); {
	case action < 3:
		d.claim(t, worker, hold)
	case action == 3:
		held := []jobs.Hold{hold}
		if s != nil {
			held = append(held, jobs.Hold{Unit: hold.Unit, Replica: s.replica})
		}
		d.renew(t, worker, held)
	case action == 4:
		d.now = d.now.Add([]time.Duration{time.Second, 9 * time.Second, 50 * time.Second, 2 * time.Minute, 20 * time.Minute}[pick(5)])
	case s == nil:
	case action == 5:
		d.ledger.Release(d.node(worker).ID(), []jobs.Hold{hold, {Unit: hold.Unit, Replica: s.replica}})
	case action == 6 && len(s.seals) == 0 || action == 6 && pick(5) == 0:
		s.answer = []string{"a", "a", "a", "b", "?"}[pick(5)]
		s.seals = append(s.seals, d.seal(worker, s.unit, s.replica, s.answer, s.grants...))
		d.apply(d.ledger, append(slices.Clone(s.grants), s.seals...)...)
	case worker == "sam" || len(s.seals) > 0:
		d.apply(d.ledger, d.reveal(worker, s.unit, s.replica, max(s.answer, "a")))
	}
}

// tellsHolders compares who is said to hold units with what each worker is counted to hold.
func (d *day) tellsHolders(t *rapid.T) {
	all := d.ledger.Holders(d.now)
	for i, h := range all {
		if i > 0 && len(all[i-1].Units) < len(h.Units) || !slices.IsSorted(h.Units) {
			t.Fatalf("not in order: %v", all)
		}
		if n := d.ledger.Holding(d.now, h.Worker); n != len(h.Units) || n == 0 {
			t.Fatalf("%s is said to hold %v, and holds %d", h.Worker.Short(), h.Units, n)
		}
	}
	for _, worker := range append(slices.Clone(playWorkers), "fay", "sam") {
		id := d.node(worker).ID()
		told := slices.ContainsFunc(all, func(h Holder) bool { return h.Worker == id })
		if n := d.ledger.Holding(d.now, id); told != (n > 0) {
			t.Fatalf("%s holds %d, told: %v", worker, n, told)
		}
	}
}

// claim asks for a replica, and checks what may be asked of an answer.
func (d *day) claim(t *rapid.T, worker string, h jobs.Hold) {
	l, id := d.ledger, d.node(worker).ID()
	var open, had bool
	if int(h.Unit) < l.Units() {
		u := l.look(d.now, int(h.Unit))
		open, had = u.free&(1<<h.Replica) != 0, u.leaseOf(id, h.Replica) >= 0
	}
	heard := int(h.Unit) < l.Units() && l.units[h.Unit].heardFrom(id)
	most := 0
	if int(h.Unit) < l.Units() {
		most = d.world.most(l, d.now, int(h.Unit))
	}
	got := l.Claim(d.now, anyone(id), []jobs.Hold{h, h})
	if len(got) == 0 {
		return
	}
	state := l.Verdict(int(h.Unit)).State
	switch count, _ := busy(l, d.now, int(h.Unit)); {
	case len(got) != 1 || got[0] != h:
		t.Fatalf("asked for %v twice, granted %v", h, got)
	case heard:
		t.Fatalf("granted %v to %s, who has spoken", h, worker)
	case state.Decided():
		t.Fatalf("granted a unit that is %s", state)
	case worker != "sam" && !had && !open:
		t.Fatalf("granted %v, which was not free", h)
	case worker != "sam" && !had && count > most:
		t.Fatalf("granted %v: %d at work, %d wanted", h, count, most)
	}
	key := worker + string(rune('0'+h.Unit))
	if s := d.scenes[key]; s == nil || len(s.seals) == 0 {
		d.scenes[key] = &scene{worker: worker, unit: int(h.Unit), replica: h.Replica,
			grants: []*jobs.Record{d.grant("k0", worker, []string{"k0"}, h)}}
	}
}

func (d *day) renew(t *rapid.T, worker string, held []jobs.Hold) {
	lost := d.ledger.Renew(d.now, anyone(d.node(worker).ID()), held)
	for _, h := range held {
		if slices.Contains(lost, h) {
			continue
		}
		u := d.ledger.look(d.now, int(h.Unit))
		if u.leaseOf(d.node(worker).ID(), h.Replica) < 0 && !slices.ContainsFunc(u.sealed, by(d.node(worker).ID())) {
			t.Fatalf("%s was told it holds %v", worker, h)
		}
	}
}

// belief is what a worker thinks it holds, by its own clock and its own caution.
type belief struct {
	worker string
	hold   jobs.Hold
	until  time.Time
}

// While keepers keep their memory, no two workers ever believe at once that they hold one
// replica, whichever questions and answers get lost and though clocks drift by one percent.
func TestMajorityClaimsNeverCollide(t *testing.T) {
	beliefs := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, standard(2, 1))
		keepers := make([]*Ledger, rapid.IntRange(3, 5).Draw(t, "keepers"))
		rates := make([]float64, len(keepers))
		for i := range keepers {
			keepers[i] = w.ledger()
			rates[i] = 1 + float64(rapid.IntRange(-10, 10).Draw(t, "drift"))/1000
		}
		now := time.Duration(0)
		var held []belief
		for range 40 {
			now += time.Duration(rapid.IntRange(0, 70).Draw(t, "pause")) * time.Second / 2
			at := epoch.Add(now)
			held = slices.DeleteFunc(held, func(b belief) bool { return !at.Before(b.until) })
			b := belief{worker: rapid.SampledFrom(playWorkers).Draw(t, "worker"),
				hold: jobs.Hold{Unit: uint16(rapid.IntRange(0, 1).Draw(t, "unit")), Replica: uint8(rapid.IntRange(0, 1).Draw(t, "replica"))}}
			mine := slices.IndexFunc(held, func(o belief) bool { return o.worker == b.worker && o.hold == b.hold })
			lease, yes := UnconfirmedLease, 0
			most := func(label string) int { // of the keepers: drawn twice
				some := rapid.IntRange(0, 1<<len(keepers)-1)
				first := some.Draw(t, label)
				return first | some.Draw(t, label)
			}
			questions, answers := most("asked"), most("heard")
			for i, l := range keepers {
				clock := epoch.Add(time.Duration(float64(now) * rates[i]))
				if questions&(1<<i) == 0 {
					continue
				}
				granted := false
				if mine >= 0 {
					lease = w.job.Head.LeaseTime()
					granted = len(l.Renew(clock, anyone(w.node(b.worker).ID()), []jobs.Hold{b.hold})) == 0
				} else {
					granted = len(l.Claim(clock, anyone(w.node(b.worker).ID()), []jobs.Hold{b.hold})) > 0
				}
				if granted && answers&(1<<i) != 0 {
					yes++
				}
			}
			if yes < Majority(len(keepers)) {
				continue
			}
			b.until = at.Add(lease - lease/100 - 5*time.Second)
			for _, o := range held {
				if o.hold == b.hold && o.worker != b.worker {
					t.Fatalf("%s and %s both hold %v", o.worker, b.worker, b.hold)
				}
			}
			if mine >= 0 {
				held[mine].until = later(held[mine].until, b.until)
			} else {
				held = append(held, b)
				beliefs++
			}
		}
	})
	if beliefs < 100 {
		t.Errorf("only %d assignments were made: the runs say little", beliefs)
	}
}

func freeOf(l *Ledger, n int) uint8 {
	s := l.Summary(epoch)
	return s.Unit(n).Free
}

func holds(n int) (out []jobs.Hold) {
	for i := range n {
		out = append(out, jobs.Hold{Unit: uint16(i)})
	}
	return out
}

func TestClaimBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		millis uint32
		units  int
		want   int
	}{
		"no estimate":         {0, 40, 16},
		"a minute each":       {60_000, 40, 16},
		"a second each":       {1000, 100, 60},
		"a millisecond each":  {1, 1024, 1024},
		"fewer than the rest": {0, 3, 3},
	} {
		p := standard(tc.units, 1)
		p.millis = tc.millis
		w := newWorld(t, p)
		l, ann := w.ledger(), w.node("ann").ID()
		got := l.Claim(epoch, anyone(ann), append(holds(tc.units), jobs.Hold{Unit: 2000}, jobs.Hold{Unit: 1, Replica: 1}))
		if len(got) != tc.want {
			t.Errorf("%s: %d of %d granted, want %d", name, len(got), tc.units, tc.want)
		}
		// An answer that was lost is given again, in full.
		if again := l.Claim(epoch, anyone(ann), holds(tc.units)); !slices.Equal(got, again) {
			t.Errorf("%s: asked again, granted %d", name, len(again))
		}
		if bob := l.Claim(epoch, anyone(w.node("bob").ID()), holds(1)); len(bob) != 0 {
			t.Errorf("%s: one replica granted twice", name)
		}
	}
}

// A seal that counts ends its lease: it holds its replica itself, and its worker may claim more.
func TestSealMakesRoom(t *testing.T) {
	w := newWorld(t, standard(40, 1))
	l, ann := w.ledger(), w.node("ann").ID()
	g := w.grant("k0", "ann", []string{"k0"}, holds(16)...)
	w.apply(l, w.sign("sam", &jobs.Placement{Keepers: w.ids([]string{"k0"})}), g)
	l.Claim(epoch, anyone(ann), holds(16))
	if got := l.Claim(epoch, anyone(ann), holds(40)[16:]); len(got) != 0 {
		t.Fatalf("%d more granted to who has its fill", len(got))
	}
	for i := range 16 {
		w.apply(l, w.seal("ann", i, 0, "a", g))
	}
	if got := l.Claim(epoch, anyone(ann), holds(40)[16:]); len(got) != 16 {
		t.Errorf("%d granted after sixteen seals", len(got))
	}
	if lost := l.Renew(epoch, anyone(ann), holds(16)); len(lost) != 0 {
		t.Errorf("what was sealed is lost: %v", lost)
	}
	if free := freeOf(l, 0); free != 0b10 {
		t.Errorf("free replicas of a sealed unit: %b", free)
	}
}

// Nobody holds a replica for ever: after eight leases it is another's turn for as long.
func TestLongestHold(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	l, ann := w.ledger(), w.node("ann").ID()
	l.Claim(epoch, anyone(ann), holds(1))
	now, step := epoch, 40*time.Second
	for len(l.Renew(now, anyone(ann), holds(1))) == 0 {
		if now = now.Add(step); now.Sub(epoch) > time.Hour {
			t.Fatal("held for an hour")
		}
	}
	if held := now.Sub(epoch); held < 8*2*time.Minute || held > 8*2*time.Minute+step {
		t.Errorf("held for %s, not for eight leases", held)
	}
	if got := l.Claim(now.Add(15*time.Minute), anyone(ann), holds(1)); len(got) != 0 {
		t.Error("claimed again at once")
	}
	if got := l.Claim(now.Add(17*time.Minute), anyone(ann), holds(1)); len(got) != 1 {
		t.Error("barred for ever")
	}
}

// A claim that lapsed is not a hold that was too long, however late somebody looks.
func TestLapsedIsNotSpent(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	l, ann := w.ledger(), w.node("ann").ID()
	l.Claim(epoch, anyone(ann), holds(1))
	if got := l.Claim(epoch.Add(time.Hour), anyone(ann), holds(1)); len(got) != 1 {
		t.Error("barred for a claim that lapsed an hour ago")
	}
}

func TestRestartForgetsLeasesOnly(t *testing.T) {
	w := newWorld(t, standard(2, 1))
	l, ann := w.ledger(), w.node("ann").ID()
	l.Claim(epoch, anyone(ann), holds(2))
	l = w.ledger()
	if lost := l.Renew(epoch, anyone(ann), holds(2)); len(lost) != 0 {
		t.Errorf("renewing at a keeper that forgot: lost %v", lost)
	}
	if got := bits.OnesCount8(freeOf(l, 0)); got != 1 {
		t.Errorf("%d replicas free", got)
	}
	if lost := l.Renew(epoch, anyone(w.node("bob").ID()), []jobs.Hold{{Unit: 0}, {Unit: 9}}); len(lost) != 2 {
		t.Errorf("another renewed it too: lost %v", lost)
	}
}
