package p2p

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
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
	// silenceKept is how long a peer that did not answer is not asked by the DHT again, unless
	// it is heard in the meantime: lookups of one moment meet the same dead.
	silenceKept = 3 * time.Second
)

// liveness remembers when each peer was last heard, and closes the connections of those that
// died without a word. A transport by itself needs 30 s to notice.
type liveness struct {
	host   host.Host
	ctx    context.Context // ends when the host closes
	checks sync.WaitGroup

	// busy reports whether so much is under way to or from a peer that its answers may be
	// stuck behind it. It is set before the first doubt.
	busy func(peer.ID) bool

	mu      sync.Mutex
	last    map[peer.ID]time.Time // when it was last heard
	failed  map[peer.ID]time.Time // when it last failed to answer in time, if not heard since
	suspect map[peer.ID]bool      // being checked
	closed  bool
}

func newLiveness(ctx context.Context, h host.Host) *liveness {
	return &liveness{
		host:    h,
		ctx:     ctx,
		busy:    func(peer.ID) bool { return false },
		last:    make(map[peer.ID]time.Time),
		failed:  make(map[peer.ID]time.Time),
		suspect: make(map[peer.ID]bool),
	}
}

// heard records that p has just answered.
func (l *liveness) heard(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[p] = time.Now()
	delete(l.failed, p)
}

// heardSince reports whether p has answered since a time.
func (l *liveness) heardSince(p peer.ID, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.last[p].Before(at)
}

// silentSince reports whether p has failed to answer since a time, and has not been heard after.
func (l *liveness) silentSince(p peer.ID, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	failed, ok := l.failed[p]
	return ok && !failed.Before(at)
}

// silent records that p has failed to answer in time. Other failures say nothing of the kind.
func (l *liveness) silent(p peer.ID, err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	l.mu.Lock()
	l.failed[p] = time.Now()
	l.mu.Unlock()
	l.doubt(p)
}

// doubt makes sure that a connected peer still lives, and parts with it if it does not.
func (l *liveness) doubt(p peer.ID) {
	doubtful := len(l.host.Network().ConnsToPeer(p)) > 0 && !l.busy(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !doubtful || l.closed || l.suspect[p] || len(l.suspect) >= maxSuspects {
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
	if !l.ping(l.ctx, p, suspectTimeout) && !l.busy(p) && l.ctx.Err() == nil {
		_ = l.host.Network().ClosePeer(p)
	}
}

// ping asks a connected peer for a sign of life. One that is not connected gives none.
func (l *liveness) ping(ctx context.Context, p peer.ID, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "a sign of life"), wait)
	defer cancel()
	result, answered := <-ping.Ping(ctx, l.host, p)
	if !answered || result.Error != nil {
		return false
	}
	l.heard(p)
	return true
}

// sweep forgets those not heard for long.
func (l *liveness) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := func(_ peer.ID, at time.Time) bool { return now.Sub(at) > heardKept }
	maps.DeleteFunc(l.last, old)
	maps.DeleteFunc(l.failed, old)
}

// wait returns when no check is under way, nor will be. The context must have ended.
func (l *liveness) wait() {
	l.mu.Lock()
	l.closed = true // after this no doubt adds a check
	l.mu.Unlock()
	l.checks.Wait()
}
