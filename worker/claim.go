package worker

import (
	"context"
	"errors"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

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
		info.until, info.why, info.finished = w.rt.Now().Add(reopens(info)), "", true
		w.mu.Unlock()
	}
	return false
}

// reopens is how soon a job whose units are all decided is looked at again, in a crowd by each the
// less often. At strong its submitter opens some of them again as it goes.
func reopens(info *jobInfo) time.Duration {
	if info.job.Head.Policy.Level >= jobs.Strong {
		return idleAtMost
	}
	return min(time.Minute*time.Duration(max(info.donors/scheduler.Crowd, 1)), idleInCrowd)
}

// Finished reports whether a job had no unit left to do when it was last looked at here. One at
// strong never has: its submitter may open units again.
func (w *Worker) Finished(id jobs.JobID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.infos[id]
	return info != nil && info.finished && info.job.Head.Policy.Level < jobs.Strong
}

// claimShard claims units of a shard. Mostly there is nothing to claim: so the program, the data and the
// manifest are fetched only once there seems to be.
func (w *Worker) claimShard(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (int, error) {
	if len(w.recalled[ref]) == 0 {
		if holds, err := w.choose(ctx, info, ref); len(holds) == 0 {
			return 0, err
		}
	}
	if ready, err := w.prepare(ctx, info, ref); !ready {
		delete(info.summaries, ref.Shard) // it will be old by then
		return 0, err
	}
	if n := w.takeUp(ctx, info, ref); n > 0 {
		return n, nil
	}
	holds, err := w.choose(ctx, info, ref)
	delete(info.summaries, ref.Shard) // good for one claim; an answer brings the next
	if len(holds) == 0 {
		return 0, err
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

// choose picks what to ask for of a shard, as far as it has room; the summary that it was chosen by
// stays.
func (w *Worker) choose(ctx context.Context, info *jobInfo, ref protocol.ShardRef) ([]jobs.Hold, error) {
	sum, err := w.summary(ctx, info, ref)
	if sum == nil {
		return nil, err
	}
	n := min(w.room(info.own), scheduler.MaxHolds(&info.job.Head))
	asked := info.own && !w.cfg.RunOwn(info.job) // at strong it runs at least what it must
	holds := pick(sum, info.own, asked, func(u uint16) bool { return w.busyWith(ref, u) }, n, w.rt.Uint64())
	w.heard(sum, len(holds) > 0)
	if len(holds) > 0 {
		info.summaries[ref.Shard] = sum
	}
	return holds, nil
}

// summary gives the summary of a shard in which something is left to do; of another none, and
// notes that. Where it shows nothing to ask for it may be one keeper's word, until the next look; all
// else is a majority's: what only some hold for free they would grant, and others not.
func (w *Worker) summary(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (*scheduler.Summary, error) {
	units := info.job.Head.ShardUnits(ref.Shard)
	sum := info.summaries[ref.Shard]
	delete(info.summaries, ref.Shard)
	if sum == nil && !info.own {
		if one, err := w.cfg.Keepers.Glance(ctx, ref); err == nil && one.Len() == units && w.idle(info, ref, one) {
			sum = one
		}
	}
	if sum == nil {
		var err error
		if sum, err = w.cfg.Keepers.Summary(ctx, ref); err != nil {
			return nil, err
		}
	}
	if sum.Len() != units {
		return nil, errors.New("keepers summarise another shard than the job's")
	}
	if sum.Lottery != nil {
		info.donors = int(sum.Lottery.Donors)
	}
	if info.over[ref.Shard] = over(sum); !info.over[ref.Shard] {
		w.mu.Lock()
		info.finished = false
		w.mu.Unlock()
		return sum, nil
	}
	info.done[ref.Shard] = true
	delete(info.manifests, ref.Shard)
	return nil, nil
}

// idle reports whether one keeper's word of a shard leaves nothing to be asked of the others.
func (w *Worker) idle(info *jobInfo, ref protocol.ShardRef, s *scheduler.Summary) bool {
	if over(s) {
		return info.over[ref.Shard]
	}
	return len(pick(s, false, false, func(u uint16) bool { return w.busyWith(ref, u) }, 1, 0)) == 0
}

// over reports whether there is nothing left to do in a shard.
func over(s *scheduler.Summary) bool { return s.Closed != 0 || s.Decided() }

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
