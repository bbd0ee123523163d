package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// How the feeder paces itself.
const (
	buffered      = 2 * time.Second   // of work that is held beyond what runs
	shardsPerLook = 8                 // of one job, before the next job is looked at
	maxManifests  = 2 * shardsPerLook // of one job, in memory
	fetchAgain    = 20 * time.Second  // after a program could not be had
)

// jobInfo is what this worker knows of a job.
type jobInfo struct {
	job       *jobs.Job
	own       bool
	program   Program
	ready     bool // program and data are here
	preparing bool // they are being fetched
	manifests map[uint32]*jobs.Manifest
	summaries map[uint32]*scheduler.Summary
	done      map[uint32]bool // shards in which all is decided, in this round
	over      map[uint32]bool // those in which it was when they were last looked at
	finished  bool            // no unit was left to do when it was last looked at
	donors    int             // in the crowd around it, as its keepers said last; 0: few
	next      uint32          // shard to look at first
	strikes   int
	asides    int           // how often it was set aside without a unit that ran
	until     time.Time     // set aside until then
	why       string        // why it is set aside
	cpu       time.Duration // of its last unit here
}

// feed claims units whenever too few are held, until ctx ends.
func (w *Worker) feed(ctx context.Context) {
	pause := idleAtFirst
	for ctx.Err() == nil {
		woken, news := w.wake.Mark(), w.cfg.Board.Changed().Mark()
		var wait time.Duration
		switch {
		case w.room(true) == 0 && w.room(false) == 0:
			wait = idleAtMost // a finished unit pokes
		case w.look(ctx):
			pause, wait = idleAtFirst, 0
		default:
			pause, wait = w.rest(pause)
		}
		_ = w.rt.Wait(ctx, wait+strand.Jitter(w.rt, wait/4+time.Millisecond), woken, news)
		if news.Raised() {
			pause = idleAtFirst
		}
	}
}

// room is how many more units should be held: of the node's own jobs, or of strangers'.
func (w *Worker) room(own bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	slots := w.slots
	if !own {
		slots = w.limit
	}
	want := 2 * slots
	if w.perUnit > 0 {
		want = slots + int(buffered/w.perUnit)*slots
	}
	held := 0
	for _, t := range w.tasks {
		if t.info.own == own {
			held++
		}
	}
	return max(min(want, jobs.MaxGrantHolds)-held, 0)
}

// look goes over the board once and reports whether anything was claimed.
func (w *Worker) look(ctx context.Context) bool {
	list := w.cfg.Board.Jobs()
	own := func(j *jobs.Job) bool { return j.Head.Submitter == w.self }
	w.tidy(list)
	w.inTurn(list)
	var empty []jobs.NodeID // who had nothing to be done
	why := "no job on the grid has work for this machine"
	for _, j := range list {
		if ctx.Err() != nil {
			return false
		}
		if w.room(own(j)) == 0 {
			continue
		}
		if own(j) && !w.cfg.RunOwn(j) && j.Head.Policy.Level < jobs.Strong || !own(j) && w.Mode() != Donating {
			continue
		}
		if reason := w.unfit(j); reason != "" {
			why = reason
			continue
		}
		info := w.info(j)
		if reason, aside := w.asideNow(info); aside {
			if reason == "" {
				continue // all its units are decided
			}
			why = fmt.Sprintf("job %s is set aside: %s", j.ID.Short(), reason)
			continue
		}
		if w.claimFrom(ctx, info) {
			w.turned(j.Head.Submitter, empty)
			w.say("")
			return true
		}
		empty = append(empty, j.Head.Submitter)
	}
	w.turned(jobs.NodeID{}, empty)
	w.say(why)
	return false
}

// unfit says why a job is not for this machine, or not for its owner.
func (w *Worker) unfit(j *jobs.Job) string {
	own, lent := j.Head.Submitter == w.self, w.lentMemory()
	if reason := w.Refuses(j); reason != "" {
		return fmt.Sprintf("job %s is not taken: %s", j.ID.Short(), reason)
	}
	if !slices.Contains(w.cfg.Profiles, j.Head.Profile) {
		return fmt.Sprintf("job %s needs profile %d, which this shoal does not have", j.ID.Short(), j.Head.Profile)
	}
	if !own && lent > 0 && need(j) > lent {
		return fmt.Sprintf("job %s needs %d MiB of memory, %d MiB are lent", j.ID.Short(), need(j)>>20, lent>>20)
	}
	return ""
}

func (w *Worker) lentMemory() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.memory
}

// queueFor is where a task waits for a slot.
func (w *Worker) queueFor(t *task) *strand.Queue[*task] {
	if t.info.own {
		return w.readyOwn
	}
	return w.ready
}

func (w *Worker) say(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idleWhy = why
}

func (w *Worker) asideNow(info *jobInfo) (why string, aside bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return info.why, w.rt.Now().Before(info.until)
}

// tidy forgets jobs that are not on the board any more and hold nothing here.
func (w *Worker) tidy(list []*jobs.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	live := map[jobs.JobID]bool{}
	for _, j := range list {
		live[j.ID] = true
	}
	for k := range w.tasks {
		live[k.ref.Job] = true
	}
	for ref := range w.settles {
		live[ref.Job] = true
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.infos), func(a, b jobs.JobID) int { return bytes.Compare(a[:], b[:]) }) {
		if !live[id] {
			delete(w.infos, id)
			w.group.Go(w.rt, func() { w.leave(w.ctx, id) })
		}
	}
}

// leave lets go of what was kept for a job.
func (w *Worker) leave(ctx context.Context, id jobs.JobID) {
	err := w.cfg.Blobs.Release(ctx, workOwner(id))
	for _, prefix := range []byte{grantPrefix, inputPrefix, saidPrefix, statePrefix, taskPrefix} {
		err = errors.Join(err, w.cfg.Disk.DeletePrefix(ctx, append([]byte{prefix}, id[:]...)))
	}
	if err != nil {
		w.cfg.Logger.Debug("something of an ended job remains", "job", id.Short(), "error", err)
	}
}

func (w *Worker) info(j *jobs.Job) *jobInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.infos[j.ID]
	if info == nil {
		info = &jobInfo{
			job: j, own: j.Head.Submitter == w.self, manifests: map[uint32]*jobs.Manifest{},
			summaries: map[uint32]*scheduler.Summary{}, done: map[uint32]bool{}, over: map[uint32]bool{},
		}
		if shard, held := w.holdsOf(j.ID); held {
			info.next = min(shard, j.Head.Shards()-1)
		} else if !info.own {
			info.next = rand.New(w.rt).Uint32N(j.Head.Shards())
		}
		w.infos[j.ID] = info
	}
	return info
}
