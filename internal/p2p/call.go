package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

// An answer's frame begins with one byte that says what follows.
const (
	answerOK      = 0 // the response
	answerRefused = 1 // the text of the handler's error
)

// maxRefusal is the length of the longest error text that is sent.
const maxRefusal = 1 << 10

const (
	// serveIdle is how long a stream may wait for its next request.
	serveIdle = 90 * time.Second
	// frameTimeout is how long one frame may take to come or go: 4 MiB at 1.2 Mbit/s.
	frameTimeout = 30 * time.Second
	// handleTimeout bounds a handler, watchAfter is how long one may work before it is
	// watched whether the peer is still there.
	handleTimeout = 2 * time.Minute
	watchAfter    = time.Second
)

// ErrMalformed marks a handler's error as the fault of whoever sent the request: no honest
// node would. The peer is cut off for a while.
var ErrMalformed = errors.New("malformed request")

// Refusal is the error of a Call that was answered by the other node's handler with an error.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return "refused: " + r.Text }

// Handler answers a request.
type Handler func(ctx context.Context, from jobs.NodeID, request []byte) ([]byte, error)

// Call sends one request and returns its response; a *Refusal if the other node's handler
// said no. After a broken connection the request may be handled twice. Without a deadline in
// ctx it takes a minute at most.
func (h *Host) Call(ctx context.Context, to jobs.NodeID, protocol string, request []byte) ([]byte, error) {
	switch {
	case to == h.self:
		return nil, errors.New("call: that node is this one")
	case len(request) == 0 || len(request) > MaxMessage:
		return nil, fmt.Errorf("call: request of %d bytes: want 1 to %d", len(request), MaxMessage)
	}
	p := peerOf(to)
	answer, err := h.calls.exchange(ctx, p, h.cfg.protocolID(protocol), frame(request), MaxMessage+1)
	switch {
	case badFrame(err):
		h.gate.offend(p)
	case errors.Is(err, context.DeadlineExceeded):
		h.live.doubt(p)
	}
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", to.Short(), err)
	}
	h.live.heard(p)
	switch answer[0] {
	case answerOK:
		return answer[1:], nil
	case answerRefused:
		return nil, &Refusal{Text: string(answer[1:min(len(answer), 1+maxRefusal)])}
	default:
		h.gate.offend(p)
		return nil, fmt.Errorf("call %s: answer of unknown kind %d", to.Short(), answer[0])
	}
}

// Handle answers the requests of one protocol with f, which is called by many goroutines. A
// response may have MaxMessage bytes. f's context ends with the host, after two minutes, or soon
// after the peer has gone.
func (h *Host) Handle(protocol string, f Handler) {
	h.host.SetStreamHandler(h.cfg.protocolID(protocol), func(s network.Stream) {
		h.serve(s, protocol, f)
	})
}

// serve answers the requests of one stream, one after the other. How many streams there can
// be, and how much memory their frames can take, for one peer and for all, the resource
// manager bounds (limits.go).
func (h *Host) serve(s network.Stream, protocol string, f Handler) {
	p := s.Conn().RemotePeer()
	from, err := nodeOf(p)
	if err != nil {
		_ = s.Reset()
		return
	}
	r := bufio.NewReader(s)
	for {
		err := h.serveOne(s, r, from, f)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errStreamDone):
			_ = s.Close()
			return
		case errors.Is(err, errOffence):
			h.log.Warn("cutting off a peer", "peer", from, "protocol", protocol, "reason", err)
			h.gate.offend(p)
		case errors.Is(err, network.ErrReset): // whoever asked waits no longer: most watches end so
		default:
			h.log.Debug("stream broke", "peer", from, "protocol", protocol, "err", err)
		}
		_ = s.Reset()
		return
	}
}

var (
	errStreamDone = errors.New("no more requests")
	errOffence    = errors.New("against the protocol")
)

func (h *Host) serveOne(s network.Stream, r *bufio.Reader, from jobs.NodeID, f Handler) error {
	_ = s.SetReadDeadline(time.Now().Add(serveIdle))
	if _, err := r.Peek(1); err != nil {
		return errStreamDone
	}
	_ = s.SetReadDeadline(time.Now().Add(frameTimeout))
	reserved := 0
	reserve := func(n int) error {
		if err := s.Scope().ReserveMemory(n, network.ReservationPriorityAlways); err != nil {
			return err
		}
		reserved += n
		return nil
	}
	defer func() { s.Scope().ReleaseMemory(reserved) }()
	request, err := readFrame(r, MaxMessage, reserve)
	if badFrame(err) || isTimeout(err) {
		return fmt.Errorf("%w: %w", errOffence, err)
	}
	if err != nil {
		return err
	}
	response, refused := h.handle(s, r, func(ctx context.Context) ([]byte, error) { return f(ctx, from, request) })
	answer, err := answerFrame(response, refused)
	if err != nil {
		return err
	}
	_ = s.SetWriteDeadline(time.Now().Add(frameTimeout))
	if _, err := s.Write(answer); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	if errors.Is(refused, ErrMalformed) {
		return fmt.Errorf("%w: %w", errOffence, refused)
	}
	return nil
}

// handle calls a handler, and cancels it when the stream ends while it works: else a peer could
// pile up calls by coming back again and again.
func (h *Host) handle(s network.Stream, r *bufio.Reader, f func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(h.ctx, handleTimeout)
	defer cancel()
	_ = s.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	watch := time.AfterFunc(watchAfter, func() {
		defer close(done)
		if _, err := r.Peek(1); err != nil {
			cancel()
		}
	})
	response, err := f(ctx)
	if !watch.Stop() {
		_ = s.SetReadDeadline(time.Now()) // ends the Peek
		<-done
	}
	return response, err
}

func answerFrame(response []byte, refused error) ([]byte, error) {
	if refused != nil {
		text := refused.Error()
		return frame([]byte{answerRefused}, []byte(text[:min(len(text), maxRefusal)])), nil
	}
	if len(response) > MaxMessage {
		return nil, fmt.Errorf("response of %d bytes: at most %d", len(response), MaxMessage)
	}
	return frame([]byte{answerOK}, response), nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// peerOf is the libp2p name of a node.
func peerOf(n jobs.NodeID) peer.ID { return peer.ID(n.Bytes()) }

// nodeOf is the node that libp2p calls p. Only Ed25519 identities are nodes.
func nodeOf(p peer.ID) (jobs.NodeID, error) { return jobs.NodeIDFromBytes([]byte(p)) }
