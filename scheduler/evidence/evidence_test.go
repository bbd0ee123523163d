package evidence

import (
	"runtime"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// Two votes that name each other's seals, for every unit: nothing is wrong, and the donors' shares
// add up.
func TestAgreed(t *testing.T) {
	for _, large := range []bool{false, true} {
		w := newWorld(t, 10, 4, standard())
		w.large = large
		w.agreeAll()
		inputs := uint64(0)
		r := check(t, w.file(), Options{Submitter: w.submitter.ID(), Unit: func(u *Unit) error {
			if u.Standing != Independent || u.First != inputs {
				t.Errorf("unit %d: %s, from input %d, not %d", u.Number, u.Standing, u.First, inputs)
			}
			for i := range u.Verdict.Inputs() {
				if got := u.Verdict.Input(i).Tuple.Output; got != jobs.BlobOf(answer(inputs)).Digest {
					t.Errorf("input %d: another answer than its donors gave", inputs)
				}
				inputs++
			}
			return nil
		}})
		if !r.Valid() || r.Units != 3 || r.Proved != 3 || r.Late+r.Vouched != 0 || r.Answers != 10 || inputs != 10 || r.Votes != 6 {
			t.Errorf("large %v: %+v", large, r)
		}
		want := Share{Units: 3, Inputs: 10, Fuel: 100*10 + 6 + 6 + 1}
		for _, d := range []string{"ann", "bob"} {
			if got := r.Donors[keyOf(d).ID()]; got == nil || *got != want {
				t.Errorf("large %v: share of %s %+v, not %+v", large, d, got, want)
			}
		}
	}
}

// Many shards, and units whose proofs fill more than one chunk.
func TestManyShards(t *testing.T) {
	w := newWorld(t, 1030, 1, standard())
	for n := range 1024 {
		w.agree(0, uint16(n), "ann", "bob")
	}
	for n := range 6 {
		w.agree(1, uint16(n), "ann", "bob")
	}
	file := w.file()
	if r := check(t, file, Options{}); !r.Valid() || r.Proved != 1030 {
		t.Errorf("%d of 1030 units proved: %v", r.Proved, r.Findings)
	}
	t.Logf("%d bytes a unit of one input and two votes", len(file)/1030)
}

// How verdicts that are not two plain votes stand.
func TestStandings(t *testing.T) {
	fail := func(_ int, x *jobs.Tuple) { x.Outcome, x.Exit = jobs.Exit, 3 }
	giveUp := func(_ int, x *jobs.Tuple) { x.Outcome, x.Fuel = jobs.GaveUp, 0 }
	lie := func(_ int, x *jobs.Tuple) { x.Fuel++ }
	for _, c := range []struct {
		name string
		do   func(w *world)
		want Report
		inks map[string]Share
	}{
		{"a failure is an answer", func(w *world) {
			x, y := w.sealed(w.run("ann", 0, 0, 0, fail)), w.sealed(w.run("bob", 0, 0, 1, fail))
			w.reveal(x, x, y)
			w.reveal(y, x, y)
		}, Report{Proved: 1, Failed: 1, Votes: 2}, map[string]Share{"ann": {1, 1, 100, 0}, "bob": {1, 1, 100, 0}}},
		{"given up by three", func(w *world) {
			x, y := w.sealed(w.run("ann", 0, 0, 0, giveUp)), w.sealed(w.run("bob", 0, 0, 1, giveUp))
			w.reveal(x, x, y)
			w.reveal(y, x, y)
			z := w.sealed(w.run("cat", 0, 0, 2, giveUp))
			w.reveal(z, x, y, z)
		}, Report{Proved: 1, Stuck: 1, Votes: 3}, map[string]Share{"ann": {}, "bob": {}, "cat": {}}},
		{"a third vote settles a dispute", func(w *world) {
			x, y := w.sealed(w.run("ann", 0, 0, 0, nil)), w.sealed(w.run("liar", 0, 0, 1, lie))
			w.reveal(x, x, y)
			w.reveal(y, x, y)
			z := w.sealed(w.run("cat", 0, 0, 2, nil))
			w.reveal(z, x, y, z)
		}, Report{Proved: 1, Late: 1, Answers: 1, Votes: 3}, map[string]Share{"ann": {1, 1, 100, 0}, "liar": {}, "cat": {Late: 100}}},
		{"a copy of what is decided earns nothing", func(w *world) {
			x, y := w.sealed(w.run("ann", 0, 0, 0, nil)), w.sealed(w.run("bob", 0, 0, 1, nil))
			w.reveal(x, x, y)
			w.reveal(y, x, y)
			z := w.sealed(w.run("thief", 0, 0, 1, nil))
			w.reveal(z, x, y, z)
		}, Report{Proved: 1, Answers: 1, Votes: 3}, map[string]Share{"ann": {1, 1, 100, 0}, "bob": {1, 1, 100, 0}, "thief": {Late: 100}}},
		{"the submitter's own run decides", func(w *world) {
			x := w.run("submitter", 0, 0, 0, nil)
			w.reveal(x)
		}, Report{Proved: 1, Vouched: 1, Answers: 1, Votes: 1}, map[string]Share{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, 1, standard())
			c.do(w)
			r := check(t, w.file(), Options{})
			if !r.Valid() || r.Proved != c.want.Proved || r.Late != c.want.Late || r.Vouched != c.want.Vouched ||
				r.Answers != c.want.Answers || r.Failed != c.want.Failed || r.Stuck != c.want.Stuck || r.Votes != c.want.Votes {
				t.Errorf("%+v, not %+v", r, c.want)
			}
			if len(r.Donors) != len(c.inks) {
				t.Errorf("%d donors, not %d", len(r.Donors), len(c.inks))
			}
			for d, want := range c.inks {
				if got := r.Donors[keyOf(d).ID()]; got == nil || *got != want {
					t.Errorf("share of %s: %+v, not %+v", d, got, want)
				}
			}
		})
	}
}

