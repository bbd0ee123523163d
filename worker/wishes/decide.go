package wishes

import (
	"slices"
	"time"
)

// How long what made guests stop must be over before they go on, and how often slots are taken
// or given because of heat or memory: nothing here moves to and fro faster.
const (
	busyHold    = 30 * time.Second
	batteryHold = 10 * time.Second
	programHold = 10 * time.Second
	diskHold    = time.Minute
	hotStep     = 30 * time.Second // to take a slot away for heat, and to give one back
	tightStep   = 5 * time.Second  // to take one away for memory
	roomyStep   = time.Minute      // to give one back
)

// What counts as too much.
const (
	coolDown   = 5.0  // °C below the limit, before slots come back
	overheated = 10.0 // °C above it, and nothing runs
	tightShare = 0.10 // of the memory is free: one guest less
	noneShare  = 0.04 // and none at all
	roomyShare = 0.20 // one more
)

// Decision is what a worker may do now.
type Decision struct {
	Slots    int    // guests at a time; 0 where paused
	Memory   uint64 // bytes for all of them
	Paused   bool   // they stand still
	GiveBack bool   // what stands still is ended, not kept: its memory is needed
	Taking   bool   // new units may be claimed
	Full     bool   // nothing new is to be kept: the disk has less free than was wished
	Bulk     bool   // large blobs may be moved
	// Reasons say why it is paused, or takes nothing, the weightiest first.
	Reasons []Reason
	// Notes say why less is lent than could be, and what could not be read.
	Notes []string
}

// Main is the weightiest reason in words, "" where there is none.
func (d *Decision) Main() string {
	if len(d.Reasons) == 0 {
		return ""
	}
	return d.Reasons[0].String()
}

// Until is when all reasons end, where each says when; else the zero time.
func (d *Decision) Until() (until time.Time) {
	for _, r := range d.Reasons {
		if r.Until.IsZero() {
			return time.Time{}
		}
		if r.Until.After(until) {
			until = r.Until
		}
	}
	return until
}

// State is what Decide remembers from one decision to the next. The zero value is a beginning.
type State struct {
	input    time.Time // the last one seen
	inUse    hold
	busy     hold
	battery  hold
	program  hold
	named    string // the program that was seen last
	disk     hold
	never    hold
	paused   hold
	heat     steps
	boiling  hold
	tight    steps
	starved  hold
	closed   hold
	opens    time.Time // when the hours begin again; zero: never
	opensFor string    // the hours that opens was worked out from
}

// hold is a condition that counts as over only some time after it was last seen.
type hold struct {
	on    bool
	since time.Time
	last  time.Time
}

// see notes whether the condition holds now, and returns whether it counts as holding.
func (h *hold) see(now, since time.Time, holds bool, linger time.Duration) bool {
	switch {
	case holds && !h.on:
		*h = hold{on: true, since: since, last: now}
	case holds || now.Before(h.last): // a clock put back begins the wait anew
		h.last = now
	case h.on && now.Sub(h.last) >= linger:
		h.on = false
	}
	return h.on
}

// steps is how many slots are taken away, one at a time.
type steps struct {
	taken int
	moved time.Time
}

// move takes a slot or gives one back, when the last move is so long ago.
func (s *steps) move(now time.Time, more, less bool, moreAfter, lessAfter time.Duration, most int) {
	ago := now.Sub(s.moved)
	if now.Before(s.moved) {
		s.moved = now
	}
	switch {
	case more && s.taken < most && (s.moved.IsZero() || ago >= moreAfter):
		s.taken, s.moved = s.taken+1, now
	case less && s.taken > 0 && ago >= lessAfter:
		s.taken, s.moved = s.taken-1, now
	}
	s.taken = min(s.taken, most)
}

// Decide weighs the wishes against the readings. now is in the zone that the hours mean. It
// changes s, which the next call must be given.
func Decide(w Wishes, r Readings, s *State, now time.Time) Decision {
	inUse := s.used(&w, &r, now)
	slots, memory := w.cores(r.Cores, inUse), w.memory(r.MemoryTotal, inUse)
	d := Decision{Memory: memory, Bulk: true}
	d.Reasons = slices.Concat(s.byHand(&w, now), s.byUse(&w, &r, inUse, now), s.byPower(&w, &r, now))
	d.hot(&w, &r, s, now, &slots)
	d.tight(&r, s, now, &slots)
	d.Paused = len(d.Reasons) > 0
	d.Taking = !d.Paused
	d.full(&w, &r, s, now)
	if d.Paused {
		slots = 0
	}
	d.Slots = slots
	d.remark(&w, &r, inUse)
	return d
}

// used reports whether a person sits at the machine.
func (s *State) used(w *Wishes, r *Readings, now time.Time) bool {
	putBack := s.input.After(now)
	switch at := now.Add(-max(r.Idle.Value, 0)); {
	case r.Idle.OK && (putBack || at.After(s.input)):
		s.input = at
	case putBack: // and nobody tells
		s.input = now
	}
	touched := !s.input.IsZero() && now.Sub(s.input) < w.IdleAfter
	return s.inUse.see(now, s.input, touched, 0)
}

