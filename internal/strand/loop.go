package strand

import (
	"cmp"
	"container/heap"
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

// Loop is a world of strands in virtual time. Strands are coroutines: one runs at a time, until it
// waits; which of those that can go on does is drawn from the seed. When none can, time moves on to
// the next thing that is due. So a run is a function of its seed, and hours cost what happens in
// them. A Loop is used from one goroutine.
type Loop struct {
	now      time.Duration // since the world began
	rng      *rand.PCG
	ready    []*fiber
	timers   timers
	order    uint64
	running  *fiber
	born     uint64
	machines []*Machine // that live
	idle     []*thread
	steps    uint64
}

// Epoch is when every world begins.
func Epoch() time.Time { return time.Unix(1_800_000_000, 0) }

// NewLoop makes a world.
func NewLoop(seed uint64) *Loop {
	return &Loop{rng: rand.NewPCG(seed, 0x73686f616c)}
}

// Elapsed is the virtual time since the world began; Steps how often a strand went on.
func (l *Loop) Elapsed() time.Duration { return l.now }

// Steps is how often a strand went on.
func (l *Loop) Steps() uint64 { return l.steps }

// Uint64 draws from the world's seed.
func (l *Loop) Uint64() uint64 { return l.rng.Uint64() }

// At has f called after d, on no strand: it must not wait. The world's own events are made of this.
func (l *Loop) At(d time.Duration, f func()) { l.push(&timer{at: l.now + max(d, 0), call: f}) }

// Run lets the world go on until done says so, or nothing is left that could happen. It asks done
// after every step.
func (l *Loop) Run(done func() bool) {
	for !done() && l.step() {
	}
}

func (l *Loop) step() bool {
	l.steps++
	if n := len(l.ready); n > 0 {
		i := int(l.rng.Uint64() % uint64(n))
		f := l.ready[i]
		l.ready[i] = l.ready[n-1]
		l.ready = l.ready[:n-1]
		f.resume()
		return true
	}
	if len(l.timers) == 0 {
		return false
	}
	t := heap.Pop(&l.timers).(*timer)
	l.now = max(l.now, t.at)
	if t.fiber != nil {
		t.fiber.wake()
	} else {
		t.call()
	}
	return true
}

// Stop ends every strand where it waits. The world cannot be used any more.
func (l *Loop) Stop() {
	for len(l.machines) > 0 {
		l.machines[0].Kill()
	}
	for len(l.ready) > 0 {
		l.step()
	}
	for _, t := range l.idle {
		t.stop()
	}
	l.idle = nil
}

func (l *Loop) push(t *timer) {
	l.order++
	t.order = l.order
	heap.Push(&l.timers, t)
}

// fiber is a strand of a loop.
type fiber struct {
	machine *Machine
	number  uint64
	body    func()
	thread  *thread
	queued  bool
	waiting bool
}

// ended is what unwinds a strand whose machine has died.
type ended struct{}

// run is the strand, from its beginning to its end.
func (f *fiber) run() {
	defer delete(f.machine.fibers, f)
	defer func() {
		if r := recover(); r != nil && r != (ended{}) {
			panic(r)
		}
	}()
	if !f.machine.dead {
		f.body()
	}
}

// thread is a coroutine that runs one strand after another: its stack, once grown, is there for the
// next one.
type thread struct {
	fiber *fiber
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// thread is one that is idle, or a new one.
func (l *Loop) thread() *thread {
	if n := len(l.idle); n > 0 {
		t := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return t
	}
	t := &thread{}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		for {
			t.fiber.run()
			t.fiber = nil
			l.idle = append(l.idle, t)
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return t
}

// start begins a strand.
func (l *Loop) start(m *Machine, body func()) {
	l.born++
	f := &fiber{machine: m, number: l.born, queued: true, body: body}
	m.fibers[f] = struct{}{}
	m.enqueue(f)
}

// wake makes a waiting strand able to go on.
func (f *fiber) wake() {
	if !f.queued && f.waiting {
		f.queued = true
		f.machine.enqueue(f)
	}
}

func (f *fiber) resume() {
	f.queued, f.waiting = false, false
	l := f.machine.loop
	if f.thread == nil {
		f.thread = l.thread()
		f.thread.fiber = f
	}
	before := l.running
	l.running = f
	f.thread.next()
	l.running = before
}

// pause gives control back until the strand is woken. The strand of a dead machine ends here.
func (f *fiber) pause() {
	f.waiting = true
	f.thread.yield(struct{}{})
	f.machine.Check()
}

type timer struct {
	at    time.Duration
	order uint64
	fiber *fiber
	call  func()
	index int
}

// timers is a heap: the earliest first, of those the one that was set first.
type timers []*timer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

// remove takes a timer out, if it has not fired.
func (l *Loop) remove(t *timer) {
	if t.index >= 0 {
		heap.Remove(&l.timers, t.index)
	}
}

var _ Runtime = (*Machine)(nil)

// Machine is a runtime in a loop, with clocks of its own, that can be stopped for a while or
// killed. It stands for one run of one process: a restart is a new Machine.
type Machine struct {
	loop   *Loop
	rng    *rand.PCG
	dead   bool
	fibers map[*fiber]struct{}
	parked []*fiber // could go on, but for the suspension
	asleep bool     // nothing of it runs
	still  bool     // its steady clock stands

	since time.Duration // world time at which steady was right
	base  time.Duration // the steady clock then
	ppm   int64         // how much faster than the world its clocks run
	date  time.Duration // what the calendar is off by
}

// Machine adds a machine whose clocks run ppm millionths fast, and whose calendar is off.
func (l *Loop) Machine(ppm int64, off time.Duration) *Machine {
	m := &Machine{
		loop: l, rng: rand.NewPCG(l.rng.Uint64(), l.rng.Uint64()), fibers: map[*fiber]struct{}{},
		since: l.now, base: time.Hour, ppm: ppm, date: off,
	}
	l.machines = append(l.machines, m)
	return m
}

// steady is the machine's monotonic clock: it stands while the machine is suspended.
func (m *Machine) steady() time.Duration {
	if m.still {
		return m.base
	}
	d := m.loop.now - m.since
	return m.base + d + time.Duration(int64(d/time.Microsecond)*m.ppm/1000)*time.Nanosecond
}

// Now implements Runtime.
func (m *Machine) Now() time.Time { return Epoch().Add(m.steady()) }

// Date implements Runtime.
func (m *Machine) Date() int64 { return Epoch().Add(m.loop.now + m.date).Unix() }

// Jump puts the machine's calendar off by so much from now on; its steady clock goes on.
func (m *Machine) Jump(off time.Duration) { m.date = off }

// Uint64 implements Runtime.
func (m *Machine) Uint64() uint64 { return m.rng.Uint64() }

// Secret implements Runtime.
func (m *Machine) Secret() (s [32]byte) {
	for i := range s {
		s[i] = byte(m.rng.Uint64())
	}
	return s
}

// Dead reports whether the machine was killed.
func (m *Machine) Dead() bool { return m.dead }

// Kill ends every strand of the machine where it waits, at once: deferred calls run, nothing else.
// It may be called from one of them, which ends when it next asks the machine for something, or
// when it calls Check.
func (m *Machine) Kill() {
	if m.dead {
		return
	}
	m.dead, m.asleep, m.still = true, false, false
	m.loop.machines = slices.DeleteFunc(m.loop.machines, func(o *Machine) bool { return o == m })
	m.loop.ready = append(m.loop.ready, m.parked...)
	m.parked = nil
	var waiting []*fiber
	for f := range m.fibers {
		if f.waiting && !f.queued {
			waiting = append(waiting, f)
		}
	}
	slices.SortFunc(waiting, func(a, b *fiber) int { return cmp.Compare(a.number, b.number) })
	for _, f := range waiting {
		f.wake()
	}
}

// Check ends the calling strand if the machine was killed. The network and the disks of a
// simulation call it before and after all that they do, so that a dead machine does nothing more.
func (m *Machine) Check() {
	if m.dead {
		panic(ended{})
	}
}

// Suspend stops the machine, as closing a lid does; Resume lets it go on. Its steady clock stands
// meanwhile, its calendar does not.
func (m *Machine) Suspend() {
	m.Stall()
	m.Freeze()
}

// Freeze stops the machine as SIGSTOP stops a process: its clocks go on.
func (m *Machine) Freeze() { m.asleep = !m.dead }

// Stall lets the machine's steady clock stand while everything else goes on.
func (m *Machine) Stall() {
	if !m.still && !m.dead {
		m.base, m.still = m.steady(), true
	}
}

// Resume ends a suspension, a freeze or a stall.
func (m *Machine) Resume() {
	if m.still {
		m.still, m.since = false, m.loop.now
	}
	if !m.asleep {
		return
	}
	m.asleep = false
	m.loop.ready = append(m.loop.ready, m.parked...)
	m.parked = nil
}

func (m *Machine) enqueue(f *fiber) {
	if m.asleep {
		m.parked = append(m.parked, f)
		return
	}
	m.loop.ready = append(m.loop.ready, f)
}

// due is the world's time when d is over by the machine's clock.
func (m *Machine) due(d time.Duration) time.Duration {
	d = max(d, 0)
	return m.loop.now + d - time.Duration(int64(d/time.Microsecond)*m.ppm/1000)*time.Nanosecond
}

// Go implements Runtime.
func (m *Machine) Go(f func()) {
	m.Check()
	m.loop.start(m, f)
}

// Wait implements Runtime.
func (m *Machine) Wait(ctx context.Context, d time.Duration, marks ...Mark) error {
	m.Check()
	f := m.loop.running
	if f == nil {
		panic("strand: wait outside of a strand")
	}
	s, err := scopeOf(ctx)
	if err != nil {
		return err
	}
	if s != nil {
		marks = append(slices.Clip(marks), s.over.Mark())
	}
	for i, mark := range marks {
		if !mark.enlist(f) {
			for _, before := range marks[:i] {
				before.strike(f)
			}
			return ctx.Err()
		}
	}
	var t *timer
	if d != Forever {
		t = &timer{at: m.due(d), fiber: f}
		m.loop.push(t)
	}
	defer func() {
		if t != nil {
			m.loop.remove(t)
		}
		for _, mark := range marks {
			mark.strike(f)
		}
	}()
	f.pause()
	return ctx.Err()
}

// Asleep reports whether the machine is suspended.
func (m *Machine) Asleep() bool { return m.asleep }

// Strands is how many strands the machine has.
func (m *Machine) Strands() int { return len(m.fibers) }
