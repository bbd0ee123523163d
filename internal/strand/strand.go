// Package strand is what the drivers run on: clocks, chance, and strands of control that wait for
// one another. Everything that a driver waits for goes through a Runtime, so that the same driver
// runs on goroutines and the real clock (Real), or as coroutines in the virtual time of a
// simulation (Loop), where one seed gives one order of everything.
//
// A strand waits in one way: it takes the Mark of a Signal, looks at what the signal is about,
// and waits until the signal was raised after that mark. Queue, Gate and Group are made of this.
// No mutex may be held across a wait: in a Loop nobody could release it.
package strand

import (
	"context"
	"crypto/rand"
	"math"
	mrand "math/rand/v2"
	"time"
)

// Forever is how long to wait where only a signal or the context ends the waiting.
const Forever = time.Duration(math.MaxInt64)

// Runtime is where strands run.
type Runtime interface {
	// Now is for durations: it goes on steadily, whatever people do to their clocks.
	Now() time.Time
	// Date is the time that others are told, in Unix seconds, as this machine believes it.
	Date() int64
	// Go runs f on a strand of its own.
	Go(f func())
	// Wait ends when one of the signals was raised after its mark, when d is over, or with the
	// context's error when that ended. At most three marks.
	Wait(ctx context.Context, d time.Duration, marks ...Mark) error
	// WithCancel is context.WithCancelCause for contexts that strands wait on.
	WithCancel(parent context.Context) (context.Context, context.CancelCauseFunc)
	// WithTimeout is context.WithTimeout, likewise.
	WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Uint64 is a random number that need not be secret: a rand.Source.
	Uint64() uint64
	// Secret is random bytes that nobody can foretell.
	Secret() [32]byte
}

// Sleep waits until d is over, or ends with the context's error.
func Sleep(ctx context.Context, rt Runtime, d time.Duration) error { return rt.Wait(ctx, d) }

// Jitter is up to d, drawn anew each time, so that many who wait do not move together.
func Jitter(rt Runtime, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rt.Uint64() % uint64(d))
}

// Or gives rt, or Real where it is nil.
func Or(rt Runtime) Runtime {
	if rt == nil {
		return Real()
	}
	return rt
}

// Real is goroutines and the clock of this machine.
func Real() Runtime { return real{} }

type real struct{}

func (real) Now() time.Time { return time.Now() }
func (real) Date() int64    { return time.Now().Unix() }
func (real) Go(f func())    { go f() }
func (real) Uint64() uint64 { return mrand.Uint64() }

func (real) Secret() (s [32]byte) {
	if _, err := rand.Read(s[:]); err != nil {
		panic(err) // crypto/rand never fails on the platforms we run on
	}
	return s
}

func (real) WithCancel(parent context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(parent)
}

func (real) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, d)
}

// maxMarks is how many signals one wait can be for.
const maxMarks = 3

func (real) Wait(ctx context.Context, d time.Duration, marks ...Mark) error {
	var on [maxMarks]<-chan struct{} // a nil channel is never ready
	for i, m := range marks {
		on[i] = m.raised()
	}
	var over <-chan time.Time
	if d != Forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-on[0]:
	case <-on[1]:
	case <-on[2]:
	case <-over:
	case <-ctx.Done():
	}
	return ctx.Err()
}
