package p2p

import (
	"errors"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// guarded is the host that kad-dht and bitswap are given. Both take the length before a message
// at its word and reserve that much memory, up to 4 MiB a stream. So their streams are looked
// through for lengths that no message of theirs has in this grid.
//
// It also decides whether the protocol is served at all: kad-dht is told that it is a server for
// ever, because its own choice follows AutoNAT alone and so knows nothing of LANs.
type guarded struct {
	host.Host
	longest int             // message
	offend  func(p peer.ID) // is told who sent a longer one

	mu       sync.Mutex
	handlers map[protocol.ID]network.StreamHandler
	serving  bool
}

func guard(h host.Host, longest int, offend func(peer.ID)) *guarded {
	return &guarded{Host: h, longest: longest, offend: offend, handlers: make(map[protocol.ID]network.StreamHandler)}
}

// SetStreamHandler keeps the handler for when the node may serve.
func (g *guarded) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handlers[id] = func(s network.Stream) { handle(&guardedStream{Stream: s, guard: g}) }
	if g.serving {
		g.Host.SetStreamHandler(id, g.handlers[id])
	}
}

// RemoveStreamHandler implements host.Host.
func (g *guarded) RemoveStreamHandler(id protocol.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.handlers, id)
	g.Host.RemoveStreamHandler(id)
}

// serve begins or ends answering requests. Peers are told by identify.
func (g *guarded) serve(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.serving == on {
		return
	}
	g.serving = on
	for id, handle := range g.handlers {
		if on {
			g.Host.SetStreamHandler(id, handle)
			continue
		}
		g.Host.RemoveStreamHandler(id)
		resetInbound(g.Host, id)
	}
}

func resetInbound(h host.Host, id protocol.ID) {
	for _, c := range h.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == id && s.Stat().Direction == network.DirInbound {
				_ = s.Reset()
			}
		}
	}
}

var errGuard = errors.New("message too long")

// guardedStream passes on what it reads until a message is announced that is too long.
type guardedStream struct {
	network.Stream
	guard *guarded

	length uint64 // of the message, as far as its prefix has been read
	shift  uint   // how many bits of the prefix have been read
	body   uint64 // bytes of the message still to come
}

// Read implements io.Reader.
func (s *guardedStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if !s.pass(p[:n]) {
		_ = s.Reset()
		s.guard.offend(s.Conn().RemotePeer())
		return 0, errGuard
	}
	return n, err
}

// pass follows the messages, each its length as a varint and then the bytes, and reports whether
// all lengths are allowed.
func (s *guardedStream) pass(b []byte) bool {
	for len(b) > 0 {
		if s.body > 0 {
			n := min(s.body, uint64(len(b)))
			s.body -= n
			b = b[n:]
			continue
		}
		s.length |= uint64(b[0]&0x7f) << s.shift
		s.shift += 7
		if s.length > uint64(s.guard.longest) || s.shift > 35 {
			return false
		}
		if b[0] < 0x80 {
			s.body, s.length, s.shift = s.length, 0, 0
		}
		b = b[1:]
	}
	return true
}
