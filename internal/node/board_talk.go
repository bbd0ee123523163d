package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// What is said of the board, and how often.
const (
	copyEvery     = 20 * time.Second
	copyAtMost    = 2 * time.Minute // where copies bring nothing new, since gossip does
	copiedAtFirst = 3               // boards, by a node that joins
	copyPages     = 64
	pageBytes     = 2 << 20
	receiptBytes  = 512 // about what a receipt takes in a page
	findEvery     = 5 * time.Minute
	foundAtOnce   = 3 // nodes, from the DHT
	provideEvery  = 2 * time.Hour
	provideAgain  = time.Minute // after it failed
	putEvery      = time.Hour
	repostAtOnce  = 16 // jobs whose records are read for it
)

// post tells the whole grid of a job of this node, or of a word on it.
func (b *boardDriver) post(ctx context.Context, p protocol.Post) {
	b.hear(ctx, p)
	raw := jobs.Encode(p)
	host, err := b.n.net.up()
	if err != nil {
		return
	}
	if len(raw) <= p2p.MaxAnnouncement {
		if err := host.Announce(ctx, raw); err != nil {
			b.n.log.Debug("job not announced", "error", err)
		}
	}
}

// withControl is the known post of a job with the submitter's word added.
func (b *boardDriver) withControl(job *jobs.Job, r *jobs.Record) protocol.Post {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.posts[job.ID]
	if !ok {
		p = protocol.Post{Head: job.Bytes()}
	}
	p.Control = append(slices.Clip(p.Control), jobs.Batches([]*jobs.Record{r})...)
	return p
}

// withEnd is the known post of a job of this node's with the word that all its answers are here.
func (b *boardDriver) withEnd(job *jobs.Job) (protocol.Post, error) {
	b.mu.Lock()
	p, told := b.posts[job.ID], b.board.Ended(job.ID)
	b.mu.Unlock()
	if told {
		return p, nil
	}
	rs, err := jobs.SignBatch(b.n.identity, b.n.network, job.ID, jobs.WholeJob, &jobs.Control{Number: 1, Act: jobs.ActCollected})
	if err != nil {
		return p, err
	}
	return b.withControl(job, rs[0]), nil
}

// answer is one page of the board, in the order of job ids.
func (b *boardDriver) answer(q *protocol.BoardRequest) *protocol.BoardAnswer {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &protocol.BoardAnswer{}
	if q.Digest == b.board.Digest() && q.Digest != 0 {
		return a
	}
	size := 0
	for _, j := range b.board.Jobs() {
		p, ok := b.posts[j.ID]
		if !ok || !after(j.ID, q.After) {
			continue
		}
		if size += len(p.Head) + receiptBytes*(len(p.Receipts)+1); size > pageBytes {
			a.More = true
			break
		}
		a.Posts = append(a.Posts, p)
	}
	return a
}

func after(a, b jobs.JobID) bool {
	return string(a[:]) > string(b[:])
}

// copyFrom copies a peer's board.
func (b *boardDriver) copyFrom(ctx context.Context, peer jobs.NodeID) {
	b.mu.Lock()
	q := &protocol.BoardRequest{Digest: b.board.Digest()}
	b.mu.Unlock()
	for range copyPages {
		var a protocol.BoardAnswer
		if err := b.n.net.ask(ctx, peer, protocol.Board, q, &a); err != nil {
			return
		}
		for _, p := range a.Posts {
			b.hear(ctx, p)
			if j, err := jobs.OpenHead(p.Head, b.n.network); err == nil {
				q.After = j.ID
			}
		}
		if !a.More || len(a.Posts) == 0 {
			return
		}
	}
}

// run hears of jobs, and makes its rounds each second, until ctx ends.
func (b *boardDriver) run(ctx context.Context, host *p2p.Host) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	r := boardRounds{b: b, host: host, met: map[jobs.NodeID]bool{}}
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-host.Announcements():
			var p protocol.Post
			if jobs.Decode(a.Data, p2p.MaxAnnouncement, &p) == nil {
				b.hear(ctx, p)
			} else {
				b.n.notices.hear(ctx, a.Data, time.Now())
			}
		case now := <-tick.C:
			r.do(ctx, now)
		}
	}
}

// boardRounds is what is done for the board now and then, and when each of it is due again.
type boardRounds struct {
	b      *boardDriver
	host   *p2p.Host
	met    map[jobs.NodeID]bool
	missed map[jobs.JobID]int // see repost

	tidyAt, copyAt, findAt, provideAt, putAt time.Time

	pause time.Duration // until the next copy
}

