package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// laneWidth is how many requests of one protocol may be under way to one peer; more wait.
	// It is below what the other side accepts (peerStreams).
	laneWidth = 32
	// laneIdle is how many unused streams are kept for one peer and protocol.
	laneIdle = 4
	// streamIdle is how long a stream stays unused before its opener closes it: less than the
	// other side waits (serveIdle, and kad-dht's one minute).
	streamIdle = 30 * time.Second
	// exchangeTimeout bounds an exchange whose context has no deadline.
	exchangeTimeout = 60 * time.Second
)

// exchanger sends requests over streams that it keeps open: opening one costs more than
// the request. One stream carries one request at a time, so no answer waits behind another.
type exchanger struct {
	host host.Host
	dial func(context.Context, peer.ID) error // connects where there is no connection

	mu    sync.Mutex
	lanes map[laneKey]*lane
}

type laneKey struct {
	to       peer.ID
	protocol protocol.ID
}

// lane is the streams of one protocol to one peer.
type lane struct {
	slots chan struct{} // one token per request under way
	users int           // requests under way or waiting; guarded by exchanger.mu
	idle  []*stream     // guarded by exchanger.mu, last used last
}

type stream struct {
	network.Stream
	r     *bufio.Reader
	since time.Time // unused since
}

func newExchanger(h host.Host, dial func(context.Context, peer.ID) error) *exchanger {
	return &exchanger{host: h, dial: dial, lanes: make(map[laneKey]*lane)}
}

// exchange sends one frame and reads one frame of at most limit bytes. Where a kept stream
// turns out dead the request is sent again on a new one, so the other side may see it twice.
func (e *exchanger) exchange(ctx context.Context, to peer.ID, id protocol.ID, frame []byte, limit int) ([]byte, error) {
	return e.do(ctx, to, id, func(s *stream) ([]byte, error) {
		if _, err := s.Write(frame); err != nil {
			return nil, fmt.Errorf("send: %w", err)
		}
		return readFrame(s.r, limit, func(n int) error {
			return s.Scope().ReserveMemory(n, network.ReservationPriorityAlways)
		})
	})
}

// send sends one frame that has no answer.
func (e *exchanger) send(ctx context.Context, to peer.ID, id protocol.ID, frame []byte) error {
	_, err := e.do(ctx, to, id, func(s *stream) ([]byte, error) {
		_, err := s.Write(frame)
		return nil, err
	})
	return err
}

func (e *exchanger) do(ctx context.Context, to peer.ID, id protocol.ID, use func(*stream) ([]byte, error)) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, exchangeTimeout)
		defer cancel()
	}
	key := laneKey{to, id}
	l := e.enter(key)
	defer e.leave(key, l)
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s := e.take(l); s != nil {
		answer, err := e.use(ctx, l, s, use)
		if err == nil || ctx.Err() != nil || badFrame(err) {
			return answer, err
		}
		e.drop(l) // what was kept with it is most likely dead too
	}
	s, err := e.open(ctx, key)
	if err != nil {
		return nil, err
	}
	return e.use(ctx, l, s, use)
}

// use runs one exchange on s and keeps s where it can be used again.
func (e *exchanger) use(ctx context.Context, l *lane, s *stream, use func(*stream) ([]byte, error)) ([]byte, error) {
	cut := context.AfterFunc(ctx, func() { _ = s.Reset() })
	answer, err := use(s)
	if !cut() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = s.Reset()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, err
	}
	s.Scope().ReleaseMemory(len(answer))
	e.keep(l, s)
	return answer, nil
}

func (e *exchanger) open(ctx context.Context, key laneKey) (*stream, error) {
	ctx = network.WithAllowLimitedConn(ctx, "requests are small")
	if err := e.dial(ctx, key.to); err != nil {
		return nil, err
	}
	s, err := e.host.NewStream(ctx, key.to, key.protocol)
	if err != nil {
		return nil, err
	}
	return &stream{Stream: s, r: bufio.NewReader(s)}, nil
}

func (e *exchanger) enter(key laneKey) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lanes[key]
	if l == nil {
		l = &lane{slots: make(chan struct{}, laneWidth)}
		e.lanes[key] = l
	}
	l.users++
	return l
}

func (e *exchanger) leave(key laneKey, l *lane) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.users--
	if l.users == 0 && len(l.idle) == 0 {
		delete(e.lanes, key)
	}
}

func (e *exchanger) take(l *lane) *stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(l.idle) == 0 {
		return nil
	}
	s := l.idle[len(l.idle)-1]
	l.idle = l.idle[:len(l.idle)-1]
	return s
}

func (e *exchanger) keep(l *lane, s *stream) {
	s.since = time.Now()
	e.mu.Lock()
	full := len(l.idle) == laneIdle
	if !full {
		l.idle = append(l.idle, s)
	}
	e.mu.Unlock()
	if full {
		_ = s.Close()
	}
}

func (e *exchanger) drop(l *lane) {
	e.mu.Lock()
	idle := l.idle
	l.idle = nil
	e.mu.Unlock()
	for _, s := range idle {
		_ = s.Reset()
	}
}

// forget closes all kept streams to a peer that is gone.
func (e *exchanger) forget(p peer.ID) {
	e.closeIdle(func(key laneKey, _ *stream) bool { return key.to == p })
}

// sweep closes the streams that nobody has used for a while.
func (e *exchanger) sweep(now time.Time) {
	e.closeIdle(func(_ laneKey, s *stream) bool { return now.Sub(s.since) >= streamIdle })
}

func (e *exchanger) closeIdle(old func(laneKey, *stream) bool) {
	var closing []*stream
	e.mu.Lock()
	for key, l := range e.lanes {
		kept := l.idle[:0]
		for _, s := range l.idle {
			if old(key, s) {
				closing = append(closing, s)
			} else {
				kept = append(kept, s)
			}
		}
		clear(l.idle[len(kept):])
		l.idle = kept
		if l.users == 0 && len(kept) == 0 {
			delete(e.lanes, key)
		}
	}
	e.mu.Unlock()
	for _, s := range closing {
		_ = s.Close()
	}
}
