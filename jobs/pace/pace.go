// Package pace tells from the times at which inputs were done how fast a job goes, and when it
// may end: as a range, and not before there is evidence. It is told the time.
package pace

import (
	"math"
	"time"
)

// What counts as evidence.
const (
	minEvents = 5               // acceptances since the first
	minTime   = 2 * time.Second // since the first
	patience  = 10 * time.Second
	// confidence is how many standard deviations the range reaches to each side: 90 % of the
	// cases, were the acceptances independent.
	confidence = 1.64
)

// MaxSamples bounds what is remembered. Of a long job less is remembered of each minute.
const MaxSamples = 128

// Sample is how far a job was at a time.
type Sample struct {
	At     time.Time
	Done   uint64 // inputs
	Events uint64 // acceptances so far
}

// Pace remembers how a job went. The zero value has seen nothing.
type Pace struct {
	samples []Sample
	every   time.Duration // at least, between two samples that are kept
}

// Note tells that so many inputs are done now. The first note is what was done before this run.
func (p *Pace) Note(now time.Time, done uint64) {
	n := len(p.samples)
	if n == 0 {
		p.samples, p.every = append(p.samples, Sample{At: now, Done: done}), time.Second/8
		return
	}
	last := p.samples[n-1]
	if done < last.Done { // something was taken back: what was says nothing of what comes
		p.samples = append(p.samples[:0], Sample{At: now, Done: done})
		return
	}
	if done == last.Done || now.Before(last.At) {
		return
	}
	s := Sample{At: now, Done: done, Events: last.Events + 1}
	if n > 1 && now.Sub(p.samples[n-2].At) < p.every {
		p.samples[n-1] = s
		return
	}
	if p.samples = append(p.samples, s); len(p.samples) == MaxSamples {
		p.thin()
	}
}

// thin forgets every second sample but the last.
func (p *Pace) thin() {
	kept := p.samples[:0]
	for i, s := range p.samples {
		if i%2 == 0 || i == len(p.samples)-1 {
			kept = append(kept, s)
		}
	}
	p.samples, p.every = kept, 2*p.every
}

// Samples is what is remembered, the oldest first. The caller does not keep it.
func (p *Pace) Samples() []Sample { return p.samples }

// Forecast is what a pace says of the time to come.
type Forecast struct {
	Rate              float64 // inputs a second, lately; 0 without evidence
	Low, Likely, High time.Duration
	Known             bool // there is evidence for the times
}

// Forecast tells how long it may take until so many more inputs are done.
func (p *Pace) Forecast(now time.Time, left uint64) Forecast {
	if p.stalled(now) {
		return Forecast{}
	}
	if last := p.samples[len(p.samples)-1].At; now.Before(last) {
		now = last // a clock that was set back
	}
	whole := p.since(now, 0)
	late := p.since(now, len(p.samples)/2)
	if late.events < minEvents || late.time < time.Second {
		late = whole
	}
	if whole.events < 1 || whole.time < time.Second {
		return Forecast{}
	}
	f := Forecast{Rate: late.rate()}
	if whole.events < minEvents || whole.time < minTime {
		return f
	}
	f.Known = true
	f.Likely = span(left, late.rate())
	f.Low = min(late.end(left, 1), whole.end(left, 1))
	f.High = max(late.end(left, -1), whole.end(left, -1))
	return f
}

// stalled reports that nothing has come for so long that the pace so far says nothing about
// what is left.
func (p *Pace) stalled(now time.Time) bool {
	if len(p.samples) < 2 {
		return true
	}
	first, last := p.samples[0].At, p.samples[len(p.samples)-1].At
	quiet := now.Sub(last)
	return quiet > patience && quiet > last.Sub(first)/4
}

// stretch is a part of the way.
type stretch struct {
	done, events uint64
	time         time.Duration
}

// since is the way from a sample until now.
func (p *Pace) since(now time.Time, from int) stretch {
	a, b := p.samples[from], p.samples[len(p.samples)-1]
	return stretch{done: b.Done - a.Done, events: b.Events - a.Events, time: now.Sub(a.At)}
}

func (s stretch) rate() float64 { return float64(s.done) / s.time.Seconds() }

// end is when it is over if the stretch was unlucky (1: it goes faster than that) or lucky (-1).
func (s stretch) end(left uint64, side float64) time.Duration {
	doubt := confidence / math.Sqrt(float64(s.events))
	return span(left, s.rate()*max(1+side*doubt, 0.1))
}

// span is how long so many inputs take at a rate, at most a century.
func span(left uint64, rate float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	seconds := float64(left) / rate
	if !(seconds < century.Seconds()) {
		return century
	}
	return time.Duration(seconds * float64(time.Second))
}
