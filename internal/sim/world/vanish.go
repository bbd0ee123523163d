package world

import (
	"context"
	"errors"
	"time"

	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// How long it takes until somebody who vanished without a word is missed: power that failed, a cable
// that was pulled. The figures are internal/p2p's and yamux's, which closes a connection on which
// nothing has come for half a minute and a ping of ten seconds; QUIC takes half a minute.
const (
	silentFor = 30 * time.Second
	pingedFor = 10 * time.Second
	doubtFor  = 4 * time.Second // who did not answer in time is pinged for so long, and parted with
	tableKept = time.Minute     // others' routing tables name the dead for so long
)

// vanish takes three nodes of ten away for good, and looks how long it takes until every shard is
// kept by as many as it should be again.
func (w *world) vanish() {
	began := w.loop.Elapsed()
	for _, n := range w.nodes {
		if !n.role.submits && w.draw(10) < 3 {
			n.gone = true
			w.vanishes(n)
		}
	}
	w.tell("three nodes of ten are gone")
	var look func()
	look = func() {
		if w.restored() {
			w.report.Recovered = w.loop.Elapsed() - began
			w.tell("every shard has its keepers again, after %s", w.report.Recovered.Round(time.Second))
			return
		}
		w.loop.At(time.Second, look)
	}
	look()
}

// restored reports whether the nodes that should keep each shard do.
func (w *world) restored() bool {
	for _, k := range w.works {
		if k.job == nil {
			return false
		}
		for shard := range k.job.Head.Shards() {
			ref := protocol.ShardRef{Job: k.job.ID, Shard: shard}
			for _, n := range w.nearest(scheduler.Key(k.job.ID, shard, 0), scheduler.Keepers, func(n *node) bool { return n.p != nil }) {
				if len(w.seen.kept[n.disk][ref]) == 0 {
					return false
				}
			}
		}
	}
	return true
}

// vanishes ends a node. What is left of its machine closes its connections, at which everybody
// notices; unless the machine is gone, too.
func (w *world) vanishes(n *node) {
	if !w.opt.Silent {
		n.kill()
		return
	}
	n.mute, n.left = true, w.loop.Elapsed()
	n.end()
	for _, o := range w.nodes {
		if p := o.p; p != nil {
			w.loop.At(w.between(silentFor, silentFor+pingedFor), func() { p.misses(n) })
		}
	}
}

// misses closes the connection with one who vanished.
func (p *process) misses(n *node) {
	if !p.missed[n] {
		p.missed[n] = true
		p.notices()
	}
}

// waits reports whether a question to a node has no answer, nor an error: it vanished, and the
// connection still stands.
func (p *process) waits(n *node) bool { return n.mute && !p.missed[n] }

// doubts asks one for a sign of life who did not answer in time.
func (p *process) doubts(n *node, err error) {
	if errors.Is(err, context.DeadlineExceeded) && p.waits(n) {
		p.w.loop.At(doubtFor, func() { p.misses(n) })
	}
}

// stall is how much longer a lookup takes for those near a key who vanished without a word: one
// time-out when they are asked on the way, and one more where a connection stands and they are asked
// whether they are there.
func (p *process) stall(key [32]byte, r int) (d time.Duration) {
	for _, n := range p.w.byDistance(key) {
		switch {
		case r == 0:
			return d
		case p.waits(n):
			d = 2 * dialTimeout
			p.w.loop.At(dialTimeout+doubtFor, func() { p.misses(n) })
		case n.mute && p.w.loop.Elapsed()-n.left < tableKept:
			d = max(d, dialTimeout)
		case n.p != nil:
			r--
		}
	}
	return d
}
