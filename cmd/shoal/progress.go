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

	mu   sync.Mutex
	last *api.Job // the newest reading
	line string   // what is shown
}

// startProgress shows readings until stop.
func startProgress(u *ui) *progress {
	p := &progress{ui: u, ended: make(chan struct{}), quit: make(chan struct{})}
	go p.draw()
	return p
}

// update takes a new reading.
func (p *progress) update(j *api.Job) {
	line := progressLine(j)
	if p.ui.screen.tty {
		line = bar(j) + " " + line
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.line = j, line
}

// tell takes what goes on before there is a reading.
func (p *progress) tell(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = line
}

func (p *progress) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line
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
			switch line := p.shown(); {
			case line == "":
			case p.ui.screen.tty:
				p.ui.live(line)
			default:
				p.ui.say("%s", line)
			}
		}
	}
}
