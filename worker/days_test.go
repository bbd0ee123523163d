package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
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

// releases are keepers that note which units are given back.
type releases struct {
	asked
	loop *strand.Loop
	back map[jobs.Hold]time.Duration
}

func (r *releases) Release(_ context.Context, _ protocol.ShardRef, holds []jobs.Hold) {
	for _, h := range holds {
		r.back[h] = r.loop.Elapsed()
	}
}

// What is held of a job that crashes here once too often goes back at once, and so does what is
// granted of it later: another machine may run it, and need not wait for the lease. What runs may
// show that the job runs here after all, and then it is not set aside any more.
func TestWhatIsSetAsideIsGivenBack(t *testing.T) {
	loop := strand.NewLoop(1)
	defer loop.Stop()
	m := loop.Machine(0, 0)
	ctx, cancel := m.WithCancel(context.Background())
	defer cancel(nil)
	keepers := &releases{loop: loop, back: map[jobs.Hold]time.Duration{}}
	w := &Worker{
		cfg: Config{Keepers: keepers, Logger: slog.New(slog.DiscardHandler)}, rt: m, tasks: map[taskKey]*task{}, infos: map[jobs.JobID]*jobInfo{}, ctx: ctx,
	}
	bad, good := &jobInfo{job: &jobs.Job{ID: jobs.JobID{1}}}, &jobInfo{job: &jobs.Job{ID: jobs.JobID{2}}}
	w.infos[bad.job.ID] = bad
	hold := func(info *jobInfo, unit uint16, running bool) *task {
		one := &task{info: info, ref: protocol.ShardRef{Job: info.job.ID}, hold: jobs.Hold{Unit: unit}, running: running}
		one.ctx, one.cancel = m.WithCancel(ctx)
		w.tasks[one.key()] = one
		return one
	}
	waiting, runs := hold(bad, 10, false), hold(bad, 11, true)
	other := hold(good, 12, false)
	m.Go(func() {
		for unit := range uint16(strikes) {
			w.failed(hold(bad, unit, false), errors.New("signal: killed"))
		}
		w.take(bad, waiting.ref, &client.Assignment{Holds: []jobs.Hold{{Unit: 20}}}, moment{m.Now(), m.Date()})
	})
	loop.Run(func() bool { return loop.Elapsed() > time.Second })
	for _, unit := range []uint16{0, 1, 2, 10, 20} {
		if at, ok := keepers.back[jobs.Hold{Unit: unit}]; !ok || at > time.Second {
			t.Errorf("unit %d was not given back at once: %v, after %s", unit, ok, at)
		}
	}
	if len(keepers.back) != 5 || w.tasks[runs.key()] != runs || w.tasks[other.key()] != other {
		t.Errorf("gave back %v", keepers.back)
	}
	if why := w.Aside(bad.job.ID); why == "" {
		t.Error("the job is not set aside")
	}
	if w.ran(&outcome{task: runs}); w.Aside(bad.job.ID) != "" {
		t.Error("it runs here, and is set aside all the same")
	}
}

// Each time that a job is set aside without a unit that ran in between, it is for twice as long.
func TestSetAsideAgainAndAgain(t *testing.T) {
	loop := strand.NewLoop(1)
	defer loop.Stop()
	m := loop.Machine(0, 0)
	w := &Worker{cfg: Config{Logger: slog.New(slog.DiscardHandler)}, rt: m, infos: map[jobs.JobID]*jobInfo{}, ctx: context.Background()}
	info := &jobInfo{job: &jobs.Job{ID: jobs.JobID{1}}}
	w.infos[info.job.ID] = info
	var lasted []time.Duration
	m.Go(func() {
		for range 4 {
			for range strikes {
				w.strike(info, "it was killed")
			}
			for began := m.Now(); ; {
				if w.Aside(info.job.ID) == "" {
					lasted = append(lasted, m.Now().Sub(began))
					break
				}
				if strand.Sleep(w.ctx, m, time.Second) != nil {
					return
				}
			}
			if len(lasted) == 3 {
				w.ran(&outcome{task: &task{info: info}})
			}
		}
	})
	loop.Run(func() bool { return len(lasted) == 4 || loop.Elapsed() > time.Hour })
	if want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, time.Minute}; !slices.Equal(lasted, want) {
		t.Errorf("set aside for %v, not %v", lasted, want)
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
