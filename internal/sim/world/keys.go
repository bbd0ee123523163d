package world

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// What a key costs: nothing. Who has spoilt one, or wants to be where it is not, makes another.
const (
	maxKeys    = 6  // that one node goes through
	groundKeys = 64 // that are tried for one
)

// keyOf makes a node's key of a number.
func (w *world) keyOf(node, number int) ed25519.PrivateKey {
	var seed [16]byte
	binary.BigEndian.PutUint64(seed[:], w.opt.Seed)
	binary.BigEndian.PutUint64(seed[8:], uint64(node)+uint64(number)<<32)
	whole := sha256.Sum256(seed[:])
	return ed25519.NewKeyFromSeed(whole[:])
}

// use gives a node a key, which has a place of its own.
func (n *node) use(key ed25519.PrivateKey) {
	n.key = key
	n.place = sha256.Sum256(n.id())
	clear(n.w.order)
	n.w.byID[n.ID()], n.w.keys[n.ID()] = n, key
}

// rebirth makes a stranger of a liar: another key, an empty disk.
func (l *liar) rebirth(p *process, key ed25519.PrivateKey) {
	n, w := l.n, l.n.w
	w.commits(l.kind)
	was := n.ID()
	n.kill()
	n.wipe()
	n.use(key)
	l.lies = 0
	clear(l.held)
	w.tell("%s comes back as another: %s, it was %s", n.name, n.ID().Short(), was.Short())
	w.loop.At(w.between(time.Second, 20*time.Second), n.start)
	p.m.Check()
}

// whitewash leaves a name behind under which a few lies were told.
func (l *liar) whitewash(p *process) {
	if l.lies > l.n.w.draw(4) && l.keys < maxKeys {
		l.keys++
		l.rebirth(p, l.n.w.keyOf(l.n.number, l.keys))
	}
}

// grind comes back under the best of many keys: one that is early in a job's draw where there is one,
// else one that is near to it and will keep it.
func (l *liar) grind(p *process, ref protocol.ShardRef) {
	if l.ground[ref] || l.keys >= maxKeys {
		return
	}
	l.ground[ref] = true
	l.keys++
	sum, _ := p.client.Summary(p.ctx, ref)
	var best ed25519.PrivateKey
	var least [32]byte
	for i := range groundKeys {
		key := l.n.w.keyOf(l.n.number, l.keys<<8+i)
		id := jobs.NodeID(key.Public().(ed25519.PublicKey))
		worth := farFrom(ref, id)
		if sum != nil && sum.Lottery != nil && len(sum.Lottery.Seeds) > 0 {
			binary.BigEndian.PutUint64(worth[:], scheduler.Rank(sum.Lottery.Seeds[0], ref.Job, 0, 0, id))
		}
		if best == nil || bytes.Compare(worth[:], least[:]) < 0 {
			best, least = key, worth
		}
	}
	l.rebirth(p, best)
}

// farFrom is how far a name's place is from a shard's.
func farFrom(ref protocol.ShardRef, id jobs.NodeID) (d [32]byte) {
	key := scheduler.Key(ref.Job, ref.Shard, 0)
	a, b := sha256.Sum256(key[:]), sha256.Sum256(id.Bytes())
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}
