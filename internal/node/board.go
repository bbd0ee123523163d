package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// boardDriver carries the board: it hears of jobs by gossip, copies the board from peers, keeps
// it on disk, and tells the worker. All it hears is checked; none of it is needed for safety. What is
// kept is here, what is said between peers in board_talk.go.
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

// Bounds of what waits for room, in all and of one submitter, and of what a post may carry.
const (
	maxWaiting    = 256
	maxWaitingFor = 64
	maxControls   = 4 // a submitter's words on its job: that it goes on, that it is over
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
	words, sound := b.controls(job, p.Control)
	if !sound {
		return false
	}
	for _, c := range words {
		b.board.Control(job, c)
	}
	if known && len(old.Control) >= len(p.Control) {
		return false
	}
	delete(b.waiting, job.ID)
	ended := slices.ContainsFunc(words, func(c *jobs.Control) bool { return c.Act == jobs.ActCollected })
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

// controls are the submitter's words on its job, unless one of them is not its own.
func (b *boardDriver) controls(job *jobs.Job, bs []jobs.Batch) (words []*jobs.Control, sound bool) {
	if len(bs) > maxControls {
		return nil, false
	}
	for i := range bs {
		rs, err := bs[i].Open(b.n.network)
		if err != nil {
			return nil, false
		}
		for _, r := range rs {
			c, ok := r.Body.(*jobs.Control)
			if !ok || r.Author != job.Head.Submitter || r.Job != job.ID {
				return nil, false
			}
			words = append(words, c)
		}
	}
	return words, true
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
