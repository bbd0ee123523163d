package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	// announceQueue bounds the announcements that wait for their reader.
	announceQueue = 256
	// One author may announce authorBurst things at once and then one each authorPause: what
	// goes beyond is not passed on.
	authorBurst = 64
	authorPause = time.Second
	// maxAuthors bounds how many authors are counted.
	maxAuthors = 4096
	// gossipOverhead is what signature, author and topic add to a message.
	gossipOverhead = 1 << 10
)

// Announcement is something a node told everyone. It is signed by From, and only a hint: it
// may come late, twice or never.
type Announcement struct {
	From jobs.NodeID
	Data []byte
}

// gossip spreads announcements among all nodes of the network.
type gossip struct {
	log   *slog.Logger
	self  peer.ID
	topic *pubsub.Topic
	sub   *pubsub.Subscription
	heard chan Announcement
	rate  authorRate
}

func startGossip(ctx context.Context, h host.Host, cfg Config) (*gossip, error) {
	name := string(cfg.prefix()) + "/board/1"
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMaxMessageSize(MaxAnnouncement+gossipOverhead),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		pubsub.WithFloodPublish(true),
		pubsub.WithLogger(slog.New(demoted{cfg.Logger.Handler()})),
		pubsub.WithValidateQueueSize(announceQueue),
		pubsub.WithPeerOutboundQueueSize(64),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(
			pubsub.NewAllowlistSubscriptionFilter(name), 16)))
	if err != nil {
		return nil, err
	}
	g := &gossip{log: cfg.Logger, self: h.ID(), heard: make(chan Announcement, announceQueue)}
	g.rate.authors = make(map[peer.ID]bucket)
	if err := ps.RegisterTopicValidator(name, g.judge, pubsub.WithValidatorInline(true)); err != nil {
		return nil, err
	}
	if g.topic, err = ps.Join(name); err != nil {
		return nil, err
	}
	if g.sub, err = g.topic.Subscribe(pubsub.WithBufferSize(announceQueue)); err != nil {
		return nil, err
	}
	return g, nil
}

// judge decides what is passed on. Whoever sends what no honest node would is counted down by
// gossipsub; an author that only says too much is not heard for a moment.
func (g *gossip) judge(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if _, err := nodeOf(m.GetFrom()); err != nil || len(m.GetData()) == 0 || len(m.GetData()) > MaxAnnouncement {
		return pubsub.ValidationReject
	}
	if m.GetFrom() != g.self && !g.rate.admit(m.GetFrom(), time.Now()) {
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationAccept
}

// run moves what is heard to the reader's queue, dropping the oldest where it is full.
func (g *gossip) run(ctx context.Context) {
	for {
		m, err := g.sub.Next(ctx)
		if err != nil {
			return // ctx has ended, or the host has closed
		}
		from, err := nodeOf(m.GetFrom())
		if err != nil || m.GetFrom() == g.self {
			continue
		}
		g.offer(Announcement{From: from, Data: m.GetData()})
	}
}

func (g *gossip) offer(a Announcement) {
	for {
		select {
		case g.heard <- a:
			return
		default:
		}
		select {
		case <-g.heard:
			g.log.Debug("announcement dropped: nobody reads")
		default:
		}
	}
}

// Announce tells all nodes of the network something, of at most MaxAnnouncement bytes.
func (h *Host) Announce(ctx context.Context, data []byte) error {
	switch {
	case h.gossip == nil:
		return errors.New("announce: gossip is off")
	case len(data) == 0 || len(data) > MaxAnnouncement:
		return fmt.Errorf("announce: %d bytes: want 1 to %d", len(data), MaxAnnouncement)
	}
	if err := h.gossip.topic.Publish(ctx, data); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// Announcements are what other nodes announced, for one reader. The channel is never closed;
// where gossip is off nothing ever comes. A reader that falls behind loses the oldest.
func (h *Host) Announcements() <-chan Announcement {
	if h.gossip == nil {
		return nil
	}
	return h.gossip.heard
}

// authorRate is a token bucket for each author.
type authorRate struct {
	mu      sync.Mutex
	authors map[peer.ID]bucket
	swept   time.Time // when the full buckets were last forgotten
}

type bucket struct {
	tokens float64
	at     time.Time
}

// admit reports whether an author may be passed on once more. Where too many are counted a new
// one has to wait.
func (r *authorRate) admit(p peer.ID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.authors[p]
	if !known {
		if len(r.authors) >= maxAuthors && now.Sub(r.swept) >= authorPause {
			r.forgetFull(now)
		}
		if len(r.authors) >= maxAuthors {
			return false
		}
		b.tokens = authorBurst
	}
	b = b.refilled(now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	r.authors[p] = b
	return true
}

// refilled is the bucket as it is at a later time.
func (b bucket) refilled(now time.Time) bucket {
	if !b.at.IsZero() {
		b.tokens = min(authorBurst, b.tokens+now.Sub(b.at).Seconds()/authorPause.Seconds())
	}
	b.at = now
	return b
}

// forgetFull forgets the authors whose buckets are full again: they are as good as unknown.
func (r *authorRate) forgetFull(now time.Time) {
	r.swept = now
	for p, b := range r.authors {
		if b.refilled(now).tokens >= authorBurst {
			delete(r.authors, p)
		}
	}
}