// What is sound but does not suffice is refused, in words.
func TestRefusals(t *testing.T) {
	paranoid := jobs.Policy{Level: jobs.Paranoid, Votes: 7, Lease: 60}
	seven := func(w *world, change func(i int, x *task)) {
		var all []*task
		for i := range 7 {
			x := w.run(string(rune('a'+i)), 0, 0, uint8(i), nil)
			change(i, x)
			all = append(all, w.sealed(x))
		}
		for _, x := range all {
			w.reveal(x, all...)
		}
		v := w.ledgers[0].Verdict(0)
		w.sign(w.submitter, 0, &jobs.Final{Answers: []jobs.Digest{v.Votes[0].Reveal.Body.(*jobs.Reveal).Tuples}})
	}
	for _, c := range []struct {
		name   string
		policy jobs.Policy
		do     func(w *world)
		want   string // "" for valid
	}{
		{"nothing", standard(), func(*world) {}, "unit 1 (input 1): no verdict is proved"},
		{"one vote", standard(), func(w *world) {
			x := w.sealed(w.run("ann", 0, 0, 0, nil))
			w.reveal(x, x)
		}, "unit 1 (input 1): 1 of the votes here count"},
		{"seven of seven networks", paranoid, func(w *world) { seven(w, func(int, *task) {}) }, ""},
		{"seven of six networks", paranoid, func(w *world) {
			seven(w, func(i int, x *task) {
				if i == 3 {
					x.network = "net-a"
				}
			})
		}, "its votes come from 6 networks, paranoid asks for 7"},
		{"seven, and one that dissents late", paranoid, func(w *world) {
			seven(w, func(int, *task) {})
			x := w.sealed(w.run("z", 0, 0, 7, func(_ int, x *jobs.Tuple) { x.Fuel++ }))
			w.reveal(x, x)
		}, "its votes are not unanimous"},
		{"seven, and one that gives up", paranoid, func(w *world) {
			seven(w, func(int, *task) {})
			x := w.sealed(w.run("z", 0, 0, 7, func(_ int, x *jobs.Tuple) { x.Outcome, x.Fuel = jobs.GaveUp, 0 }))
			w.reveal(x, x)
		}, ""},
		{"trusted", jobs.Policy{Level: jobs.Trusted, Votes: 1, Lease: 60, Trust: []jobs.NodeID{keyOf("ann").ID()}}, func(w *world) {
			x := w.sealed(w.run("ann", 0, 0, 0, nil))
			w.reveal(x, x)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, 1, c.policy)
			c.do(w)
			r := check(t, w.file(), Options{})
			if c.want == "" {
				if !r.Valid() {
					t.Errorf("refused: %v", r.Findings)
				}
				return
			}
			if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].String(), c.want) {
				t.Errorf("%v, not %q", r.Findings, c.want)
			}
		})
	}
}

