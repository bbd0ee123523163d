package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/jobs/submit"
)

// transfers hold what moves between this node and others in large blobs to what its owner
// wishes: whether at all, how fast, how much a month. It counts what has moved. Only the rate is
// for the owner's own jobs, too.
type transfers struct {
	table disk.Disk

	mu      sync.Mutex
	stopped string // why nothing moves; "" it does
	rate    uint64 // bytes a second, each way; 0 is any
	monthly uint64 // bytes; 0 is any
	month   string // that moved is of
	moved   uint64
	stored  uint64       // of moved
	free    [2]time.Time // by way: when the next byte may move
}

// The ways that bytes move.
const (
	in  = 0
	out = 1
)

// storeEvery is how much may move before the count is put on disk.
const storeEvery = 16 << 20

// burst is for how long a way that was idle may be ahead of its rate.
const burst = time.Second

func newTransfers(table disk.Disk, now time.Time) (*transfers, error) {
	t := &transfers{table: table, month: now.Format(monthLayout)}
	value, ok, err := table.Get(monthKey(t.month))
	if err == nil && ok && len(value) == 8 {
		t.moved = binary.BigEndian.Uint64(value)
		t.stored = t.moved
	}
	return t, err
}

const monthLayout = "2006-01"

func monthKey(month string) []byte { return []byte("moved/" + month) }

// wish takes up what the owner wishes.
func (t *transfers) wish(rate, monthly uint64, stopped string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate, t.monthly, t.stopped = rate, monthly, stopped
}

// why is why nothing large moves, "" where it does.
func (t *transfers) why(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refusal(now)
}

func (t *transfers) refusal(now time.Time) string {
	if month := now.Format(monthLayout); month != t.month {
		t.month, t.moved, t.stored = month, 0, 0
	}
	switch {
	case t.stopped != "":
		return t.stopped
	case t.monthly > 0 && t.moved >= t.monthly:
		return fmt.Sprintf("the month's %d MiB of transfers are used up: nothing large is moved but for your own jobs", t.monthly>>20)
	}
	return ""
}

// pass lets so many bytes of others' jobs move one way, when it is time for them.
func (t *transfers) pass(ctx context.Context, way int, bytes int) error {
	if why := t.why(time.Now()); why != "" {
		return errors.New(why)
	}
	return t.carry(ctx, way, bytes)
}

// carry is pass for the owner's own jobs: they are counted, and move at the rate that is wished,
// but nothing stops them. Who submits over a metered connection has decided that.
func (t *transfers) carry(ctx context.Context, way int, bytes int) error {
	now := time.Now()
	t.mu.Lock()
	t.refusal(now) // a month may be over
	t.moved += uint64(bytes)
	var wait time.Duration
	if t.rate > 0 {
		if earliest := now.Add(-burst); t.free[way].Before(earliest) {
			t.free[way] = earliest
		}
		t.free[way] = t.free[way].Add(time.Duration(float64(bytes) / float64(t.rate) * float64(time.Second)))
		wait = t.free[way].Sub(now)
	}
	store := t.moved-t.stored >= storeEvery
	if store {
		t.stored = t.moved
	}
	month, moved := t.month, t.moved
	t.mu.Unlock()
	if store {
		if err := t.put(ctx, month, moved); err != nil {
			return err
		}
	}
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *transfers) put(ctx context.Context, month string, moved uint64) error {
	return t.table.Put(ctx, disk.Pair{Key: monthKey(month), Value: binary.BigEndian.AppendUint64(nil, moved)})
}

// keep puts the count on disk.
func (t *transfers) keep(ctx context.Context) error {
	t.mu.Lock()
	month, moved, same := t.month, t.moved, t.moved == t.stored
	t.stored = t.moved
	t.mu.Unlock()
	if same {
		return nil
	}
	return t.put(ctx, month, moved)
}

// blocks is what bitswap serves: while nothing large is moved, the owner's own jobs alone.
type blocks struct {
	b     *store.Blobs
	moves *transfers
	sent  *atomic.Uint64 // bytes served
}

func (s blocks) Block(ctx context.Context, d jobs.Digest) ([]byte, error) {
	if !s.moving(d) {
		return nil, errStill
	}
	block, err := s.b.Block(ctx, d)
	if err == nil {
		err = s.moves.carry(ctx, out, len(block))
	}
	if err != nil {
		return nil, err
	}
	s.sent.Add(uint64(len(block)))
	return block, nil
}

func (s blocks) HasBlock(_ context.Context, d jobs.Digest) (bool, error) {
	return s.b.HasBlock(d) && s.moving(d), nil
}

var errStill = errors.New("nothing large is moved now")

// moving reports whether a block may be served now.
func (s blocks) moving(d jobs.Digest) bool {
	return s.moves.why(time.Now()) == "" || s.b.BlockHeld(d, submit.OwnerPrefix)
}
