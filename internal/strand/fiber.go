package strand

import "iter"

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
