package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

var (
	errUnreachable = errors.New("no answer")
	errReset       = errors.New("stream reset")
	errTooLarge    = errors.New("message too large")
)

// link is a process's way into the network.
type link struct{ p *process }

// Self implements keeper.Peers.
func (l *link) Self() jobs.NodeID { return l.p.ID() }

// Donors implements keeper.Peers: all of them, and the crowd that it has heard of. Of more nodes than
// it is connected with a real one knows about how many there are.
func (l *link) Donors() int { return l.p.w.fate.crowd + l.p.w.lending }

// NetworkOf implements keeper.Peers.
func (l *link) NetworkOf(id jobs.NodeID) string {
	if n := l.p.w.byID[id]; n != nil {
		return n.subnet
	}
	return ""
}

// Nearest implements keeper.Peers: the r live keepers that are nearest to a key, among those that
// this node reaches and that reach it.
func (l *link) Nearest(ctx context.Context, key [32]byte, r int) ([]jobs.NodeID, error) {
	w := l.p.w
	l.p.m.Check()
	w.looksUp()
	if err := strand.Sleep(ctx, l.p.m, 2*w.latency()+l.p.stall(key, r)); err != nil {
		return nil, err
	}
	near := w.nearest(key, r, func(n *node) bool {
		return n.p != nil && n.p.keeper != nil && !n.p.m.Asleep() && w.reaches(l.p.node, n) && w.reaches(n, l.p.node)
	})
	ids := make([]jobs.NodeID, len(near))
	for i, n := range near {
		ids[i] = n.ID()
	}
	return ids, nil
}

// nearest are the r keepers nearest to a key, by SHA-256(peer) XOR SHA-256(key), of those that fit.
func (w *world) nearest(key [32]byte, r int, fits func(*node) bool) []*node {
	out := make([]*node, 0, r)
	for _, n := range w.byDistance(key) {
		if len(out) == r {
			break
		}
		if fits(n) {
			out = append(out, n)
		}
	}
	return out
}

// byDistance are all nodes that keep, the nearest to a key first: sorted once for each key, of which
// there are as many as shards.
func (w *world) byDistance(key [32]byte) []*node {
	if all, ok := w.order[key]; ok {
		return all
	}
	at := sha256.Sum256(key[:])
	type far struct {
		d [32]byte
		n *node
	}
	var all []far
	for _, n := range w.nodes {
		if !n.role.keeps {
			continue
		}
		f := far{n: n}
		for i := range f.d {
			f.d[i] = at[i] ^ n.place[i]
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b far) int { return bytes.Compare(a.d[:], b.d[:]) })
	out := make([]*node, len(all))
	for i := range all {
		out[i] = all[i].n
	}
	w.order[key] = out
	return out
}

// latency draws how long a message is on its way: mostly milliseconds, sometimes seconds.
func (w *world) latency() time.Duration {
	d := w.between(time.Millisecond, 40*time.Millisecond)
	for i := 0; i < 7 && !w.healed && w.chance(w.fate.slowPPM); i++ {
		d *= 2 + time.Duration(w.draw(3))
	}
	return min(d, 5*time.Second)
}

// call is a question under way.
type call struct {
	w       *world
	from    *process
	to      *node
	request []byte
	done    bool
	answer  []byte
	err     error
	signal  strand.Signal
	cancel  []func() // of those who are answering
}

func (c *call) end(answer []byte, err error) {
	if !c.done {
		c.done, c.answer, c.err = true, answer, err
		c.signal.Raise()
	}
}

// past is a message that was delivered once.
type past struct {
	from, to *node
	request  []byte
}

const maxPast = 256

// Call implements keeper.Peers.
func (l *link) Call(ctx context.Context, to jobs.NodeID, request []byte) ([]byte, error) {
	w := l.p.w
	l.p.m.Check()
	w.sends(kindOf(request), len(request))
	if len(request) > protocol.MaxMessage {
		return nil, errTooLarge // the stream's reader gives up
	}
	c := &call{w: w, from: l.p, to: w.byID[to], request: request}
	if c.to == nil || c.to.ID() != to { // nobody has that name, or any more
		return nil, errUnreachable
	}
	w.seen.sent(l.p, request)
	w.step("call", []byte(l.p.name), []byte(c.to.name), digest(request))
	w.send(c)
	if w.chance(w.fate.twicePPM) && !w.healed {
		w.report.Faults++
		w.loop.At(w.latency(), func() { w.send(c) })
	}
	w.maybeCrash(l.p.node)
	mark := c.signal.Mark()
	var err error
	for !c.done && err == nil {
		err = l.p.m.Wait(ctx, strand.Forever, mark)
	}
	l.p.m.Check()
	for _, cancel := range c.cancel {
		w.loop.At(w.latency(), cancel)
	}
	if err != nil {
		l.p.doubts(c.to, err)
		return nil, err
	}
	return c.answer, c.err
}

