package host

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// running starts a sampler in a bubble and ends it with the test.
func running(t *testing.T, signals Signals) *Sampler {
	s := New(signals, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func TestInputIsSeenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last atomic.Int64 // when somebody last touched the machine
		last.Store(time.Now().Add(-time.Hour).UnixNano())
		s := running(t, Signals{Idle: func(context.Context) (Idle, error) {
			return Idle{For: time.Since(time.Unix(0, last.Load()))}, nil
		}})
		time.Sleep(time.Minute)
		synctest.Wait()
		drain(s)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		select {
		case <-s.Changed():
			t.Error("going on being idle is told as a change")
		default:
		}
		last.Store(time.Now().UnixNano())
		touched := time.Now()
		<-s.Changed()
		if took := time.Since(touched); took > time.Second {
			t.Errorf("input was seen after %s", took)
		}
		if r := s.Readings().Idle; !r.Known || r.Value.For > time.Second {
			t.Errorf("after input the reading is %+v", r)
		}
	})
}

// While nothing of others' runs, what costs most is asked less often; when something begins, at once.
func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		s := running(t, Signals{Busy: func(context.Context) (Busy, error) {
			looks.Add(1)
			return Busy{}, nil
		}})
		during := func(d time.Duration) int32 {
			before := looks.Load()
			time.Sleep(d)
			synctest.Wait()
			return looks.Load() - before
		}
		during(time.Minute)
		if n := during(time.Minute); n != 12 {
			t.Errorf("%d looks a minute while something runs", n)
		}
		for range 3 {
			s.Calm(true)
			during(slowEvery)
			if n := during(time.Minute); n != 3 {
				t.Errorf("%d looks a minute while nothing runs", n)
			}
			s.Calm(false)
			if n := during(time.Millisecond); n != 1 {
				t.Errorf("%d looks when something begins", n)
			}
		}
		if n := during(time.Minute); n != 12 {
			t.Errorf("%d looks a minute after that", n)
		}
	})
}

func TestAHangingSignalHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int32
		s := running(t, Signals{
			Network: func(context.Context) (Network, error) {
				asked.Add(1)
				<-release // whatever becomes of its context
				return Network{Metered: true}, nil
			},
			Memory: func(context.Context) (Memory, error) { return Memory{Total: 2, Available: 1}, nil },
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		r := s.Readings()
		if r.Network.Known || r.Network.Why != "no answer within 1s" {
			t.Errorf("a signal that hangs reads %+v", r.Network)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("it was asked %d times while it hung", n)
		}
		if !r.Memory.Known || r.Memory.Value.Available != 1 {
			t.Errorf("the others read %+v", r.Memory)
		}
		close(release)
		time.Sleep(time.Second)
		synctest.Wait()
		if r := s.Readings().Network; !r.Known || !r.Value.Metered {
			t.Errorf("when it answers at last it reads %+v", r)
		}
	})
}

func TestAFailingSignalSaysWhyAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		s := running(t, Signals{
			Power: func(ctx context.Context) (Power, error) {
				if broken.Load() {
					return Power{}, errors.New("the battery is gone")
				}
				return Power{OnBattery: true}, nil
			},
			Heat: func(ctx context.Context) (Heat, error) { <-ctx.Done(); return Heat{}, ctx.Err() },
		})
		synctest.Wait()
		if r := s.Readings(); r.Power.Why != "the battery is gone" || r.Disk.Why != "this system does not tell" {
			t.Errorf("power %+v, disk %+v", r.Power, r.Disk)
		}
		time.Sleep(2 * time.Second)
		if r := s.Readings().Heat; r.Known || r.Why != "no answer within 1s" {
			t.Errorf("heat %+v", r)
		}
		broken.Store(false)
		time.Sleep(slowEvery)
		synctest.Wait()
		if r := s.Readings().Power; !r.Known || !r.Value.OnBattery || r.Why != "" {
			t.Errorf("power %+v", r)
		}
	})
}

func drain(s *Sampler) {
	select {
	case <-s.Changed():
	default:
	}
}

func TestTimekeeper(t *testing.T) {
	start := time.Date(2026, 10, 25, 2, 59, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		then clocks
		want Clock
	}{
		{"an hour awake", clocks{time.Hour, time.Hour, start.Add(time.Hour)}, Clock{}},
		{"adjusted slowly", clocks{time.Second, time.Second, start.Add(time.Second + 400*time.Millisecond)}, Clock{}},
		{"a night asleep", clocks{8 * time.Hour, time.Minute, start.Add(8 * time.Hour)},
			Clock{Sleeps: 1, Slept: 8*time.Hour - time.Minute, Woke: start.Add(8 * time.Hour)}},
		{"set back", clocks{time.Second, time.Second, start.Add(-time.Hour)}, Clock{Jumps: 1, LastSet: -time.Hour - time.Second}},
		{"set on while asleep", clocks{time.Hour, 0, start.Add(3 * time.Hour)},
			Clock{Sleeps: 1, Slept: time.Hour, Woke: start.Add(3 * time.Hour), Jumps: 1, LastSet: 2 * time.Hour}},
	} {
		now := clocks{wall: start}
		k := timekeeper{read: func() (clocks, error) { return now, nil }}
		if first, err := k.look(t.Context()); err != nil || first != (Clock{}) {
			t.Errorf("%s: the first look says %+v, %v", c.name, first, err)
		}
		now = c.then
		for range 2 { // a second look finds nothing more
			if got, err := k.look(t.Context()); err != nil || got != c.want {
				t.Errorf("%s: %+v, %v, not %+v", c.name, got, err, c.want)
			}
		}
	}
}
