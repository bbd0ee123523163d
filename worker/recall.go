package worker

import (
	"context"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// A unit that is held long enough to be renewed is on disk, with the grants that its result will
// lean on: a node that was killed goes on with what its leases still cover.

const taskPrefix = 't'

// storedTask is such a unit.
type storedTask struct {
	_      struct{} `cbor:",toarray"`
	Ref    protocol.ShardRef
	Hold   jobs.Hold
	Until  int64 // Unix seconds: the end of its lease, as last renewed
	Grants []jobs.Digest
}

// remember puts units on disk that were just renewed.
func (w *Worker) remember(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) {
	var pairs []disk.Pair
	w.mu.Lock()
	for _, h := range holds {
		t := w.tasks[taskKey{ref, h.Unit}]
		if t == nil || t.info.own {
			continue
		}
		stored := storedTask{Ref: ref, Hold: h, Until: w.rt.Date() + int64(t.info.job.Head.Policy.Lease)}
		for _, g := range t.grants {
			stored.Grants = append(stored.Grants, g.ID)
			if !t.stored {
				pairs = append(pairs, grantPair(ref, g))
			}
		}
		t.stored = true
		pairs = append(pairs, disk.Pair{Key: unitKey(taskPrefix, t.key()), Value: jobs.Encode(stored)})
	}
	w.mu.Unlock()
	if len(pairs) == 0 {
		return
	}
	if err := w.cfg.Disk.Put(ctx, pairs...); err != nil {
		w.cfg.Logger.Info("units that are held are not on disk", "error", err)
	}
}

// unstore takes a unit off the disk that is not held any more.
func (w *Worker) unstore(ctx context.Context, t *task) {
	w.mu.Lock()
	stored := t.stored
	t.stored = false
	w.mu.Unlock()
	if !stored {
		return
	}
	if err := w.cfg.Disk.Delete(ctx, unitKey(taskPrefix, t.key())); err != nil {
		w.cfg.Logger.Debug("a unit that is not held remains on disk", "error", err)
	}
}

// recall reads what an earlier run of this node held, and forgets it on disk where its lease is
// over. A clock that was put back makes no lease longer.
func (w *Worker) recall(ctx context.Context) error {
	var over [][]byte
	now := w.rt.Date()
	err := w.cfg.Disk.Scan([]byte{taskPrefix}, func(key, value []byte) error {
		var s storedTask
		if jobs.Decode(value, protocol.MaxMessage, &s) != nil || s.Until <= now || s.Until > now+int64(jobs.MaxLease.Seconds()) {
			over = append(over, slices.Clone(key))
			return nil
		}
		w.recalled[s.Ref] = append(w.recalled[s.Ref], s)
		return nil
	})
	if err != nil || len(over) == 0 {
		return err
	}
	return w.cfg.Disk.Delete(ctx, over...)
}

// holdsOf reports whether an earlier run held units of a job, and of which shard.
func (w *Worker) holdsOf(job jobs.JobID) (shard uint32, ok bool) {
	for _, ref := range inOrder(w.recalled) {
		if ref.Job == job {
			return ref.Shard, true
		}
	}
	return 0, false
}

// takeUp renews what an earlier run held of a shard, and goes on with what that gives. Only the
// feeder calls it.
func (w *Worker) takeUp(ctx context.Context, info *jobInfo, ref protocol.ShardRef) int {
	stored := w.recalled[ref]
	if len(stored) == 0 {
		return 0
	}
	delete(w.recalled, ref)
	var holds []jobs.Hold
	for _, s := range stored {
		holds = append(holds, s.Hold)
	}
	slices.SortFunc(holds, jobs.CompareHolds)
	asked := w.moment()
	lost, err := w.cfg.Keepers.Renew(ctx, ref, holds)
	grants, gerr := w.grantsOn(ref)
	if err != nil || gerr != nil {
		w.cfg.Logger.Info("units of an earlier run are not taken up", "job", ref.Job.Short(), "error", err)
		return 0
	}
	n := 0
	for _, s := range stored {
		if slices.Contains(lost, s.Hold) || int(s.Hold.Unit) >= len(info.manifests[ref.Shard].Units) || w.busyWith(ref, s.Hold.Unit) {
			continue
		}
		a := &client.Assignment{Holds: []jobs.Hold{s.Hold}}
		for _, id := range s.Grants {
			if g := grants[id]; g != nil {
				a.Grants = append(a.Grants, g)
			}
		}
		if len(a.Grants) < len(s.Grants) {
			continue
		}
		w.take(info, ref, a, asked)
		n++
	}
	w.cfg.Logger.Info("going on with units of an earlier run", "job", ref.Job.Short(), "units", n, "lost", len(lost))
	return n
}
