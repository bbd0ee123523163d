package p2p

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	// suspectTimeout is how long a suspected peer has to answer a ping before its connection
	// is closed: longer than askTimeout, because a busy peer is not a dead one.
	suspectTimeout = 4 * time.Second
	// maxSuspects bounds the pings under way.
	maxSuspects = 16
	// heardKept bounds the memory of who was heard.
	heardKept = 10 * time.Minute
)

// liveness remembers when each peer was last heard, and closes the connections of those that
// died without a word. A transport by itself needs 30 s to notice.
type liveness struct {
	host   host.Host
	ctx    context.Context // ends when the host closes
	checks sync.WaitGroup

	mu      sync.Mutex
	last    map[peer.ID]time.Time
	suspect map[peer.ID]bool
}

func newLiveness(ctx context.Context, h host.Host) *liveness {
	return &liveness{host: h, ctx: ctx, last: make(map[peer.ID]time.Time), suspect: make(map[peer.ID]bool)}
}

// heard records that p has just answered.
func (l *liveness) heard(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[p] = time.Now()
}

// since returns when p last answered.
func (l *liveness) since(p peer.ID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[p]
}

// silent records that p has failed to answer in time. Other failures say that it lives.
func (l *liveness) silent(p peer.ID, err error) {
	if !errors.Is(err, context.DeadlineExceeded) || len(l.host.Network().ConnsToPeer(p)) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil || l.suspect[p] || len(l.suspect) >= maxSuspects {
		return
	}
	l.suspect[p] = true
	l.checks.Go(func() { l.check(p) })
}

// check pings p and closes its connections if it does not answer.
func (l *liveness) check(p peer.ID) {
	defer func() {
		l.mu.Lock()
		delete(l.suspect, p)
		l.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(l.ctx, suspectTimeout)
	defer cancel()
	asked := time.Now()
	result, answered := <-ping.Ping(ctx, l.host, p)
	switch {
	case l.ctx.Err() != nil:
	case answered && result.Error == nil:
		l.heard(p)
	case l.since(p).Before(asked):
		_ = l.host.Network().ClosePeer(p)
	}
}

// sweep forgets those not heard for long.
func (l *liveness) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, at := range l.last {
		if now.Sub(at) > heardKept {
			delete(l.last, p)
		}
	}
}

// wait returns when no check is under way. The liveness's context must have ended.
func (l *liveness) wait() {
	l.mu.Lock() // after this no silent call adds a check
	l.mu.Unlock()
	l.checks.Wait()
}
