package worker

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// How results are gathered and told.
const (
	gatherFor    = 10 * time.Millisecond // results that finish together are signed together
	gatherMost   = jobs.MaxBatch
	watchFor     = 20 * time.Second
	offerAgain   = 30 * time.Second // what is not seen done is offered again: keepers change
	retryAtFirst = 250 * time.Millisecond
	retryAtMost  = 15 * time.Second
)

// report gathers finished tasks, puts them on disk together, and hands them to their shard's
// settler.
func (w *Worker) report(ctx context.Context) {
	for {
		o, ok := w.finished.Take(ctx, w.rt, strand.Forever)
		if !ok {
			return
		}
		batch := []*outcome{o}
		gathered, cancel := w.rt.WithTimeout(ctx, gatherFor)
		for ok && len(batch) < gatherMost {
			if o, ok = w.finished.Take(gathered, w.rt, strand.Forever); ok {
				batch = append(batch, o)
			}
		}
		cancel()
		w.note(ctx, batch)
	}
}

// note makes results durable. Only then may anyone be told of them.
func (w *Worker) note(ctx context.Context, batch []*outcome) {
	var pairs []disk.Pair
	byRef := map[protocol.ShardRef][]*result{}
	grants := map[protocol.ShardRef]map[jobs.Digest]*jobs.Record{}
	if batch = w.consistent(batch); len(batch) == 0 {
		return
	}
	for _, o := range batch {
		t := o.task
		r := &result{
			Ref: t.ref, Hold: t.hold, Own: t.info.own, Tuples: o.tuples, GaveUp: o.gaveUp,
			Inline: o.inline, Payload: o.payload, CPU: uint64(o.cpu / time.Millisecond),
			Lease: t.info.job.Head.Policy.Lease, Votes: t.info.job.Head.Policy.Votes, Until: t.info.job.Head.Created + int64(jobs.MaxLife/time.Second),
			Nonce:     w.cfg.Nonce(t.ref.Job, t.ref.Shard, t.hold.Unit),
			Submitter: t.info.job.Head.Submitter, Inputs: uint32(len(t.inputs)),
		}
		if grants[t.ref] == nil {
			grants[t.ref] = map[jobs.Digest]*jobs.Record{}
		}
		for _, g := range t.grants {
			r.Grants = append(r.Grants, g.ID)
			if grants[t.ref][g.ID] == nil {
				grants[t.ref][g.ID] = g
				pairs = append(pairs, grantPair(t.ref, g))
			}
		}
		pairs = append(pairs, r.pair())
		byRef[t.ref] = append(byRef[t.ref], r)
	}
	if err := w.cfg.Disk.Put(context.WithoutCancel(ctx), pairs...); err != nil {
		w.cfg.Logger.Error("results could not be stored; units given back", "error", err)
		for _, o := range batch {
			w.drop(o.task, true)
		}
		return
	}
	for _, ref := range inOrder(byRef) {
		w.settler(ref).add(byRef[ref], grants[ref])
	}
	var aside []*jobInfo
	w.mu.Lock()
	for _, o := range batch {
		delete(w.tasks, o.task.key())
		if w.ran(o) {
			aside = append(aside, o.task.info)
		}
		w.stats.Units++
		w.charge(o.task, o.cpu)
		if o.gaveUp {
			w.stats.GaveUp++
		}
	}
	w.mu.Unlock()
	for _, info := range aside {
		w.shed(info)
	}
	if err := w.keepShares(context.WithoutCancel(ctx)); err != nil {
		w.cfg.Logger.Warn("what submitters have had could not be stored", "error", err)
	}
	for _, o := range batch {
		o.task.cancel(nil)
		w.unstore(ctx, o.task)
		if err := w.cfg.Disk.DeletePrefix(ctx, unitKey(inputPrefix, o.task.key())); err != nil {
			w.cfg.Logger.Debug("finished inputs remain on disk", o.task.key().ids(), "error", err)
		}
	}
	w.poke()
}

// consistent leaves of the outcomes those that contradict nothing this worker has said before: what
// a machine gives up depends on the day, and two answers to one unit would convict it.
func (w *Worker) consistent(batch []*outcome) []*outcome {
	return slices.DeleteFunc(batch, func(o *outcome) bool {
		said, found, err := w.cfg.Disk.Get(unitKey(saidPrefix, o.task.key()))
		if err == nil && (!found || bytes.Equal(said, o.tuples[:])) {
			return false
		}
		w.cfg.Logger.Info("another result than was told before is not told", o.task.key().ids(), "error", err)
		w.drop(o.task, true)
		return true
	})
}