func digest(b []byte) []byte {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	s := sha256.Sum256(b)
	return append(n[:], s[:8]...)
}

// dialTimeout is how long it takes to find out that nobody is there.
const dialTimeout = 1500 * time.Millisecond

// send brings a question to its node, or loses it.
func (w *world) send(c *call) {
	if c.from.waits(c.to) {
		return
	}
	if !w.reaches(c.from.node, c.to) || !w.reaches(c.to, c.from.node) {
		w.seen.lost(c.from.node, c.to)
		w.loop.At(dialTimeout, func() { c.end(nil, errUnreachable) })
		return
	}
	if !w.healed && w.chance(w.fate.lossPPM) {
		w.report.Faults++
		w.seen.lost(c.from.node, c.to)
		if w.draw(2) == 0 { // the connection breaks, and that is noticed
			w.loop.At(w.latency(), func() { c.end(nil, errReset) })
		}
		return
	}
	w.loop.At(w.way(c.from.node, c.to), func() { w.deliver(c) })
}

// way draws how long a message takes from one node to another: what is held back comes when that is
// over.
func (w *world) way(a, b *node) time.Duration {
	d := w.latency()
	if a.crawl || b.crawl {
		d = min(100*d, 5*time.Second)
	}
	d += max(a.clog-w.loop.Elapsed(), b.clog-w.loop.Elapsed(), 0)
	if d >= time.Second {
		w.seen.lost(a, b)
	}
	return d
}

func (w *world) deliver(c *call) {
	p := c.to.p
	if p == nil || p.keeper == nil || p.m.Dead() {
		w.seen.lost(c.from.node, c.to)
		w.loop.At(dialTimeout, func() { c.end(nil, errUnreachable) })
		return
	}
	if len(w.past) < maxPast {
		w.past = append(w.past, past{c.from.node, c.to, c.request})
	} else {
		w.past[w.draw(maxPast)] = past{c.from.node, c.to, c.request}
	}
	ctx, cancel := p.m.WithCancel(p.ctx)
	c.cancel = append(c.cancel, func() { cancel(nil) })
	p.m.Go(func() {
		answered := false
		defer func() {
			if !answered && !c.from.waits(c.to) { // the process died with the question open
				w.loop.At(w.latency(), func() { c.end(nil, errReset) })
			}
		}()
		answer := p.handle(ctx, c.from.ID(), c.request)
		p.m.Check()
		answered = true
		w.answer(c, answer)
		w.maybeCrash(p.node)
	})
}

// answer brings an answer back, or loses it.
func (w *world) answer(c *call, answer []byte) {
	w.answers(kindOf(c.request), len(answer))
	w.step("answer", []byte(c.to.name), []byte(c.from.name), digest(answer))
	if len(answer) > protocol.MaxMessage {
		if c.to.honest() {
			w.broke("I22", "%s answers with %d bytes", c.to.name, len(answer))
		}
		c.end(nil, errTooLarge)
		return
	}
	if !w.reaches(c.to, c.from.node) || !w.healed && w.chance(w.fate.lossPPM) {
		w.report.Faults++
		w.seen.lost(c.to, c.from.node)
		return
	}
	w.loop.At(w.way(c.to, c.from.node), func() { c.end(answer, nil) })
}

// replay delivers a message of the past once more, out of its time, to whoever got it then.
func (w *world) replay() {
	if len(w.past) == 0 {
		return
	}
	old := w.past[w.draw(len(w.past))]
	p := old.to.p
	if p == nil || p.keeper == nil || p.m.Asleep() {
		return
	}
	w.report.Faults++
	w.step("replay", []byte(old.from.name), []byte(old.to.name), digest(old.request))
	p.m.Go(func() {
		ctx, cancel := p.m.WithTimeout(p.ctx, time.Minute)
		defer cancel()
		p.handle(ctx, old.from.ID(), old.request)
	})
}
