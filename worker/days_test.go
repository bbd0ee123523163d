package worker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

type asked = interface{ Keepers }

// renewals are keepers that note when they are asked to renew.
type renewals struct {
	asked // nil: nothing else is
	loop  *strand.Loop
	at    []time.Duration
}

func (r *renewals) Renew(context.Context, protocol.ShardRef, []jobs.Hold) ([]jobs.Hold, error) {
	r.at = append(r.at, r.loop.Elapsed())
	return nil, nil
}

// A lid that was closed, or a clock that was set ahead, counts as the end of every lease: each is
// renewed at once. A clock that was put back changes nothing.
func TestLeasesAfterSleepAndClockJumps(t *testing.T) {
	const lease, at = 600, 100 * time.Second // a third of the lease is later than what happens
	for name, c := range map[string]struct {
		happens func(*strand.Loop, *strand.Machine)
		want    time.Duration // of the second renewal; the first is due after firstRenewal
	}{
		"nothing":    {func(*strand.Loop, *strand.Machine) {}, 4*time.Second + lease/3*time.Second},
		"put back":   {func(_ *strand.Loop, m *strand.Machine) { m.Jump(-time.Hour) }, 4*time.Second + lease/3*time.Second},
		"set ahead":  {func(_ *strand.Loop, m *strand.Machine) { m.Jump(time.Hour) }, at},
		"lid closed": {func(l *strand.Loop, m *strand.Machine) { m.Suspend(); l.At(time.Minute, m.Resume) }, at + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			loop := strand.NewLoop(1)
			defer loop.Stop()
			m := loop.Machine(0, 0)
			keepers := &renewals{loop: loop}
			ctx, cancel := m.WithCancel(context.Background())
			defer cancel(nil)
			held := &task{info: &jobInfo{own: true, job: &jobs.Job{Head: jobs.Head{Policy: jobs.Policy{Lease: lease}}}}, renewed: m.Now()}
			w := &Worker{
				cfg: Config{Keepers: keepers, Logger: slog.New(slog.DiscardHandler)}, rt: m,
				mode: Donating, limit: 1, memory: 1, tasks: map[taskKey]*task{held.key(): held}, ctx: ctx,
			}
			m.Go(func() { w.renew(ctx) })
			loop.At(at, func() { c.happens(loop, m) })
			loop.Run(func() bool { return len(keepers.at) == 2 || loop.Elapsed() > time.Hour })
			if len(keepers.at) != 2 || keepers.at[1] < c.want || keepers.at[1] > c.want+2*time.Second {
				t.Errorf("renewed at %v, the second was to be at %s", keepers.at, c.want)
			}
			if w.tasks[held.key()] != held {
				t.Error("the unit was dropped")
			}
		})
	}
}

// The longer a job only crashes here, the longer it is left alone; in the end it is tried six
// times a day.
func TestSetAsideGrows(t *testing.T) {
	for times, want := range map[int]time.Duration{0: time.Minute, 1: 2 * time.Minute, 7: 128 * time.Minute, 8: 4 * time.Hour, 1 << 30: 4 * time.Hour} {
		if got := asideFor(times); got != want {
			t.Errorf("after %d times: %s, not %s", times, got, want)
		}
	}
}