// A file about a job that was not done is refused unless that was asked for.
func TestPartial(t *testing.T) {
	w := newWorld(t, 3, 1, standard())
	w.agree(0, 1, "ann", "bob")
	file := w.file()
	if r := check(t, file, Options{}); r.Wrong != 2 || r.Proved != 1 {
		t.Errorf("%+v", r)
	}
	if r := check(t, file, Options{Partial: true}); !r.Valid() || r.Proved != 1 || r.Units != 3 {
		t.Errorf("%+v", r)
	}
}

// At strong nothing is final, and nobody has earned anything, before the submitter's last word.
func TestNotFinal(t *testing.T) {
	w := newWorld(t, 2, 2, jobs.Policy{Level: jobs.Strong, Votes: 2, Lease: 60}).agreeAll()
	if r := check(t, w.file(), Options{}); r.Wrong != 1 || r.Pending != 1 {
		t.Errorf("not final, and not asked for as it is: %+v", r)
	}
	r := check(t, w.file(), Options{Partial: true})
	if !r.Valid() || r.Proved != 1 || r.Unfinal != 1 || len(r.Donors) != 2 || *r.Donors[keyOf("ann").ID()] != (Share{}) {
		t.Errorf("not final: %+v", r)
	}
	answer := w.ledgers[0].Verdict(0).Votes[0].Reveal.Body.(*jobs.Reveal).Tuples
	w.sign(w.submitter, 0, &jobs.Final{Answers: []jobs.Digest{answer}})
	if r := check(t, w.file(), Options{}); !r.Valid() || r.Unfinal != 0 || r.Donors[keyOf("ann").ID()].Fuel == 0 {
		t.Errorf("final: %+v", r)
	}
}

func TestAnotherSubmitter(t *testing.T) {
	r := check(t, newWorld(t, 1, 1, standard()).agreeAll().file(), Options{Submitter: keyOf("somebody").ID()})
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].String(), "the head: the job is signed by 12D3") {
		t.Errorf("%v", r.Findings)
	}
}

// BenchmarkMillion is a job of a million inputs in units of 1,000: how large its evidence is, what
// checking it costs, and that memory does not grow with it.
func BenchmarkMillion(b *testing.B) { benchmarkCheck(b, 1_000_000, 1000) }

// BenchmarkUnits is the same of units of one small input, each with two votes and what they lean on.
func BenchmarkUnits(b *testing.B) {
	b.Run("5000", func(b *testing.B) { benchmarkCheck(b, 5_000, 1) })
	b.Run("20000", func(b *testing.B) { benchmarkCheck(b, 20_000, 1) })
}

func benchmarkCheck(b *testing.B, inputs, perUnit int) {
	w := newWorld(b, inputs, perUnit, standard())
	w.large, w.distinct = perUnit > 1, true
	file := w.agreeAll().file()
	w = nil
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1e6
	}
	before := heap()
	for b.Loop() {
		peak := 0.0
		r := check(b, file, Options{Unit: func(u *Unit) error {
			if u.Index%500 == 0 {
				peak = max(peak, heap()-before)
			}
			return nil
		}})
		if !r.Valid() || r.Answers != uint64(inputs) {
			b.Fatalf("%d answers: %v", r.Answers, r.Findings)
		}
		b.ReportMetric(float64(len(file))/1e6, "MB-file")
		b.ReportMetric(peak, "MB-heap")
	}
}
