package node

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// boardDriver carries the board: it hears of jobs by gossip, copies the board from peers, keeps
// it on disk, and tells the worker. All it hears is checked; none of it is needed for safety.
type boardDriver struct {
	n    *Node
	disk disk.Disk

	// finished reports whether this node has seen that no unit of a job is left to do: such a job
	// makes room for others of its submitter. nil: it has seen none.
	finished func(jobs.JobID) bool

	mu      sync.Mutex
	board   *scheduler.Board
	posts   map[jobs.JobID]protocol.Post
	waiting map[jobs.JobID]waiting // for which there was no room
	changed strand.Signal
}

// waiting is a job's post that there was no room for on the board. It is tried again and again.
type waiting struct {
	submitter jobs.NodeID
	post      protocol.Post
}

// Pace of the board.
const (
	copyEvery    = 20 * time.Second
	copyPages    = 64
	findEvery    = 5 * time.Minute
	provideEvery = 2 * time.Hour
	putEvery     = time.Hour
	pageBytes    = 2 << 20
	repostAtOnce = 16 // jobs whose records are read for it
)

// Bounds of what waits for room, in all and of one submitter.
const (
	maxWaiting    = 256
	maxWaitingFor = 64
)

func newBoardDriver(n *Node, d disk.Disk) (*boardDriver, error) {
	b := &boardDriver{n: n, disk: d, board: scheduler.NewBoard(), posts: map[jobs.JobID]protocol.Post{}, waiting: map[jobs.JobID]waiting{}}
	err := d.Scan(nil, func(_, value []byte) error {
		var p protocol.Post
		if jobs.Decode(value, protocol.MaxMessage, &p) == nil {
			b.take(p, time.Now())
		}
		return nil
	})
	return b, err
}

// Jobs are the jobs in which there may be work, for the worker.
func (b *boardDriver) Jobs() []*jobs.Job {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.board.Open()
}

// all are the jobs on the board, the ended ones too.
func (b *boardDriver) all() []*jobs.Job {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.board.Jobs()
}

// Changed is raised when the list changed.
func (b *boardDriver) Changed() *strand.Signal { return &b.changed }

func (b *boardDriver) poke() { b.changed.Raise() }

func (b *boardDriver) get(id jobs.JobID) (*jobs.Job, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.board.Get(id)
}

// add puts this node's own job on its own board only.
func (b *boardDriver) add(j *jobs.Job) {
	b.mu.Lock()
	_, err := b.board.Add(j, true, time.Now().Unix())
	b.mu.Unlock()
	if err == nil {
		b.poke()
	}
}

// take checks a post and puts it on the board. It reports whether anything in it was new.
func (b *boardDriver) take(p protocol.Post, now time.Time) bool {
	job, err := jobs.OpenHead(p.Head, b.n.network)
	if err != nil {
		return false
	}
	own := job.Head.Submitter == b.n.self
	if !own && !b.receipted(job, p.Receipts) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.posts[job.ID]
	if known && len(p.Control) == 0 {
		return false
	}
	ended := false
	for i := range p.Control {
		rs, err := p.Control[i].Open(b.n.network)
		if err != nil || len(p.Control) > 4 {
			return false
		}
		for _, r := range rs {
			c, ok := r.Body.(*jobs.Control)
			if !ok || r.Author != job.Head.Submitter || r.Job != job.ID {
				return false
			}
			b.board.Control(job, c)
			ended = ended || c.Act == jobs.ActCollected
		}
	}
	if known && len(old.Control) >= len(p.Control) {
		return false
	}
	delete(b.waiting, job.ID)
	if ended {
		_, err = b.board.AddEnded(job, now.Unix())
	} else {
		err = b.put(job, own, now)
	}
	if err != nil { // over, or no room
		delete(b.posts, job.ID)
		if !ended && noRoom(err) {
			b.wait(job, p)
		}
		return known
	}
	b.posts[job.ID] = p
	return true
}

func noRoom(err error) bool {
	return errors.Is(err, scheduler.ErrTooMany) || errors.Is(err, scheduler.ErrBoardFull)
}

// put puts an open job on the board. Where its submitter has too many, those count no more that this
// node has seen to be finished: a submitter that is off says so of none. b.mu is held.
func (b *boardDriver) put(job *jobs.Job, own bool, now time.Time) error {
	_, err := b.board.Add(job, own, now.Unix())
	if !errors.Is(err, scheduler.ErrTooMany) || b.finished == nil {
		return err
	}
	for _, o := range b.board.Open() {
		if o.Head.Submitter == job.Head.Submitter && b.finished(o.ID) {
			_, _ = b.board.AddEnded(o, now.Unix()) // either way it is not open any more
		}
	}
	_, err = b.board.Add(job, own, now.Unix())
	return err
}

