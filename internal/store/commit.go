package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// groupBytes bounds one transaction, unless a single write is larger.
const groupBytes = 16 << 20

// change puts a value under a key of a bucket, or deletes the key if value is nil.
type change struct {
	bucket     string
	key, value []byte
}

// write is one caller's changes, waiting for their transaction.
type write struct {
	changes []change
	size    int
	done    chan error // has room for the one answer
}

// commitQueue shares transactions between callers. Whoever gets the turn commits what all
// have queued, so while one fsync runs the next group gathers, and a lone writer never
// waits for company. (bbolt's own Batch starts every group with a fixed delay.) The
// queue holds at most one write for each caller that waits in write.
type commitQueue struct {
	db   *bolt.DB
	turn chan struct{} // full while somebody commits

	mu     sync.Mutex
	queue  []*write
	closed bool
}

func newCommitQueue(db *bolt.DB) *commitQueue {
	return &commitQueue{db: db, turn: make(chan struct{}, 1)}
}

// write returns nil when the changes are on disk. If ctx ends first they are not written.
func (q *commitQueue) write(ctx context.Context, changes []change) error {
	w := &write{changes: changes, done: make(chan error, 1)}
	for _, c := range changes {
		w.size += len(c.key) + len(c.value)
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	q.queue = append(q.queue, w)
	q.mu.Unlock()

	for {
		select {
		case err := <-w.done:
			return err
		case q.turn <- struct{}{}:
			q.commit()
			<-q.turn
		case <-ctx.Done():
			if q.withdraw(w) {
				return context.Cause(ctx)
			}
			return <-w.done // it is being committed: a disk write away
		}
	}
}

// withdraw takes w out of the queue, if it is still there.
func (q *commitQueue) withdraw(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queue, w)
	if i >= 0 {
		q.queue = slices.Delete(q.queue, i, i+1)
	}
	return i >= 0
}

// take removes the next group from the queue.
func (q *commitQueue) take() []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.queue) && (n == 0 || size+q.queue[n].size <= groupBytes) {
		size += q.queue[n].size
		n++
	}
	group := q.queue[:n:n]
	q.queue = q.queue[n:]
	return group
}

// commit writes the next group in one transaction and tells its callers.
func (q *commitQueue) commit() {
	group := q.take()
	if len(group) == 0 {
		return
	}
	err := q.db.Update(func(tx *bolt.Tx) error {
		for _, w := range group {
			for _, c := range w.changes {
				if err := c.apply(tx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("write database: %w", err)
	}
	for _, w := range group {
		w.done <- err
	}
}

func (c change) apply(tx *bolt.Tx) error {
	if c.value == nil {
		if b := tx.Bucket([]byte(c.bucket)); b != nil {
			return b.Delete(c.key)
		}
		return nil
	}
	b, err := tx.CreateBucketIfNotExists([]byte(c.bucket))
	if err != nil {
		return err
	}
	return b.Put(c.key, c.value)
}

// close waits for the write under way and fails those queued, and all later ones.
func (q *commitQueue) close() {
	q.turn <- struct{}{} // kept: nobody commits again
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, w := range q.queue {
		w.done <- ErrClosed
	}
	q.queue = nil
}

func (q *commitQueue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
