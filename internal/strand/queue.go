package strand

import (
	"context"
	"sync"
	"time"
)

// Queue is a bounded queue between strands. Make one with NewQueue.
type Queue[T any] struct {
	mu      sync.Mutex
	items   []T
	bound   int
	changed Signal
}

// NewQueue makes a queue of at most so many items.
func NewQueue[T any](bound int) *Queue[T] { return &Queue[T]{bound: bound} }

// Put appends an item; it waits while the queue is full.
func (q *Queue[T]) Put(ctx context.Context, rt Runtime, item T) error {
	for ctx.Err() == nil {
		mark := q.changed.Mark()
		if q.put(item) {
			q.changed.Raise()
			return nil
		}
		_ = rt.Wait(ctx, Forever, mark)
	}
	return ctx.Err()
}

func (q *Queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) >= q.bound {
		return false
	}
	q.items = append(q.items, item)
	return true
}

// TryTake gives the oldest item, if there is one.
func (q *Queue[T]) TryTake() (item T, ok bool) {
	q.mu.Lock()
	if ok = len(q.items) > 0; ok {
		item = q.items[0]
		var none T
		q.items[0] = none
		q.items = q.items[1:]
	}
	full := len(q.items) == q.bound-1
	q.mu.Unlock()
	if ok && full { // somebody may wait for room
		q.changed.Raise()
	}
	return item, ok
}

// Take waits for an item, but not longer than d, nor when the context has ended.
func (q *Queue[T]) Take(ctx context.Context, rt Runtime, d time.Duration) (item T, ok bool) {
	end := rt.Now().Add(min(d, 1<<60))
	for ctx.Err() == nil {
		mark := q.changed.Mark()
		if item, ok = q.TryTake(); ok {
			return item, true
		}
		left := Forever
		if d != Forever {
			if left = end.Sub(rt.Now()); left <= 0 {
				return item, false
			}
		}
		_ = rt.Wait(ctx, left, mark)
	}
	return item, false
}

// Mark is of the queue's changes, for a wait on more than it.
func (q *Queue[T]) Mark() Mark { return q.changed.Mark() }

// Gate lets a bounded number of strands be inside at a time. Make one with NewGate.
type Gate struct {
	mu   sync.Mutex
	room int
	left Signal
}

// NewGate makes a gate with room for so many.
func NewGate(room int) *Gate { return &Gate{room: room} }

// Enter waits for room. Who entered must Leave.
func (g *Gate) Enter(ctx context.Context, rt Runtime) error {
	for ctx.Err() == nil {
		mark := g.left.Mark()
		g.mu.Lock()
		ok := g.room > 0
		if ok {
			g.room--
		}
		g.mu.Unlock()
		if ok {
			return nil
		}
		_ = rt.Wait(ctx, Forever, mark)
	}
	return ctx.Err()
}

// Leave makes room.
func (g *Gate) Leave() {
	g.mu.Lock()
	g.room++
	g.mu.Unlock()
	g.left.Raise()
}

// Group is strands that somebody waits for. Its zero value is ready.
type Group struct {
	mu    sync.Mutex
	alive int
	ended Signal
}

// Go runs f on a strand of the group.
func (g *Group) Go(rt Runtime, f func()) {
	g.Join()
	rt.Go(func() {
		defer g.Part()
		f()
	})
}

// Join and Part count a piece of work that is no strand of its own as part of the group.
func (g *Group) Join() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive++
}

// Part ends what Join began.
func (g *Group) Part() {
	g.mu.Lock()
	g.alive--
	over := g.alive == 0
	g.mu.Unlock()
	if over {
		g.ended.Raise()
	}
}

// Wait returns when no strand of the group is left.
func (g *Group) Wait(rt Runtime) {
	for {
		mark := g.ended.Mark()
		g.mu.Lock()
		alive := g.alive
		g.mu.Unlock()
		if alive == 0 {
			return
		}
		_ = rt.Wait(context.Background(), Forever, mark)
	}
}