// wait keeps a post for later. b.mu is held.
func (b *boardDriver) wait(job *jobs.Job, p protocol.Post) {
	theirs := 0
	for _, w := range b.waiting {
		if w.submitter == job.Head.Submitter {
			theirs++
		}
	}
	if theirs < maxWaitingFor && len(b.waiting) < maxWaiting {
		b.waiting[job.ID] = waiting{job.Head.Submitter, p}
	}
}

// retry tries again what there was no room for.
func (b *boardDriver) retry(ctx context.Context) {
	b.mu.Lock()
	list := slices.Collect(maps.Values(b.waiting))
	b.mu.Unlock()
	for _, w := range list {
		b.hear(ctx, w.post)
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

// receipted reports whether a post has at least one sound receipt of its shard 0: somebody holds
// the job. Whether that is a majority of its keepers is seen by whoever claims from them.
func (b *boardDriver) receipted(job *jobs.Job, bs []jobs.Batch) bool {
	if len(bs) > jobs.MaxKeepers {
		return false
	}
	for i := range bs {
		rs, err := bs[i].Open(b.n.network)
		if err != nil {
			return false
		}
		for _, r := range rs {
			if r.Kind == jobs.KindReceipt && r.Job == job.ID && r.Shard == 0 {
				return true
			}
		}
	}
	return false
}

// hear takes a post, keeps it on disk, and lets the worker know.
func (b *boardDriver) hear(ctx context.Context, p protocol.Post) {
	if !b.take(p, time.Now()) {
		return
	}
	job, err := jobs.OpenHead(p.Head, b.n.network)
	if err == nil {
		if _, live := b.get(job.ID); live {
			err = b.disk.Put(ctx, disk.Pair{Key: job.ID[:], Value: jobs.Encode(p)})
		} else {
			err = b.disk.Delete(ctx, job.ID[:])
		}
	}
	if err != nil {
		b.n.log.Warn("a job on the board could not be stored", "error", err)
	}
	b.poke()
}

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
		if size += len(p.Head) + 512*(len(p.Receipts)+1); size > pageBytes {
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

// run hears, copies and forgets until ctx ends.
func (b *boardDriver) run(ctx context.Context, host *p2p.Host) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var copyAt, findAt, provideAt, putAt time.Time
	met := map[jobs.NodeID]bool{}
	var missed map[jobs.JobID]int
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
			b.forget(ctx, now)
			peers := host.Peers()
			for _, p := range peers { // a node that joins copies the board from a peer
				if !met[p.ID] && len(met) < scheduler.MaxBoard {
					met[p.ID] = true
					if len(met) <= 3 {
						b.copyFrom(ctx, p.ID)
						b.n.notices.copyFrom(ctx, p.ID)
					}
				}
			}
			if len(peers) == 0 {
				clear(met)
				continue
			}
			if now.After(copyAt) {
				copyAt = now.Add(copyEvery)
				b.retry(ctx)
				missed = b.repost(ctx, missed)
				peer := peers[rand.IntN(len(peers))].ID
				b.copyFrom(ctx, peer)
				b.n.notices.copyFrom(ctx, peer)
			}
			if now.After(findAt) {
				findAt = now.Add(findEvery)
				b.find(ctx, host)
			}
			if now.After(provideAt) {
				provideAt = now.Add(provideEvery)
				if err := host.ProvideBoard(ctx); err != nil {
					b.n.log.Debug("board not provided", "error", err)
					provideAt = now.Add(time.Minute)
				}
			}
			if now.After(putAt) {
				putAt = now.Add(putEvery)
				b.putHeads(ctx, host)
			}
		}
	}
}

// find asks the DHT who carries the board: the way in when gossip fails.
func (b *boardDriver) find(ctx context.Context, host *p2p.Host) {
	ctx, cancel := context.WithTimeout(ctx, nearestTime)
	defer cancel()
	nodes, err := host.FindBoard(ctx, 3)
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

// forget drops what has expired or closed.
func (b *boardDriver) forget(ctx context.Context, now time.Time) {
	b.mu.Lock()
	gone := b.board.Tick(now.Unix())
	for _, id := range gone {
		delete(b.posts, id)
	}
	b.mu.Unlock()
	for _, id := range gone {
		if err := b.disk.Delete(ctx, id[:]); err != nil {
			b.n.log.Debug("expired job remains on disk", "error", err)
		}
	}
}
