package main

import (
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

const (
	redrawTime = 100 * time.Millisecond // between two drawings on a terminal
	lineTime   = 10 * time.Second       // between two lines elsewhere
)

// progress shows how far a job is while somebody waits for it: a bar on a terminal, now and
// then a line elsewhere, rows for scripts never.
type progress struct {
	ui    *ui
	quit  chan struct{} // closed to end the drawing goroutine
	ended chan struct{} // closed by it

	mu      sync.Mutex
	last    *api.Job // the newest reading
	step    phase    // what goes on before there is one
	taken   int64    // answers that were delivered
	waiting bool     // for answers, not for the job
}

// startProgress shows readings until stop.
func startProgress(u *ui) *progress {
	p := &progress{ui: u, ended: make(chan struct{}), quit: make(chan struct{})}
	go p.draw()
	return p
}

// update takes a new reading.
func (p *progress) update(j *api.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = j
}

// tell takes what goes on before there is a reading.
func (p *progress) tell(step phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step = step
}

// collecting says that the job is as it is, and its answers are on their way.
func (p *progress) collecting(j *api.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.waiting = j, true
}

// took counts an answer that was delivered.
func (p *progress) took() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken++
}

// now is the stretch that the job is on.
func (p *progress) now() phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.last == nil:
		return p.step
	case p.waiting || p.last.Final && p.taken > 0:
		return collectPhase(p.taken, p.last)
	}
	return runPhase(p.last)
}

// reading is the newest one, or nil.
func (p *progress) reading() *api.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// stop removes the bar and ends the drawing.
func (p *progress) stop() {
	close(p.quit)
	<-p.ended
	p.ui.screen.Live("")
}

func (p *progress) draw() {
	defer close(p.ended)
	every := lineTime
	if p.ui.screen.tty {
		every = redrawTime
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-tick.C:
			switch now := p.now(); {
			case now.words == "":
			case p.ui.screen.tty:
				p.ui.live(now.onTerminal())
			default:
				p.ui.say("%s", now.plain())
			}
		}
	}
}
