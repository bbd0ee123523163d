package scheduler

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Bounds of the board (DESIGN §3): in all, and of one submitter.
const (
	MaxBoard        = 4096
	MaxPerSubmitter = 16
	maxClosed       = 4 * MaxBoard // remembered, so that they do not come back
)

// Errors that a job can be kept off the board with.
var (
	ErrExpired   = errors.New("the job has expired")
	ErrBoardFull = errors.New("the board is full")
	ErrTooMany   = errors.New("its submitter has as many jobs on the board as one may")
)

// Board is the set of live jobs that a node has heard of. It is not safe for concurrent use.
type Board struct {
	jobs   map[jobs.JobID]*jobs.Job
	ends   map[jobs.JobID]int64 // where an extension moved the end
	closed map[jobs.JobID]int64 // closed by its submitter; forgotten at this time
	digest uint64               // of the set of ids; 0: to be computed
}

// NewBoard makes an empty board.
func NewBoard() *Board {
	return &Board{jobs: map[jobs.JobID]*jobs.Job{}, ends: map[jobs.JobID]int64{}, closed: map[jobs.JobID]int64{}}
}

// Add puts a job on the board at the time now, in Unix seconds. It reports whether the job is
// new there. A node's own jobs are never too many.
func (b *Board) Add(j *jobs.Job, own bool, now int64) (fresh bool, err error) {
	if _, known := b.jobs[j.ID]; known {
		return false, nil
	}
	if _, closed := b.closed[j.ID]; closed || now >= b.end(j) {
		return false, ErrExpired
	}
	if !own {
		if len(b.jobs) >= MaxBoard {
			return false, ErrBoardFull
		}
		n := 0
		for _, o := range b.jobs {
			if o.Head.Submitter == j.Head.Submitter {
				n++
			}
		}
		if n >= MaxPerSubmitter {
			return false, ErrTooMany
		}
	}
	b.jobs[j.ID] = j
	b.digest = 0
	return true, nil
}

// end is when a job ends, extensions included.
func (b *Board) end(j *jobs.Job) int64 { return max(j.Head.Expires, b.ends[j.ID]) }

// Control applies the submitter's word on a whole job, verified by the caller.
func (b *Board) Control(j *jobs.Job, c *jobs.Control) {
	if c.Act == jobs.ActExtend {
		if len(b.ends) >= MaxBoard {
			return // whoever needs it can read it from the keepers
		}
		b.ends[j.ID] = max(b.ends[j.ID], min(c.Expires, j.Head.Created+int64(jobs.MaxLife.Seconds())))
		return
	}
	if len(b.closed) < maxClosed {
		b.closed[j.ID] = j.Head.Created + int64(jobs.MaxLife.Seconds()) // as long as it could come back
	}
	b.remove(j.ID)
}

func (b *Board) remove(id jobs.JobID) {
	if _, ok := b.jobs[id]; ok {
		delete(b.jobs, id)
		delete(b.ends, id)
		b.digest = 0
	}
}

// Tick drops what has expired and gives the ids that were dropped.
func (b *Board) Tick(now int64) (dropped []jobs.JobID) {
	for id, j := range b.jobs {
		if now >= b.end(j) {
			dropped = append(dropped, id)
		}
	}
	for _, id := range dropped {
		b.remove(id)
	}
	for id, at := range b.closed {
		if now >= at {
			delete(b.closed, id)
		}
	}
	return dropped
}

// Get gives a job on the board.
func (b *Board) Get(id jobs.JobID) (*jobs.Job, bool) {
	j, ok := b.jobs[id]
	return j, ok
}

// Jobs are the jobs on the board, in the order of their ids.
func (b *Board) Jobs() []*jobs.Job {
	out := make([]*jobs.Job, 0, len(b.jobs))
	for _, j := range b.jobs {
		out = append(out, j)
	}
	slices.SortFunc(out, func(x, y *jobs.Job) int { return slices.Compare(x.ID[:], y.ID[:]) })
	return out
}

// Digest names the set of jobs: boards with equal digests hold the same jobs.
// It is never 0.
func (b *Board) Digest() uint64 {
	if b.digest == 0 {
		h := sha256.New()
		for _, j := range b.Jobs() {
			h.Write(j.ID[:])
		}
		b.digest = max(binary.BigEndian.Uint64(h.Sum(nil)), 1)
	}
	return b.digest
}
