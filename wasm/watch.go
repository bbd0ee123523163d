package wasm

import (
	"sync"
	"time"
)

// watch kills a child whose input has used its CPU time. A process cannot use more CPU
// time than real time with one computing thread, so it first looks when so much has passed.
type watch struct {
	process *process
	limit   time.Duration

	mu    sync.Mutex
	timer *time.Timer
	done  bool
	fire  bool
}

// watch begins to watch the input that is about to run.
func (c *process) watch(limit time.Duration) *watch {
	w := &watch{process: c, limit: limit}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, w.look)
	return w
}

// again is the shortest time after which it is worth looking again.
const again = 20 * time.Millisecond

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	total, err := processCPU(w.process.cmd.Process.Pid)
	left := w.limit - (total - w.process.used)
	if err == nil && left > 0 {
		w.timer.Reset(max(left, again))
		return
	}
	// Where its clock cannot be read, real time has to do.
	w.fire = true
	w.process.kill()
}

// stop ends the watch.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	w.timer.Stop()
}

// fired reports whether the child was killed for its CPU time.
func (w *watch) fired() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fire
}
