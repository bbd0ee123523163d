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
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// How the feeder paces itself.
const (
	buffered      = 2 * time.Second   // of work that is held beyond what runs
	shardsPerLook = 8                 // of one job, before the next job is looked at
	maxManifests  = 2 * shardsPerLook // of one job, in memory
	fetchAgain    = 20 * time.Second  // after a program could not be had
	maxFetches    = 4
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

// claimFrom claims units of one job, going on from the shard it stopped at; it looks at a shard
// once at most. Of its own job it works off a few shards at a time, in order: each is finished soon,
// and costs its keepers no memory then. Others' jobs need partners, who come to the same units sooner
// when all go round.
func (w *Worker) claimFrom(ctx context.Context, info *jobInfo) bool {
	shards := info.job.Head.Shards()
	looked, full, back := 0, 0, info.next // full: shards in a row, from back, in which it holds all that it may
	for range shards {
		if looked == shardsPerLook || full == maxManifests || len(info.done) == int(shards) {
			break
		}
		ref := protocol.ShardRef{Job: info.job.ID, Shard: info.next}
		switch {
		case info.done[ref.Shard]:
		case info.own && w.holding(ref) >= scheduler.MaxHolds(&info.job.Head):
			if full++; full == 1 {
				back = ref.Shard
			}
		default:
			looked++
			n, err := w.claimShard(ctx, info, ref)
			if err != nil {
				w.cfg.Logger.Debug("claim failed", "job", info.job.ID.Short(), "shard", ref.Shard, "error", err)
			}
			if n > 0 && full > 0 {
				info.next = back
			}
			if n > 0 || ctx.Err() != nil || info.own && w.isPreparing(info) {
				return n > 0
			}
			full = 0
		}
		info.next = (info.next + 1) % shards
	}
	if full > 0 {
		info.next = back
	}
	if len(info.done) == int(shards) {
		clear(info.done) // a decided unit can open again: look once more, later
		w.mu.Lock()
		info.until, info.why, info.finished = w.rt.Now().Add(reopens(info.job)), "", true
		w.mu.Unlock()
	}
	return false
}

// reopens is how soon a job whose units are all decided is looked at again. At strong its
// submitter opens some of them again as it goes.
func reopens(job *jobs.Job) time.Duration {
	if job.Head.Policy.Level >= jobs.Strong {
		return idleAtMost
	}
	return time.Minute
}

// Finished reports whether a job had no unit left to do when it was last looked at here. One at
// strong never has: its submitter may open units again.
func (w *Worker) Finished(id jobs.JobID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.infos[id]
	return info != nil && info.finished && info.job.Head.Policy.Level < jobs.Strong
}

func (w *Worker) claimShard(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (int, error) {
	if info.over[ref.Shard] { // most likely it still is: then there is nothing to prepare
		sum, err := w.summary(ctx, info, ref)
		if sum == nil {
			return 0, err
		}
		info.summaries[ref.Shard] = sum
	}
	if ready, err := w.prepare(ctx, info, ref); !ready {
		return 0, err
	}
	if n := w.takeUp(ctx, info, ref); n > 0 {
		return n, nil
	}
	sum, err := w.summary(ctx, info, ref)
	if sum == nil {
		return 0, err
	}
	n := min(w.room(info.own), scheduler.MaxHolds(&info.job.Head))
	asked := info.own && !w.cfg.RunOwn(info.job) // at strong it runs at least what it must
	w.heard(sum)
	holds := pick(sum, info.own, asked, func(u uint16) bool { return w.busyWith(ref, u) }, n, w.rt.Uint64())
	if len(holds) == 0 {
		return 0, nil
	}
	began := w.moment()
	a, err := w.cfg.Keepers.Claim(ctx, ref, holds)
	if err != nil {
		return 0, err
	}
	if a.Summary != nil {
		info.summaries[ref.Shard] = a.Summary
	}
	w.take(info, ref, a, began)
	return len(a.Holds), nil
}

// summary gives the summary of a shard in which something is left to do; of another none, and
// notes that.
func (w *Worker) summary(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (*scheduler.Summary, error) {
	sum := info.summaries[ref.Shard]
	delete(info.summaries, ref.Shard) // good for one claim; an answer brings the next
	if sum == nil {
		var err error
		if sum, err = w.cfg.Keepers.Summary(ctx, ref); err != nil {
			return nil, err
		}
	}
	if sum.Len() != info.job.Head.ShardUnits(ref.Shard) {
		return nil, errors.New("keepers summarise another shard than the job's")
	}
	if info.over[ref.Shard] = sum.Closed != 0 || sum.Decided(); !info.over[ref.Shard] {
		w.mu.Lock()
		info.finished = false
		w.mu.Unlock()
		return sum, nil
	}
	info.done[ref.Shard] = true
	delete(info.manifests, ref.Shard)
	return nil, nil
}

// holding is how many replicas of a shard this worker holds: those that it has run, too, until it
// has seen what became of them.
func (w *Worker) holding(ref protocol.ShardRef) (n int) {
	w.mu.Lock()
	st := w.settles[ref]
	for k := range w.tasks {
		if k.ref == ref {
			n++
		}
	}
	w.mu.Unlock()
	if st != nil {
		n += st.waiting()
	}
	return n
}

// busyWith reports whether this worker holds, or waits to reveal, a replica of the unit.
func (w *Worker) busyWith(ref protocol.ShardRef, unit uint16) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.tasks[taskKey{ref, unit}]; ok {
		return true
	}
	st := w.settles[ref]
	return st != nil && st.has(unit)
}

// take turns an assignment that was asked for at a time into tasks, and has their inputs fetched.
func (w *Worker) take(info *jobInfo, ref protocol.ShardRef, a *client.Assignment, asked moment) {
	now := w.rt.Now()
	if why, aside := w.asideNow(info); aside && why != "" { // set aside since they were asked for
		w.start(func(ctx context.Context) { w.cfg.Keepers.Release(ctx, ref, a.Holds) })
		return
	}
	var batch []*task
	w.mu.Lock()
	for _, h := range a.Holds {
		t := &task{info: info, ref: ref, hold: h, manifest: info.manifests[ref.Shard], program: info.program, grants: a.Grants, renewed: now, held: asked}
		t.ctx, t.cancel = w.rt.WithCancel(w.ctx)
		w.tasks[t.key()] = t
		batch = append(batch, t)
	}
	w.mu.Unlock()
	if len(batch) > 0 {
		w.start(func(ctx context.Context) { w.fetchInputs(ctx, batch) })
	}
}

// drop forgets a task that will not be finished here.
func (w *Worker) drop(t *task, release bool) {
	t.cancel(errDropped)
	w.mu.Lock()
	ctx := w.ctx
	if w.tasks[t.key()] == t { // the unit may have been claimed again since
		delete(w.tasks, t.key())
	}
	w.mu.Unlock()
	if ctx.Err() == nil { // a node that ends may be back before the lease is over
		w.unstore(ctx, t)
	}
	if release {
		w.start(func(ctx context.Context) { w.cfg.Keepers.Release(ctx, t.ref, []jobs.Hold{t.hold}) })
	}
	w.poke()
}
