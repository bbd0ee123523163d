package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// A Signal asks the machine one thing. It should return when ctx ends; one that does not is
// left alone until it does, and is not asked again meanwhile. The error is shown to people.
type Signal[T any] func(ctx context.Context) (T, error)

// Signals are the ways to ask a machine. One that is nil cannot be told on this system.
type Signals struct {
	Idle     Signal[Idle]
	Busy     Signal[Busy]
	Pressure Signal[Pressure]
	Power    Signal[Power]
	Network  Signal[Network]
	Memory   Signal[Memory]
	Disk     Signal[Disk]
	Heat     Signal[Heat]
	Clock    Signal[Clock]

	Close func() // lets go of connections; may be nil
}

// How often each thing is asked. Input that comes back must be seen within a second, and then
// it may take a while until the next look: nothing is given to a machine that is in use.
const (
	awayEvery   = 400 * time.Millisecond
	inUseEvery  = 2 * time.Second
	inUseFor    = 5 * time.Second // less idle than that is in use, as far as looking goes
	memoryEvery = 2 * time.Second
	slowEvery   = 5 * time.Second
	calmEvery   = 20 * time.Second // what costs most, while nothing is lent that could be in others' way
	netEvery    = 15 * time.Second

	patience = time.Second // for one answer
)

// Sampler asks the machine's signals and holds their last answers.
type Sampler struct {
	signals Signals
	log     *slog.Logger
	changed chan struct{}

	mu   sync.Mutex
	now  Readings
	calm bool
	busy chan struct{} // closed when calm ends
}

// New makes a sampler of signals; nothing is asked before Run.
func New(s Signals, log *slog.Logger) *Sampler {
	return &Sampler{signals: s, log: log, changed: make(chan struct{}, 1), now: unasked(), busy: make(chan struct{})}
}

func unasked() Readings {
	const why = "not asked yet"
	return Readings{
		unknown[Idle](why), unknown[Busy](why), unknown[Pressure](why), unknown[Power](why), unknown[Network](why),
		unknown[Memory](why), unknown[Disk](why), unknown[Heat](why), unknown[Clock](why),
	}
}

// Readings are the last answers.
func (s *Sampler) Readings() Readings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Changed has a value when an answer has come since the last was taken that says more than
// that the machine went on being idle.
func (s *Sampler) Changed() <-chan struct{} { return s.changed }

// Calm says whether nothing of others' runs here: then a walk over all processes may be rarer, which
// is most of what looking costs. When something begins they are looked at at once.
func (s *Sampler) Calm(calm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calm && !calm {
		close(s.busy)
		s.busy = make(chan struct{})
	}
	s.calm = calm
}

// stirred is closed when the calm that there is now has ended.
func (s *Sampler) stirred() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.calm {
		return nil
	}
	return s.busy
}

// Run asks until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	if s.signals.Close != nil {
		defer s.signals.Close()
	}
	r := &s.now
	var all sync.WaitGroup
	all.Go(func() { watch(ctx, s, "user idle", s.signals.Idle, &r.Idle, idlePace) })
	all.Go(func() { watch(ctx, s, "other programs", s.signals.Busy, &r.Busy, s.walkPace) })
	all.Go(func() { watch(ctx, s, "pressure", s.signals.Pressure, &r.Pressure, pace[Pressure](slowEvery)) })
	all.Go(func() { watch(ctx, s, "power", s.signals.Power, &r.Power, pace[Power](slowEvery)) })
	all.Go(func() { watch(ctx, s, "network", s.signals.Network, &r.Network, pace[Network](netEvery)) })
	all.Go(func() { watch(ctx, s, "memory", s.signals.Memory, &r.Memory, pace[Memory](memoryEvery)) })
	all.Go(func() { watch(ctx, s, "disk", s.signals.Disk, &r.Disk, pace[Disk](slowEvery)) })
	all.Go(func() { watch(ctx, s, "heat", s.signals.Heat, &r.Heat, pace[Heat](slowEvery)) })
	all.Go(func() { watch(ctx, s, "clock", s.signals.Clock, &r.Clock, pace[Clock](slowEvery)) })
	all.Wait()
	return nil
}

// A paceOf says, after an answer, when to ask again: after a time, or when the channel is closed.
type paceOf[T any] func(Reading[T]) (time.Duration, <-chan struct{})

func pace[T any](every time.Duration) paceOf[T] {
	return func(Reading[T]) (time.Duration, <-chan struct{}) { return every, nil }
}

// walkPace is that of the walk over all processes. Two of them make the first answer.
func (s *Sampler) walkPace(r Reading[Busy]) (time.Duration, <-chan struct{}) {
	if stirred := s.stirred(); stirred != nil && r.Known {
		return calmEvery, stirred
	}
	return slowEvery, nil
}

func idlePace(r Reading[Idle]) (time.Duration, <-chan struct{}) {
	switch {
	case !r.Known, r.Value.None:
		return slowEvery, nil
	case r.Value.For < inUseFor:
		return inUseEvery, nil
	}
	return awayEvery, nil
}

// watch asks one signal for as long as ctx lives, one question at a time.
func watch[T any](ctx context.Context, s *Sampler, name string, ask Signal[T], to *Reading[T], pace paceOf[T]) {
	if ask == nil {
		put(s, name, to, unknown[T]("this system does not tell"))
		return
	}
	answers := make(chan Reading[T], 1) // for the one question that is open
	asking := false
	var early <-chan struct{} // when it is closed the next question is due
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-early:
			early = nil
			timer.Reset(0)
		case r := <-answers:
			asking = false
			put(s, name, to, r)
			var next time.Duration
			next, early = pace(r)
			timer.Reset(next)
		case <-timer.C:
			if asking {
				put(s, name, to, unknown[T]("no answer within "+patience.String()))
				continue // until that answer comes
			}
			asking, early = true, nil
			timer.Reset(patience)
			go func() { answers <- once(ctx, ask) }()
		}
	}
}

// once asks a signal once.
func once[T any](ctx context.Context, ask Signal[T]) Reading[T] {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := ask(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unknown[T]("no answer within " + patience.String())
	case err != nil:
		return unknown[T](err.Error())
	}
	return known(v)
}

// put stores an answer. What becomes known or unknown is logged, once.
func put[T any](s *Sampler, name string, to *Reading[T], r Reading[T]) {
	s.mu.Lock()
	before := *to
	*to = r
	s.mu.Unlock()
	if r.Known != before.Known || r.Why != before.Why {
		s.log.Debug("a signal of this machine", "signal", name, "known", r.Known, "why", r.Why)
	}
	if stayedIdle(before, r) {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// stayedIdle reports whether two readings say that nobody has touched the machine in between.
func stayedIdle(a, b any) bool {
	before, ok1 := a.(Reading[Idle])
	after, ok2 := b.(Reading[Idle])
	return ok1 && ok2 && before.Known && after.Known && after.Value.For >= before.Value.For
}