// do does what is due.
func (r *boardRounds) do(ctx context.Context, now time.Time) {
	b := r.b
	b.forget(ctx, now)
	peers := r.host.Peers()
	if len(peers) == 0 {
		clear(r.met)
		return
	}
	r.meet(ctx, peers)
	if due(&r.tidyAt, now, copyEvery) {
		b.retry(ctx)
		r.missed = b.repost(ctx, r.missed)
	}
	if r.pause = max(r.pause, copyEvery); due(&r.copyAt, now, r.pause) {
		r.copyAgain(ctx, peers[rand.IntN(len(peers))].ID)
	}
	if due(&r.findAt, now, findEvery) {
		b.find(ctx, r.host)
	}
	if due(&r.provideAt, now, provideEvery) {
		if err := r.host.ProvideBoard(ctx); err != nil {
			b.n.log.Debug("board not provided", "error", err)
			r.provideAt = now.Add(provideAgain)
		}
	}
	if due(&r.putAt, now, putEvery) {
		b.putHeads(ctx, r.host)
	}
}

// copyAgain copies a peer's board, the next time after a longer pause if there was nothing new.
func (r *boardRounds) copyAgain(ctx context.Context, peer jobs.NodeID) {
	digest := func() uint64 {
		r.b.mu.Lock()
		defer r.b.mu.Unlock()
		return r.b.board.Digest()
	}
	before := digest()
	r.copyFrom(ctx, peer)
	if r.pause = min(2*r.pause, copyAtMost); digest() != before {
		r.pause = copyEvery
	}
}

// meet copies the boards of the first peers that a node meets: it has just joined.
func (r *boardRounds) meet(ctx context.Context, peers []p2p.Peer) {
	for _, p := range peers {
		if r.met[p.ID] || len(r.met) >= scheduler.MaxBoard {
			continue
		}
		r.met[p.ID] = true
		if len(r.met) <= copiedAtFirst {
			r.copyFrom(ctx, p.ID)
		}
	}
}

func (r *boardRounds) copyFrom(ctx context.Context, peer jobs.NodeID) {
	r.b.copyFrom(ctx, peer)
	r.b.n.notices.copyFrom(ctx, peer)
}

// due reports whether something is to be done now, and sets when it is to be done again.
func due(at *time.Time, now time.Time, every time.Duration) bool {
	if !now.After(*at) {
		return false
	}
	*at = now.Add(every)
	return true
}

// find asks the DHT who carries the board: the way in when gossip fails.
func (b *boardDriver) find(ctx context.Context, host *p2p.Host) {
	ctx, cancel := context.WithTimeout(ctx, nearestTime)
	defer cancel()
	nodes, err := host.FindBoard(ctx, foundAtOnce)
	if err != nil {
		b.n.log.Debug("board not found in the DHT", "error", err)
	}
	for _, n := range nodes {
		if n != b.n.self {
			b.copyFrom(ctx, n)
		}
	}
}

// putHeads puts the heads of the jobs whose shard 0 is kept here into the DHT again.
func (b *boardDriver) putHeads(ctx context.Context, host *p2p.Host) {
	for _, ref := range b.n.keeper.Held() {
		if ref.Shard != 0 || b.n.keeper.Local(ref) {
			continue
		}
		if j, ok := b.get(ref.Job); ok {
			if err := host.PutHead(ctx, ref.Job, j.Bytes()); err != nil {
				b.n.log.Debug("head not put into the DHT", "error", err)
			}
		}
	}
}

// repost puts on the board what is kept here and not on it: gossip may have lost it, and its
// submitter be off. A job is put there once, at the second look: its submitter has had time to place
// all of it. It is given how often each was missed before, and gives how often now.
func (b *boardDriver) repost(ctx context.Context, before map[jobs.JobID]int) map[jobs.JobID]int {
	missed, posts := map[jobs.JobID]int{}, 0
	for _, ref := range b.n.keeper.Held() {
		_, there := b.get(ref.Job)
		if ref.Shard != 0 || there {
			continue
		}
		n := before[ref.Job] + 1
		if n == 2 {
			if posts++; posts > repostAtOnce {
				n = 1 // another time
			} else if p, err := b.n.keeper.Post(ctx, ref); err != nil {
				b.n.log.Debug("a job that is kept here could not be posted", "job", ref.Job.Short(), "error", err)
			} else if p != nil {
				b.hear(ctx, *p)
			}
		}
		missed[ref.Job] = n
	}
	return missed
}
