package strand_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
)

// on runs a story on both runtimes: what a driver sees must be the same.
func on(t *testing.T, story func(t *testing.T, rt strand.Runtime)) {
	t.Run("real", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { story(t, strand.Real()) })
	})
	t.Run("loop", func(t *testing.T) {
		l := strand.NewLoop(1)
		defer l.Stop()
		m := l.Machine(0, 0)
		done := false
		m.Go(func() { story(t, m); done = true })
		l.Run(func() bool { return done })
		if !done {
			t.Error("the story did not end")
		}
	})
}

func TestWaitEnds(t *testing.T) {
	on(t, func(t *testing.T, rt strand.Runtime) {
		bg := context.Background()
		var a, b strand.Signal
		began := rt.Now()
		after := func() time.Duration { return rt.Now().Sub(began) }
		if err := strand.Sleep(bg, rt, time.Hour); err != nil || after() != time.Hour {
			t.Errorf("slept %v: %v", after(), err)
		}
		rt.Go(func() { _ = strand.Sleep(bg, rt, time.Minute); b.Raise() })
		if err := rt.Wait(bg, time.Hour, a.Mark(), b.Mark()); err != nil || after() != time.Hour+time.Minute {
			t.Errorf("woken after %v: %v", after(), err)
		}
		mark := a.Mark()
		a.Raise()
		if err := rt.Wait(bg, strand.Forever, mark); err != nil || after() != time.Hour+time.Minute {
			t.Errorf("a raise before the wait was missed: %v, %v", after(), err)
		}
		ctx, cancel := rt.WithTimeout(bg, time.Second)
		defer cancel()
		inner, end := rt.WithCancel(ctx)
		defer end(nil)
		if err := rt.Wait(inner, strand.Forever, a.Mark()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline of the outer context: %v", err)
		}
		inner, end = rt.WithCancel(bg)
		rt.Go(func() { end(nil) })
		if err := rt.Wait(inner, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := rt.Wait(inner, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
	})
}

func TestQueueGateGroup(t *testing.T) {
	on(t, func(t *testing.T, rt strand.Runtime) {
		bg := context.Background()
		q, g := strand.NewQueue[int](2), strand.NewGate(3)
		var group strand.Group
		inside, most, sum := 0, 0, 0
		turn := strand.NewGate(1)
		for i := range 20 {
			group.Go(rt, func() {
				if g.Enter(bg, rt) != nil {
					return
				}
				defer g.Leave()
				_ = turn.Enter(bg, rt)
				inside++
				most = max(most, inside)
				turn.Leave()
				_ = strand.Sleep(bg, rt, time.Second)
				_ = turn.Enter(bg, rt)
				inside--
				turn.Leave()
				_ = q.Put(bg, rt, i)
			})
		}
		for range 20 {
			i, ok := q.Take(bg, rt, time.Minute)
			if !ok {
				t.Error("nothing came")
			}
			sum += i
		}
		group.Wait(rt)
		if most != 3 || sum != 190 {
			t.Errorf("at most %d were inside; the items add up to %d", most, sum)
		}
		if _, ok := q.Take(bg, rt, time.Minute); ok {
			t.Error("something came of an empty queue")
		}
	})
}

// play runs strands that talk across each other and tells in which order.
func play(seed uint64) string {
	l := strand.NewLoop(seed)
	defer l.Stop()
	var told strings.Builder
	var s strand.Signal
	ended := 0
	for i := range 5 {
		m := l.Machine(int64(i*1000), 0)
		m.Go(func() {
			ctx, cancel := m.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for ctx.Err() == nil {
				_ = m.Wait(ctx, time.Duration(m.Uint64()%uint64(10*time.Second)), s.Mark())
				fmt.Fprint(&told, i, l.Elapsed(), " ")
				if m.Uint64()%3 == 0 {
					s.Raise()
				}
			}
			ended++
		})
	}
	l.Run(func() bool { return ended == 5 })
	return told.String()
}

func TestOneSeedOneRun(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(20) {
		a, b := play(seed), play(seed)
		if a != b || a == "" {
			t.Fatalf("seed %d:\n%s\n%s", seed, a, b)
		}
		seen[a] = true
	}
	if len(seen) != 20 {
		t.Errorf("20 seeds gave %d runs", len(seen))
	}
}

// A machine that is killed does nothing more, whatever its strands are at; deferred calls run, so
// that nothing stays locked.
func TestKill(t *testing.T) {
	l := strand.NewLoop(7)
	defer l.Stop()
	m, other := l.Machine(0, 0), l.Machine(0, 0)
	var log []string
	var s strand.Signal
	m.Go(func() {
		defer func() { log = append(log, "unwound") }()
		_ = m.Wait(context.Background(), strand.Forever, s.Mark())
		log = append(log, "went on")
	})
	m.Go(func() {
		_ = strand.Sleep(context.Background(), m, time.Second)
		m.Kill()
		m.Check()
		log = append(log, "outlived itself")
	})
	done := false
	other.Go(func() {
		_ = strand.Sleep(context.Background(), other, time.Minute)
		s.Raise()
		done = true
	})
	l.Run(func() bool { return done && l.Elapsed() > time.Minute })
	if !done || !slices.Equal(log, []string{"unwound"}) {
		t.Errorf("%v, %v", done, log)
	}
}

// A suspended machine's steady clock stands, its calendar goes on, its strands wait.
func TestSuspendAndDrift(t *testing.T) {
	l := strand.NewLoop(7)
	defer l.Stop()
	m := l.Machine(10_000, time.Hour)
	began, date := m.Now(), m.Date()
	var woke time.Duration
	m.Go(func() {
		_ = strand.Sleep(context.Background(), m, 101*time.Second)
		woke = l.Elapsed()
	})
	l.At(50*time.Second, m.Suspend)
	l.At(time.Hour, m.Resume)
	l.Run(func() bool { return woke > 0 })
	if woke != time.Hour {
		t.Errorf("woke at %v", woke)
	}
	if d := m.Now().Sub(began); d != 50*time.Second+50*time.Second/100 {
		t.Errorf("the steady clock went on by %v", d)
	}
	if d := m.Date() - date; d != 3600 {
		t.Errorf("the calendar went on by %d s", d)
	}
}

func BenchmarkSwitch(b *testing.B) {
	l := strand.NewLoop(1)
	defer l.Stop()
	m := l.Machine(0, 0)
	var ping, pong strand.Signal
	for _, pair := range [][2]*strand.Signal{{&ping, &pong}, {&pong, &ping}} {
		m.Go(func() {
			for {
				mark := pair[0].Mark()
				pair[1].Raise()
				_ = m.Wait(context.Background(), strand.Forever, mark)
			}
		})
	}
	n := 0
	b.ResetTimer()
	l.Run(func() bool { n++; return n > b.N })
}
