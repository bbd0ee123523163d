// Package client is how everyone else speaks to the keepers of a shard: it finds them, asks
// them all at once, and counts majorities. What it learns is hints and signed records; the
// caller decides what to believe.
package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Peers is the network as a client needs it.
type Peers interface {
	Self() jobs.NodeID
	Nearest(ctx context.Context, key [32]byte, r int) ([]jobs.NodeID, error)
	Call(ctx context.Context, to jobs.NodeID, request []byte) ([]byte, error)
}

// Local is the keeper in this process.
type Local interface {
	Handle(ctx context.Context, from jobs.NodeID, request []byte) []byte
	// Local reports whether a shard is kept here alone, its job not offered to the grid.
	Local(protocol.ShardRef) bool
}

// Times of asking.
const (
	cacheFor   = 30 * time.Second       // a shard's keepers are looked up again after this
	hintFor    = 10 * time.Minute       // the same where only one is to be asked for a hint
	glanceTime = time.Second            // for that one: there are others
	askTimeout = 4 * time.Second        // of one question that needs no waiting
	stragglers = 250 * time.Millisecond // for the rest, once a majority has answered
	maxCached  = 1 << 14
)

// ErrNoMajority means that too few of a shard's keepers answered. Trying again may help.
var ErrNoMajority = errors.New("no majority of the shard's keepers answered")

// Client asks keepers. It is safe for concurrent use.
type Client struct {
	network string
	peers   Peers
	local   Local
	rt      strand.Runtime
	verify  jobs.Verifier

	mu   sync.Mutex
	sets map[protocol.ShardRef]cached
}

type cached struct {
	set   []jobs.NodeID
	at    time.Time
	stale bool // peers have changed since
}

// New makes a client.
func New(network string, peers Peers, local Local) *Client {
	return NewOn(strand.Real(), jobs.Verify, network, peers, local)
}

// NewOn makes a client that runs elsewhere than on goroutines, and may take signatures for good by
// another rule.
func NewOn(rt strand.Runtime, verify jobs.Verifier, network string, peers Peers, local Local) *Client {
	return &Client{network: network, peers: peers, local: local, rt: rt, verify: Remembering(verify), sets: map[protocol.ShardRef]cached{}}
}

// Keepers are the shard's keepers: the nodes nearest to its key that answered, as of at most
// half a minute ago.
func (c *Client) Keepers(ctx context.Context, ref protocol.ShardRef) ([]jobs.NodeID, error) {
	if c.local.Local(ref) {
		return []jobs.NodeID{c.peers.Self()}, nil
	}
	c.mu.Lock()
	e, ok := c.sets[ref]
	c.mu.Unlock()
	if ok && !e.stale && c.rt.Now().Sub(e.at) < cacheFor {
		return e.set, nil
	}
	set, err := c.peers.Nearest(ctx, scheduler.Key(ref.Job, ref.Shard, 0), scheduler.Keepers)
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		return nil, ErrNoMajority
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sets) >= maxCached {
		clear(c.sets)
	}
	c.sets[ref] = cached{set: set, at: c.rt.Now()}
	return set, nil
}

// one is a keeper of the shard to be asked for a hint: this node where it is one, mostly, or another by
// lot, so that nobody's word stands alone for long. It may be one of some time ago, which says so:
// thousands who look now and then would each make a lookup for it.
func (c *Client) one(ctx context.Context, ref protocol.ShardRef) (at jobs.NodeID, err error) {
	c.mu.Lock()
	e, ok := c.sets[ref]
	c.mu.Unlock()
	set := e.set
	if !ok || c.rt.Now().Sub(e.at) >= hintFor {
		if set, err = c.Keepers(ctx, ref); err != nil {
			return at, err
		}
	}
	lot := c.rt.Uint64()
	if slices.Contains(set, c.peers.Self()) && lot%4 > 0 {
		return c.peers.Self(), nil
	}
	return set[lot/4%uint64(len(set))], nil
}

// Forget makes the next question look the shard's keepers up again.
func (c *Client) Forget(ref protocol.ShardRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sets, ref)
}

// ForgetAll is for when the peers have changed.
func (c *Client) ForgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref, e := range c.sets {
		e.stale = true
		c.sets[ref] = e
	}
}

// Ask asks one node and decodes its answer.
func (c *Client) Ask(ctx context.Context, to jobs.NodeID, v protocol.Verb, q, a any) error {
	request := protocol.EncodeRequest(v, q)
	if to == c.peers.Self() {
		return protocol.DecodeAnswer(c.local.Handle(ctx, to, request), a)
	}
	raw, err := c.peers.Call(ctx, to, request)
	if err != nil {
		return err
	}
	return protocol.DecodeAnswer(raw, a)
}

type reply[A any] struct {
	from   jobs.NodeID
	answer *A
	err    error
}

// all asks every keeper of the shard at once and gives the answers that came: it waits for all
// of them, but not long for the last once a majority has answered.
func all[A any](ctx context.Context, c *Client, ref protocol.ShardRef, v protocol.Verb, q any, timeout time.Duration) (replies []reply[A], set []jobs.NodeID, err error) {
	if set, err = c.Keepers(ctx, ref); err != nil {
		return nil, nil, err
	}
	ctx, cancel := c.rt.WithTimeout(ctx, timeout)
	defer cancel()
	said := strand.NewQueue[reply[A]](len(set))
	for _, n := range set {
		c.rt.Go(func() {
			a := new(A)
			err := c.Ask(ctx, n, v, q, a)
			_ = said.Put(context.Background(), c.rt, reply[A]{n, a, err}) // there is room for all
		})
	}
	failed := false
	patience := context.Background() // every question ends by itself
	for range set {
		r, ok := said.Take(patience, c.rt, strand.Forever)
		if !ok {
			break
		}
		if r.err != nil {
			failed = true
			if err == nil {
				err = r.err
			}
			continue
		}
		if replies = append(replies, r); len(replies) == scheduler.Majority(len(set)) {
			late, enough := c.rt.WithTimeout(patience, stragglers)
			defer enough()
			patience = late
		}
	}
	if failed {
		c.Forget(ref) // somebody is gone: look again next time
	}
	if len(replies) > 0 {
		err = nil
	} else if err == nil {
		err = ErrNoMajority
	}
	return replies, set, err
}

// open verifies batches and gives their records; a batch that is not sound gives none.
func (c *Client) open(bs []jobs.Batch, ref protocol.ShardRef) []*jobs.Record {
	var out []*jobs.Record
	for i := range bs {
		if bs[i].Job != ref.Job || bs[i].Shard != ref.Shard && bs[i].Shard != jobs.WholeJob {
			continue
		}
		if rs, err := bs[i].OpenWith(c.network, c.verify); err == nil {
			out = append(out, rs...)
		}
	}
	return out
}
