package worker

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/worker/shares"
)

// Choose says whose work is run from now on. What is held of others is given back at once; a guest
// of theirs that runs is ended.
func (w *Worker) Choose(c shares.Choice) {
	w.mu.Lock()
	w.shares.Choose(c)
	w.mu.Unlock()
	w.yield(func(t *task) bool { return c.Refuses(&t.info.job.Head) != "" })
	w.poke()
}

// inTurn puts jobs into the order in which their units are to be claimed: the node's own, then those
// of strangers by what each submitter has had. Jobs of one submitter come in any order.
func (w *Worker) inTurn(list []*jobs.Job) {
	rand.New(w.rt).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	w.mu.Lock()
	defer w.mu.Unlock()
	choice, now := w.shares.Choice(), w.rt.Now()
	place := map[jobs.NodeID]int{w.self: -1}
	var wanting []jobs.NodeID
	for _, j := range list {
		s := j.Head.Submitter
		if _, listed := place[s]; listed || choice.Refuses(&j.Head) != "" {
			continue
		}
		if info := w.infos[j.ID]; info != nil && now.Before(info.until) {
			continue // it wants nothing now
		}
		place[s] = 0
		wanting = append(wanting, s)
	}
	for i, s := range w.shares.Order(w.rt.Date(), wanting, w.heldCPU()) {
		place[s] = i
	}
	at := func(j *jobs.Job) int {
		if _, held := w.holdsOf(j.ID); held {
			return -1 // its leases run
		}
		if i, wants := place[j.Head.Submitter]; wants {
			return i
		}
		return len(list)
	}
	slices.SortStableFunc(list, func(a, b *jobs.Job) int { return at(a) - at(b) })
}

// heldCPU is what the units that are held of each stranger are going to take. w.mu is held.
func (w *Worker) heldCPU() map[jobs.NodeID]time.Duration {
	held := map[jobs.NodeID]time.Duration{}
	for _, t := range w.tasks {
		if !t.info.own {
			held[t.info.job.Head.Submitter] += t.info.unitCPU()
		}
	}
	return held
}

// mostUnit bounds what a submitter's own estimate of a unit counts for.
const mostUnit = 10 * time.Minute

// unitCPU is what a unit of the job takes here, as far as is known.
func (i *jobInfo) unitCPU() time.Duration {
	if i.cpu > 0 {
		return i.cpu
	}
	return min(max(time.Duration(i.job.Head.UnitTime)*time.Millisecond, time.Millisecond), mostUnit)
}

// Refuses says why the owner does not want a job run here, or "".
func (w *Worker) Refuses(j *jobs.Job) string {
	if j.Head.Submitter == w.self {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	choice := w.shares.Choice()
	return choice.Refuses(&j.Head)
}

// turned notes whose work was taken in a look, and who had none to give.
func (w *Worker) turned(took jobs.NodeID, empty []jobs.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range empty {
		if id != took {
			w.shares.Idle(id)
		}
	}
	if !took.IsZero() && took != w.self {
		w.shares.Took(took)
	}
}

// charge sets what a task took against its submitter's share, whatever came of it. w.mu is held.
func (w *Worker) charge(t *task, cpu time.Duration) {
	if t.info.own {
		return
	}
	t.info.cpu = cpu
	w.shares.Charge(w.rt.Date(), t.info.job.Head.Submitter, cpu)
}

// wasted charges a run that crashed by the time on its slot, which is the most that it can have
// used. What this node ended itself is nobody's fault.
func (w *Worker) wasted(t *task, d time.Duration) {
	if t.ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.charge(t, d)
}

// sharePrefix is where leads are kept.
const sharePrefix = 'f'

func shareKey(r shares.Row) []byte {
	level := byte(0)
	if r.Followed {
		level = 1
	}
	return append([]byte{sharePrefix, level}, r.Submitter[:]...)
}

// shareRow is a lead on disk.
type shareRow struct {
	_    struct{} `cbor:",toarray"`
	Lead uint64
	At   int64
}

// keepShares writes the leads that have changed.
func (w *Worker) keepShares(ctx context.Context) error {
	w.mu.Lock()
	rows := w.shares.Changes()
	w.mu.Unlock()
	var pairs []disk.Pair
	var gone [][]byte
	for _, r := range rows {
		if r.Gone {
			gone = append(gone, shareKey(r))
			continue
		}
		pairs = append(pairs, disk.Pair{Key: shareKey(r), Value: jobs.Encode(shareRow{Lead: r.Lead, At: r.At})})
	}
	if len(pairs) > 0 {
		if err := w.cfg.Disk.Put(ctx, pairs...); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		return w.cfg.Disk.Delete(ctx, gone...)
	}
	return nil
}

// recallShares takes up the leads of an earlier run. One that cannot be read counts as none.
func (w *Worker) recallShares() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	choice := w.shares.Choice()
	err := w.cfg.Disk.Scan([]byte{sharePrefix}, func(key, value []byte) error {
		var row shareRow
		if len(key) != 2+len(jobs.NodeID{}) || jobs.Decode(value, maxRow, &row) != nil {
			return nil
		}
		w.shares.Recall(shares.Row{Followed: key[1] == 1, Submitter: jobs.NodeID(key[2:]), Lead: row.Lead, At: row.At})
		return nil
	})
	w.shares.Choose(choice)
	return err
}
