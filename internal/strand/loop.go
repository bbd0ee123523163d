package strand

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// Loop is a world of strands in virtual time. Strands are coroutines: one runs at a time, until it
// waits; which of those that can go on does is drawn from the seed. When none can, time moves on to
// the next thing that is due. So a run is a function of its seed, and hours cost what happens in
// them. A Loop is used from one goroutine.
type Loop struct {
	now      time.Duration // since the world began
	rng      *rand.PCG
	ready    []*fiber
	timers   timers
	order    uint64
	running  *fiber
	born     uint64
	machines []*Machine // that live
	idle     []*thread
	steps    uint64
}

// Epoch is when every world begins.
func Epoch() time.Time { return time.Unix(1_800_000_000, 0) }

// NewLoop makes a world.
func NewLoop(seed uint64) *Loop {
	return &Loop{rng: rand.NewPCG(seed, 0x73686f616c)}
}

// Elapsed is the virtual time since the world began; Steps how often a strand went on.
func (l *Loop) Elapsed() time.Duration { return l.now }

// Steps is how often a strand went on.
func (l *Loop) Steps() uint64 { return l.steps }

// Uint64 draws from the world's seed.
func (l *Loop) Uint64() uint64 { return l.rng.Uint64() }

// At has f called after d, on no strand: it must not wait. The world's own events are made of this.
func (l *Loop) At(d time.Duration, f func()) { l.push(&timer{at: l.now + max(d, 0), call: f}) }

// Run lets the world go on until done says so, or nothing is left that could happen. It asks done
// after every step.
func (l *Loop) Run(done func() bool) {
	for !done() && l.step() {
	}
}

func (l *Loop) step() bool {
	l.steps++
	if n := len(l.ready); n > 0 {
		i := int(l.rng.Uint64() % uint64(n))
		f := l.ready[i]
		l.ready[i] = l.ready[n-1]
		l.ready = l.ready[:n-1]
		f.resume()
		return true
	}
	if len(l.timers) == 0 {
		return false
	}
	t := heap.Pop(&l.timers).(*timer)
	l.now = max(l.now, t.at)
	if t.fiber != nil {
		t.fiber.wake()
	} else {
		t.call()
	}
	return true
}

// Stop ends every strand where it waits. The world cannot be used any more.
func (l *Loop) Stop() {
	for len(l.machines) > 0 {
		l.machines[0].Kill()
	}
	for len(l.ready) > 0 {
		l.step()
	}
	for _, t := range l.idle {
		t.stop()
	}
	l.idle = nil
}

func (l *Loop) push(t *timer) {
	l.order++
	t.order = l.order
	heap.Push(&l.timers, t)
}

type timer struct {
	at    time.Duration
	order uint64
	fiber *fiber
	call  func()
	index int
}

// timers is a heap: the earliest first, of those the one that was set first.
type timers []*timer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}

// remove takes a timer out, if it has not fired.
func (l *Loop) remove(t *timer) {
	if t.index >= 0 {
		heap.Remove(&l.timers, t.index)
	}
}
