package world

import (
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// fate is what the seed decides of a world before it begins. Rates are in millionths.
type fate struct {
	until      time.Duration // faults end then
	arrive     time.Duration // within which all nodes come
	submitters int
	units      int
	unitTime   time.Duration
	fsync      time.Duration
	driftPPM   int
	clockOff   time.Duration

	lossPPM, twicePPM, slowPPM   int           // of messages
	crashPPM                     int           // of effects
	emptyPPM                     int           // of crashes: the disk is gone too
	leavePPM, dicePPM, cancelPPM int           // of jobs
	weather                      time.Duration // between things that go wrong; 0: none do
	public                       bool          // nodes have public addresses: networks tell them apart
	kinds                        []func(*world)
	cuts                         []*cut
	cheat                        bool // one submitter more, that is Byzantine
	releases                     bool // nodes run two releases of the program
	crowd                        int  // donors beside those who are there, whom everyone has heard of: work is given by lot
}

// drawFate draws a world. Each class of faults is in about half of the worlds: what never happens
// together hides what only happens together.
func drawFate(l *strand.Loop, opt Options) fate {
	draw := func(n int) int { return int(l.Uint64() % uint64(n)) }
	some := func(n int) int { return draw(2) * draw(n) }
	f := fate{
		until: time.Duration(2+draw(8)) * time.Minute, arrive: time.Duration(draw(20)+1) * time.Second,
		submitters: 1 + draw(2), units: opt.Units, unitTime: time.Duration(1+draw(40)*(1+draw(4)/3*2)) * time.Second, fsync: time.Duration(1+draw(20)) * time.Millisecond,
		leavePPM: draw(million), dicePPM: draw(100_000), cancelPPM: draw(80_000),
	}
	if f.units == 0 {
		f.units = 2 + draw(24)
	}
	f.submitters = min(f.submitters, f.units)
	loss, twice, slow := some(300_000), some(500_000), some(400_000)
	crash, empty, drift, off := some(400), some(500_000), some(10_000), some(86_400)
	weather := time.Duration(2+draw(30)) * time.Second
	menu := []func(*world){
		(*world).isolate, (*world).partition, (*world).oneWay, (*world).restart, (*world).suspend,
		(*world).jump, (*world).fill, (*world).damage, (*world).churn, (*world).crowd, (*world).swizzle,
		(*world).clog, (*world).crawl, (*world).freeze, (*world).stall, (*world).lock, (*world).drag, (*world).blackout,
		(*world).roam, (*world).misplace, (*world).stutter,
	}
	for _, kind := range menu {
		if draw(2) == 0 {
			f.kinds = append(f.kinds, kind)
		}
	}
	f.public = draw(2) == 0 || opt.Level == jobs.Paranoid
	if opt.Calm {
		f.unitTime, f.leavePPM, f.dicePPM, f.cancelPPM, f.until = 10*time.Second, 0, 0, 0, time.Minute
		if opt.Takes > 0 {
			f.unitTime = opt.Takes
		}
		f.kinds = nil
		if opt.Liars > 0 {
			f.later(draw, opt)
		}
		return f
	}
	f.lossPPM, f.twicePPM, f.slowPPM, f.crashPPM, f.emptyPPM = loss, twice, slow, crash, empty
	f.driftPPM, f.clockOff, f.weather = drift, time.Duration(off)*time.Second, weather
	f.later(draw, opt)
	return f
}

// cut is a set of pairs that do not reach each other, in one direction or both.
type cut struct {
	from, to map[*node]bool
	both     bool
}

// reaches reports whether messages get from a to b.
func (w *world) reaches(a, b *node) bool {
	for _, c := range w.fate.cuts {
		if c.from[a] && c.to[b] || c.both && c.from[b] && c.to[a] {
			return false
		}
	}
	return true
}

// scheduleFaults begins the bad times, and ends them.
func (w *world) scheduleFaults() {
	if w.fate.weather > 0 {
		w.loop.At(w.fate.weather, w.storm)
	}
	w.loop.At(w.fate.until, w.heal)
}

// storm lets something go wrong, and comes again.
func (w *world) storm() {
	if w.healed {
		return
	}
	if len(w.fate.kinds) > 0 {
		w.fate.kinds[w.draw(len(w.fate.kinds))](w)
	}
	if w.draw(2) == 0 {
		w.replay()
	}
	w.loop.At(w.between(w.fate.weather/2, 2*w.fate.weather), w.storm)
}

// heal ends all faults: who is down comes back, and the liars go on lying.
func (w *world) heal() {
	w.healed = true
	w.fate.cuts = nil
	w.modernise()
	for _, n := range w.nodes {
		n.disk.full, n.disk.broken, n.disk.locked, n.disk.drags, n.crawl, n.clog = false, false, false, false, false, 0
		if n.p != nil {
			n.p.m.Resume()
		}
		if n.p == nil && !n.gone && !w.opt.Churn {
			w.loop.At(w.between(0, 5*time.Second), n.start)
		}
	}
	w.step("heal")
	w.tell("nothing goes wrong any more")
	w.stir()
}

// some draws a node that is up.
func (w *world) some() *node {
	for range 8 {
		if n := w.nodes[w.draw(len(w.nodes))]; n.p != nil {
			return n
		}
	}
	return w.nodes[0]
}

// sever makes a cut and lets it heal.
func (w *world) sever(c *cut, d time.Duration) {
	w.fate.cuts = append(w.fate.cuts, c)
	w.stir()
	w.loop.At(d, func() {
		for i, o := range w.fate.cuts {
			if o == c {
				w.fate.cuts = append(w.fate.cuts[:i:i], w.fate.cuts[i+1:]...)
				w.step("mend")
				w.stir()
				return
			}
		}
	})
}

func (w *world) all() map[*node]bool {
	m := map[*node]bool{}
	for _, n := range w.nodes {
		m[n] = true
	}
	return m
}

func (w *world) isolate() {
	n, d := w.some(), w.between(time.Second, 3*time.Minute)
	w.fault("%s is cut off for %s", n.name, d.Round(time.Second))
	w.sever(&cut{from: map[*node]bool{n: true}, to: w.all(), both: true}, d)
}

func (w *world) partition() {
	a, b := map[*node]bool{}, map[*node]bool{}
	for _, n := range w.nodes {
		if w.draw(2) == 0 {
			a[n] = true
		} else {
			b[n] = true
		}
	}
	d := w.between(time.Second, 4*time.Minute)
	w.fault("the network falls apart, %d nodes here and %d there, for %s", len(a), len(b), d.Round(time.Second))
	w.sever(&cut{from: a, to: b, both: true}, d)
}

func (w *world) oneWay() {
	a, b, d := w.some(), w.some(), w.between(time.Second, 4*time.Minute)
	w.fault("nothing gets from %s to %s for %s", a.name, b.name, d.Round(time.Second))
	w.sever(&cut{from: map[*node]bool{a: true}, to: map[*node]bool{b: true}}, d)
}

// swizzle cuts several nodes off one after the other, and lets them come back in another order.
func (w *world) swizzle() {
	w.fault("nodes drop out one by one")
	for range 1 + w.draw(len(w.nodes)/2+1) {
		n := w.some()
		w.loop.At(w.between(0, 30*time.Second), func() {
			if !w.healed {
				w.sever(&cut{from: map[*node]bool{n: true}, to: w.all(), both: true}, w.between(time.Second, 2*time.Minute))
			}
		})
	}
}

// crash kills a node and starts it again some time later, with its disk or without. A submitter's
// disk stays: the promise holds while it does.
func (w *world) crash(n *node, d time.Duration) {
	empty := !n.role.submits && w.chance(w.fate.emptyPPM)
	what := "as it was"
	if empty {
		what = "empty"
	}
	w.fault("%s is killed, back after %s with its disk %s", n.name, d.Round(time.Second/10), what)
	n.kill()
	if empty {
		n.wipe()
	}
	w.loop.At(d, n.start)
}

// maybeCrash kills a node at an effect of its own.
func (w *world) maybeCrash(n *node) {
	if !w.healed && n.p != nil && w.chance(w.fate.crashPPM) {
		w.crash(n, w.between(100*time.Millisecond, 90*time.Second))
	}
}

func (w *world) restart() {
	w.crash(w.some(), w.between(100*time.Millisecond, 3*time.Minute))
}

func (w *world) jump() {
	n := w.some()
	n.off, n.jumped = w.between(0, 2*time.Hour)-time.Hour, w.loop.Elapsed()
	if n.p != nil {
		n.p.m.Jump(n.off)
	}
	w.fault("the calendar of %s jumps to %s", n.name, n.off.Round(time.Second))
}

func (w *world) fill() {
	n, d := w.some(), w.between(time.Second, 3*time.Minute)
	w.fault("the disk of %s is full for %s", n.name, d.Round(time.Second))
	n.disk.full, n.disk.sick = true, true
	w.loop.At(d, func() { n.disk.full = false })
}

func (w *world) damage() {
	n, d := w.some(), w.between(time.Second, time.Minute)
	w.fault("the disk of %s fails now and then for %s", n.name, d.Round(time.Second))
	n.disk.broken, n.disk.sick = true, true
	w.loop.At(d, func() { n.disk.broken = false })
}

// churn takes every keeper of a job away at once.
func (w *world) churn() {
	k := w.works[w.draw(len(w.works))]
	if k.job == nil {
		return
	}
	key := scheduler.Key(k.job.ID, 0, 0)
	set := w.nearest(key, scheduler.Keepers, func(n *node) bool { return n.p != nil })
	w.fault("all %d keepers of a job go", len(set))
	for _, n := range set {
		n.kill()
		w.loop.At(w.between(time.Second, 4*time.Minute), n.start)
	}
}

// crowd takes a third of the nodes away, and brings them back together.
func (w *world) crowd() {
	back := w.between(5*time.Second, 2*time.Minute)
	w.fault("a third of the nodes go, and come back together after %s", back.Round(time.Second))
	for _, n := range w.nodes {
		if w.draw(3) == 0 && n.p != nil {
			n.kill()
			w.loop.At(back, n.start)
		}
	}
}
