package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"
)

// sender carries kad-dht's messages. The stock one waits 10 s for an answer, tries twice, and
// serialises all requests to a peer; this one gives up after askTimeout.
type sender struct {
	exchange *exchanger
	live     *liveness
	metrics  peerstore.Metrics
	protocol protocol.ID
	longest  int // answer
}

var errSilent = errors.New("did not answer a moment ago")

var _ pb.MessageSenderWithDisconnect = (*sender)(nil)

// SendRequest sends a message and waits for its answer.
func (s *sender) SendRequest(ctx context.Context, to peer.ID, m *pb.Message) (*pb.Message, error) {
	frame, err := dhtFrame(m)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if s.live.silentSince(to, start.Add(-silenceKept)) {
		return nil, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := s.exchange.exchange(ctx, to, s.protocol, frame, s.longest)
	if err != nil {
		s.live.silent(to, err)
		return nil, err
	}
	s.live.heard(to)
	s.metrics.RecordLatency(to, time.Since(start))
	reply := new(pb.Message)
	if err := proto.Unmarshal(answer, reply); err != nil {
		return nil, fmt.Errorf("DHT answer: %w", err)
	}
	return reply, nil
}

// SendMessage sends a message that has no answer.
func (s *sender) SendMessage(ctx context.Context, to peer.ID, m *pb.Message) error {
	frame, err := dhtFrame(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s.exchange.send(ctx, to, s.protocol, frame)
}

// OnDisconnect is called when the last connection to a peer has closed.
func (s *sender) OnDisconnect(_ context.Context, p peer.ID) { s.exchange.forget(p) }

func dhtFrame(m *pb.Message) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("DHT message: %w", err)
	}
	return frame(b), nil
}
