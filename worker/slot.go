package worker

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
)

// slot runs one task after the other. The guest of a job stays warm for the job's next task.
func (w *Worker) slot(ctx context.Context, n int) {
	var warm jobs.JobID
	defer w.setGuest(n, nil)
	for {
		t := w.next(ctx, n)
		if t == nil {
			return
		}
		if g := w.guest(n); g == nil || warm != t.ref.Job {
			warm = jobs.JobID{}
			if err := w.warm(n, t); err != nil {
				w.vacate(t)
				w.failed(t, err)
				continue
			}
			warm = t.ref.Job
		}
		if w.lapsed(t) {
			w.cfg.Logger.Debug("unit given back: no keeper has confirmed its lease for too long", t.key().ids())
			w.vacate(t)
			w.drop(t, true)
			continue
		}
		w.cfg.Logger.Debug("unit begun", t.key().ids(), "slot", n)
		began := w.rt.Now()
		o, err := w.run(t, w.guest(n))
		w.vacate(t)
		if err != nil {
			w.setGuest(n, nil)
			w.wasted(t, w.rt.Now().Sub(began))
			w.failed(t, err)
			continue
		}
		w.timed(w.rt.Now().Sub(began))
		w.cfg.Logger.Debug("unit run", t.key().ids(), "slot", n, "cpu", o.cpu, "gave_up", o.gaveUp)
		if w.finished.Put(ctx, w.rt, o) != nil {
			return
		}
		w.poke()
	}
}

// next waits for a task for a slot; nil when ctx ends. What is the node's own runs in any slot,
// strangers' in those that are lent.
func (w *Worker) next(ctx context.Context, n int) *task {
	for ctx.Err() == nil {
		own, queued, moved := w.readyOwn.Mark(), w.ready.Mark(), w.moved.Mark()
		if w.mayRunOwn() {
			if t, ok := w.readyOwn.TryTake(); ok {
				if w.occupy(t, n) {
					return t
				}
				continue
			}
		}
		if w.lent(n) {
			if t, ok := w.ready.TryTake(); ok {
				if w.await(ctx, t, n) {
					return t
				}
				continue
			}
		} else if w.guest(n) != nil && !w.isOwn(n) {
			w.setGuest(n, nil) // nothing of strangers' stays in memory
		}
		_ = w.rt.Wait(ctx, strand.Forever, own, queued, moved)
	}
	return nil
}

// await lets a stranger's task into a slot as soon as there is memory for it.
func (w *Worker) await(ctx context.Context, t *task, n int) bool {
	for ctx.Err() == nil && t.ctx.Err() == nil {
		moved := w.moved.Mark()
		if !w.lent(n) {
			w.drop(t, true)
			return false
		}
		if w.occupy(t, n) {
			return true
		}
		_ = w.rt.Wait(ctx, strand.Forever, moved)
	}
	return false
}

// need is the memory that a task's guest may take: its own, and that of the process around it.
func need(j *jobs.Job) uint64 { return j.Head.Limits.Memory + processMemory }

const processMemory = 32 << 20

// occupy puts a task into a slot, unless it has ended or there is no memory for it.
func (w *Worker) occupy(t *task, n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	switch {
	case t.info.own:
		w.ownRunning++
	case w.memory > 0 && w.taken > 0 && w.taken+need(t.info.job) > w.memory:
		return false
	default:
		w.taken += need(t.info.job)
	}
	t.running, t.slot = true, n
	return true
}

// vacate says that a task runs no more.
func (w *Worker) vacate(t *task) {
	w.mu.Lock()
	t.running = false
	if t.info.own {
		w.ownRunning--
	} else {
		w.taken -= need(t.info.job)
	}
	w.mu.Unlock()
	w.moved.Raise()
}

// mayRunOwn reports whether there is room for one more of the node's own tasks.
func (w *Worker) mayRunOwn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ownRunning < w.slots
}

func (w *Worker) isOwn(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ownGuest[n]
}

func (w *Worker) warm(n int, t *task) error {
	w.setGuest(n, nil)
	g, err := w.cfg.Runner.Start(t.ctx, t.program) // compiling ends with the task
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.ownGuest[n], w.stopped[n] = t.info.own, false
	w.mu.Unlock()
	w.setGuest(n, g)
	w.obey()
	return nil
}

func (w *Worker) guest(n int) Guest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guests[n]
}

// setGuest replaces a slot's guest and ends the one before.
func (w *Worker) setGuest(n int, g Guest) {
	w.mu.Lock()
	old := w.guests[n]
	w.guests[n] = g
	w.mu.Unlock()
	if old != nil {
		if err := old.Close(); err != nil {
			w.cfg.Logger.Debug("guest ended badly", "error", err)
		}
	}
}

// timed keeps a moving average of how long a unit takes.
func (w *Worker) timed(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.perUnit == 0 {
		w.perUnit = d
	}
	w.perUnit = max((3*w.perUnit+d)/4, time.Microsecond)
}
