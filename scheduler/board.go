package scheduler

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Bounds of the board (DESIGN §3): in all, and of one submitter.
const (
	MaxBoard        = 4096
	MaxPerSubmitter = 16           // that are not ended
	MaxEnded        = 48           // of one submitter, the newest: nobody works on them, but people ask
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
	ended  map[jobs.JobID]bool  // of jobs: its submitter has all answers
	ends   map[jobs.JobID]int64 // where an extension moved the end
	closed map[jobs.JobID]int64 // closed by its submitter; forgotten at this time
	digest uint64               // of the set of ids; 0: to be computed

	crowded []jobs.JobID // ended ones that gave way to newer ones since the last Tick
}

// NewBoard makes an empty board.
func NewBoard() *Board {
	return &Board{jobs: map[jobs.JobID]*jobs.Job{}, ended: map[jobs.JobID]bool{}, ends: map[jobs.JobID]int64{}, closed: map[jobs.JobID]int64{}}
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
		for id, o := range b.jobs {
			if o.Head.Submitter == j.Head.Submitter && !b.ended[id] {
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

// AddEnded puts a job on the board of which its submitter has said that it is ended. Of those only
// the newest of each submitter stay, whatever order they come in.
func (b *Board) AddEnded(j *jobs.Job, now int64) (fresh bool, err error) {
	if _, known := b.jobs[j.ID]; !known {
		if _, closed := b.closed[j.ID]; closed || now >= b.end(j) {
			return false, ErrExpired
		}
		if len(b.jobs) >= MaxBoard {
			return false, ErrBoardFull
		}
	}
	fresh = !b.ended[j.ID]
	b.jobs[j.ID], b.ended[j.ID] = j, true
	b.digest = 0
	var of []*jobs.Job
	for id := range b.ended {
		if o := b.jobs[id]; o.Head.Submitter == j.Head.Submitter {
			of = append(of, o)
		}
	}
	if len(of) > MaxEnded {
		oldest := slices.MinFunc(of, func(x, y *jobs.Job) int {
			return cmp.Or(cmp.Compare(x.Head.Created, y.Head.Created), slices.Compare(x.ID[:], y.ID[:]))
		})
		b.remove(oldest.ID)
		b.crowded = append(b.crowded, oldest.ID)
		if oldest == j {
			return false, ErrTooMany
		}
	}
	return fresh, nil
}

// end is when a job ends, extensions included.
func (b *Board) end(j *jobs.Job) int64 { return max(j.Head.Expires, b.ends[j.ID]) }

// Control applies the submitter's word on a whole job, verified by the caller: that it goes on for
// longer, or is cancelled. That it is ended is for AddEnded.
func (b *Board) Control(j *jobs.Job, c *jobs.Control) {
	switch c.Act {
	case jobs.ActCollected:
		return
	case jobs.ActExtend:
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
		delete(b.ended, id)
		delete(b.ends, id)
		b.digest = 0
	}
}

// Tick drops what has expired and gives the ids of what was dropped since the last time.
func (b *Board) Tick(now int64) (dropped []jobs.JobID) {
	crowded := b.crowded
	b.crowded = nil
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
	return append(dropped, crowded...)
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

// Open are those of the jobs that are not ended: in which there may be work.
func (b *Board) Open() []*jobs.Job {
	return slices.DeleteFunc(b.Jobs(), func(j *jobs.Job) bool { return b.ended[j.ID] })
}

// Ended reports whether the submitter of a job on the board has said that it is ended.
func (b *Board) Ended(id jobs.JobID) bool { return b.ended[id] }

// Digest names the set of jobs, and which of them are ended: boards with equal digests hold the same.
// It is never 0.
func (b *Board) Digest() uint64 {
	if b.digest == 0 {
		h := sha256.New()
		for _, j := range b.Jobs() {
			h.Write(j.ID[:])
			if b.ended[j.ID] {
				h.Write([]byte{byte(jobs.ActCollected)})
			}
		}
		b.digest = max(binary.BigEndian.Uint64(h.Sum(nil)), 1)
	}
	return b.digest
}
