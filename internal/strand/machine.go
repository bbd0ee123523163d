package strand

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

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