// byHand is what the owner has said outright.
func (s *State) byHand(w *Wishes, now time.Time) (rs []Reason) {
	asked := w.Pause.On && (w.Pause.Until.IsZero() || now.Before(w.Pause.Until))
	if s.paused.see(now, now, asked, 0) {
		rs = append(rs, pausedByHand(s.paused.since, w.Pause.Until))
	}
	if s.never.see(now, now, w.When == Never, 0) {
		rs = append(rs, neverWished(s.never.since))
	}
	if !s.closed.see(now, now, !w.Hours.Open(now), 0) {
		return rs
	}
	// Searching a week for the next opening is not for every call.
	if s.opensFor != w.Hours.text || !s.opens.After(now) || s.opens.Sub(now) > 15*24*time.Hour {
		s.opens, _ = w.Hours.Next(now)
		s.opensFor = w.Hours.text
	}
	return append(rs, outsideHours(s.closed.since, s.opens, now))
}

// byUse is the person at the machine and the programs that run for them.
func (s *State) byUse(w *Wishes, r *Readings, inUse bool, now time.Time) (rs []Reason) {
	polite := w.When == Idle
	if polite && inUse {
		rs = append(rs, computerInUse(s.inUse.since, w.IdleAfter))
	}
	others := r.Others.or(0)
	if s.busy.see(now, now, w.OthersCPU < 1 && others >= w.OthersCPU, busyHold) && polite {
		rs = append(rs, othersBusy(s.busy.since, w.OthersCPU))
	}
	name := running(w.PauseFor, r.Programs.Value)
	if name != "" {
		s.named = name
	}
	if s.program.see(now, now, name != "", programHold) && len(w.PauseFor) > 0 {
		rs = append(rs, programRuns(s.program.since, s.named))
	}
	return rs
}

// running is the first of the named programs that runs, or "".
func running(names, programs []string) string {
	for _, name := range names {
		if slices.ContainsFunc(programs, func(p string) bool { return sameProgram(p, name) }) {
			return name
		}
	}
	return ""
}

// byPower is the battery.
func (s *State) byPower(w *Wishes, r *Readings, now time.Time) []Reason {
	if !s.battery.see(now, now, r.OnBattery.or(false), batteryHold) || w.OnBattery {
		return nil
	}
	return []Reason{onBattery(s.battery.since)}
}

// hot takes slots away, one by one, while the processor is too hot, and in the end all.
func (d *Decision) hot(w *Wishes, r *Readings, s *State, now time.Time, slots *int) {
	t := r.Temperature.or(0)
	limited := w.Temperature > 0
	s.heat.move(now, limited && t >= w.Temperature, !limited || t < w.Temperature-coolDown, hotStep, hotStep, *slots-1)
	if s.boiling.see(now, now, limited && t >= w.Temperature+overheated, hotStep) {
		d.Reasons = append(d.Reasons, tooHotFor(s.boiling.since, w.Temperature))
	}
	if s.heat.taken > 0 {
		*slots -= s.heat.taken
		d.Notes = append(d.Notes, hotNote(t, w.Temperature))
	}
}

// tight takes slots away while other programs need the memory, and in the end all.
func (d *Decision) tight(r *Readings, s *State, now time.Time, slots *int) {
	free, total := r.MemoryFree, r.MemoryTotal
	share := 1.0
	if free.OK && total.OK && total.Value > 0 {
		share = float64(free.Value) / float64(total.Value)
	}
	s.tight.move(now, share < tightShare, share >= roomyShare, tightStep, roomyStep, *slots-1)
	if s.starved.see(now, now, share < noneShare, roomyStep) {
		d.Reasons = append(d.Reasons, memoryNeeded(s.starved.since))
	}
	if s.tight.taken > 0 {
		*slots -= s.tight.taken
		d.Notes = append(d.Notes, tightNote(free.Value))
	}
	d.GiveBack = s.starved.on || s.tight.taken > 0
}

// full stops taking work, and keeping for others, while the disk has less free than was wished.
func (d *Decision) full(w *Wishes, r *Readings, s *State, now time.Time) {
	keep := w.DiskFree.of(r.DiskTotal.or(0))
	low := r.DiskFree.OK && (w.DiskFree.Percent == 0 || r.DiskTotal.OK) && r.DiskFree.Value < keep
	if s.disk.see(now, now, low, diskHold) {
		d.Taking, d.Full = false, true
		d.Reasons = append(d.Reasons, diskFull(s.disk.since, keep))
	}
}

// remark says what else an owner may ask about.
func (d *Decision) remark(w *Wishes, r *Readings, inUse bool) {
	if !r.Idle.OK && w.When == Idle {
		d.Notes = append(d.Notes, noInput(r.Idle.Why))
	}
	if inUse && w.When == Always && d.Slots > 0 && d.Slots < w.cores(r.Cores, false) {
		d.Notes = append(d.Notes, besideUser)
	}
	if r.Metered.or(false) && !w.Metered {
		d.Bulk = false
		d.Notes = append(d.Notes, MeteredNote)
	}
}
