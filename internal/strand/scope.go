package strand

import (
	"context"
	"time"
)

// scope is a context of a loop: it ends at a virtual time, and whoever waits on it is woken in a
// fixed order.
type scope struct {
	context.Context // the parent
	machine         *Machine
	deadline        time.Time
	err             error
	done            chan struct{}
	over            Signal
	first, last     *child
}

// child is somebody who is told when a scope ends.
type child struct {
	call       func()
	prev, next *child
}

type scopeKey struct{}

// scopeOf gives the scope that a context is, nil where it is one that never ends.
func scopeOf(ctx context.Context) (*scope, error) {
	if ctx.Done() == nil {
		return nil, nil
	}
	s, _ := ctx.Value(scopeKey{}).(*scope)
	if s == nil || s.Done() != ctx.Done() {
		panic("strand: wait on a context that no machine made")
	}
	return s, s.err
}

func (m *Machine) scope(parent context.Context) (*scope, func(error)) {
	s := &scope{Context: parent, machine: m, done: make(chan struct{})}
	up, err := scopeOf(parent)
	if err != nil {
		s.end(err)
		return s, func(error) {}
	}
	if up == nil {
		return s, s.end
	}
	me := up.add(func() { s.end(up.err) })
	return s, func(err error) {
		up.drop(me)
		s.end(err)
	}
}

// WithCancel implements Runtime.
func (m *Machine) WithCancel(parent context.Context) (context.Context, context.CancelCauseFunc) {
	s, end := m.scope(parent)
	return s, func(error) { end(context.Canceled) }
}

// WithTimeout implements Runtime.
func (m *Machine) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	s, end := m.scope(parent)
	s.deadline = m.Now().Add(d)
	t := &timer{at: m.due(d), call: func() { end(context.DeadlineExceeded) }}
	if s.err == nil {
		m.loop.push(t)
	} else {
		t.index = -1
	}
	return s, func() {
		m.loop.remove(t)
		end(context.Canceled)
	}
}

func (s *scope) end(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	s.over.Raise()
	for c := s.first; c != nil; c = c.next {
		c.call()
	}
	s.first, s.last = nil, nil
}

func (s *scope) add(call func()) *child {
	c := &child{call: call, prev: s.last}
	if s.last == nil {
		s.first = c
	} else {
		s.last.next = c
	}
	s.last = c
	return c
}

func (s *scope) drop(c *child) {
	if s.err != nil {
		return
	}
	if c.prev == nil {
		s.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		s.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// AfterFunc lets contexts of the standard library end with this one, at once and in order.
func (s *scope) AfterFunc(f func()) func() bool {
	if s.err != nil {
		f()
		return func() bool { return false }
	}
	c := s.add(f)
	return func() bool {
		s.drop(c)
		return true
	}
}

// Done implements context.Context.
func (s *scope) Done() <-chan struct{} { return s.done }

// Err implements context.Context.
func (s *scope) Err() error { return s.err }

// Value implements context.Context.
func (s *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// Deadline implements context.Context.
func (s *scope) Deadline() (time.Time, bool) {
	if !s.deadline.IsZero() {
		return s.deadline, true
	}
	return s.Context.Deadline()
}
