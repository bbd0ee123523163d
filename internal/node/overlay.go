package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

var errOffline = errors.New("the network is not up")

// overlay is the network as the doers see it. It can be down: then this node is the whole grid.
type overlay struct {
	self    jobs.NodeID
	changed strand.Signal

	mu    sync.Mutex
	host  *p2p.Host
	hello map[jobs.NodeID]greeted
}

type greeted struct {
	protocol.HelloAnswer
	at    time.Time
	ahead time.Duration // how far this machine's clock is ahead of the peer's
}

func newOverlay(self jobs.NodeID) *overlay {
	return &overlay{self: self, hello: map[jobs.NodeID]greeted{}}
}

func (o *overlay) use(h *p2p.Host) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.host = h
}

func (o *overlay) up() (*p2p.Host, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.host == nil {
		return nil, errOffline
	}
	return o.host, nil
}

// Self is this node.
func (o *overlay) Self() jobs.NodeID { return o.self }

// Nearest are the nodes nearest to a key; this one alone while the network is down.
func (o *overlay) Nearest(ctx context.Context, key [32]byte, r int) ([]jobs.NodeID, error) {
	h, err := o.up()
	if err != nil {
		return []jobs.NodeID{o.self}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, nearestTime)
	defer cancel()
	found, err := h.Nearest(ctx, key, r)
	if len(found) > 0 {
		return found, nil // cut short, it is still the best there is
	}
	return nil, err
}

const nearestTime = 8 * time.Second

// Call asks another node a question of the keeper protocol.
func (o *overlay) Call(ctx context.Context, to jobs.NodeID, request []byte) ([]byte, error) {
	h, err := o.up()
	if err != nil {
		return nil, err
	}
	return h.Call(ctx, to, protocol.ID, request)
}

// Donors is how many donors are in sight; in a grid of more nodes than this one is connected with, that
// share of all: a crowd that nobody has met yet is to be given work by lot, too.
func (o *overlay) Donors() int {
	n, _ := o.donors()
	h, err := o.up()
	if err != nil || n == 0 {
		return n
	}
	o.mu.Lock()
	met := max(len(o.hello), 1)
	o.mu.Unlock()
	return max(n, h.Size()*n/met)
}

// NetworkOf is the network a peer was seen in.
func (o *overlay) NetworkOf(n jobs.NodeID) string {
	h, err := o.up()
	if err != nil {
		return ""
	}
	return h.NetworkOf(n)
}

func (o *overlay) ask(ctx context.Context, to jobs.NodeID, v protocol.Verb, q, a any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	raw, err := o.Call(ctx, to, protocol.EncodeRequest(v, q))
	if err != nil {
		return err
	}
	return protocol.DecodeAnswer(raw, a)
}

const askTime = 5 * time.Second

// peers are the connected nodes, none while the network is down.
func (o *overlay) peers() []p2p.Peer {
	h, err := o.up()
	if err != nil {
		return nil
	}
	return h.Peers()
}

// Times of greeting.
const (
	greetEvery  = 20 * time.Second // of one peer
	greetPause  = time.Second      // of any, on average: who has many peers greets each the less often
	greetAtOnce = 8
)

// greet asks connected peers what they do, those not asked lately.
func (o *overlay) greet(ctx context.Context) {
	peers := o.peers()
	live := map[jobs.NodeID]bool{}
	var due []jobs.NodeID
	o.mu.Lock()
	for _, p := range peers {
		live[p.ID] = true
		if time.Since(o.hello[p.ID].at) > max(greetEvery, time.Duration(len(peers))*greetPause) {
			due = append(due, p.ID)
		}
	}
	for id := range o.hello {
		if !live[id] {
			delete(o.hello, id)
		}
	}
	o.mu.Unlock()
	sem := make(chan struct{}, greetAtOnce)
	var wg sync.WaitGroup
	for _, id := range due {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			var a protocol.HelloAnswer
			asked := time.Now()
			if err := o.ask(ctx, id, protocol.Hello, &protocol.HelloRequest{}, &a); err != nil {
				return
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			now := time.Now()
			// Half of the call is a guess, and a good one where calls take milliseconds.
			o.hello[id] = greeted{a, now, asked.Add(now.Sub(asked) / 2).Sub(time.UnixMilli(a.Now))}
		})
	}
	wg.Wait()
}

// called is what the connected peers call themselves.
func (o *overlay) called() map[jobs.NodeID]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[jobs.NodeID]string{}
	for id, h := range o.hello {
		out[id] = h.Name
	}
	return out
}

// donors are the connected peers that say they donate, and how many guests they run together.
func (o *overlay) donors() (n, slots int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.hello {
		if h.Donating {
			n++
			slots += int(h.Slots)
		}
	}
	return n, slots
}

// donating are the connected peers that say they donate.
func (o *overlay) donating() []jobs.NodeID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []jobs.NodeID
	for id, h := range o.hello {
		if h.Donating {
			out = append(out, id)
		}
	}
	return out
}

// skew is how far this machine's clock is ahead of its peers': the median, so that no few of
// them can tell it anything. It is for people to read, and decides nothing.
func (o *overlay) skew() (ahead time.Duration, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []time.Duration
	for _, h := range o.hello {
		all = append(all, h.ahead)
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

// does is what a peer said it does.
func (o *overlay) does(id jobs.NodeID) protocol.HelloAnswer {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hello[id].HelloAnswer
}

// all is what each connected peer said it does.
func (o *overlay) all() map[jobs.NodeID]protocol.HelloAnswer {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make(map[jobs.NodeID]protocol.HelloAnswer, len(o.hello))
	for id, h := range o.hello {
		out[id] = h.HelloAnswer
	}
	return out
}

// keepersInSight reports whether some other node could keep shards.
func (o *overlay) keepersInSight() bool {
	for _, p := range o.peers() {
		if p.Server {
			return true
		}
	}
	return false
}

var _ keeper.Peers = (*overlay)(nil)
