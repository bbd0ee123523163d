package strand

import (
	"slices"
	"sync"
)

// Signal says that something has changed. Its zero value is ready; it is safe for concurrent use,
// and raising it costs nothing where nobody waits.
type Signal struct {
	mu      sync.Mutex
	raises  uint64
	ch      chan struct{} // closed at the next raise; made when somebody asks for it
	sleeper []*fiber      // of loops, in the order they came
}

// Mark is a moment in a signal's life: a wait on it ends when the signal is raised after it.
type Mark struct {
	s      *Signal
	raises uint64
}

// Raise ends every wait on a mark taken before.
func (s *Signal) Raise() {
	s.mu.Lock()
	s.raises++
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
	woken := s.sleeper
	s.sleeper = nil
	s.mu.Unlock()
	for _, f := range woken {
		f.wake()
	}
}

// Mark is now. Take it before looking at what the signal is about, so that no change is missed.
func (s *Signal) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Mark{s, s.raises}
}

// Next is closed at the next raise: for those who wait without a runtime.
func (s *Signal) Next() <-chan struct{} { return s.Mark().raised() }

// Raised reports whether the signal was raised after the mark.
func (m Mark) Raised() bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.s.raises != m.raises
}

// raised is closed once the signal was raised after the mark.
func (m Mark) raised() <-chan struct{} {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.raises != m.raises {
		over := make(chan struct{})
		close(over)
		return over
	}
	if m.s.ch == nil {
		m.s.ch = make(chan struct{})
	}
	return m.s.ch
}

// enlist has a fiber woken at the next raise, unless there was one since the mark.
func (m Mark) enlist(f *fiber) bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.raises != m.raises {
		return false
	}
	m.s.sleeper = append(m.s.sleeper, f)
	return true
}

func (m Mark) strike(f *fiber) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if i := slices.Index(m.s.sleeper, f); i >= 0 {
		m.s.sleeper = slices.Delete(m.s.sleeper, i, i+1)
	}
}
