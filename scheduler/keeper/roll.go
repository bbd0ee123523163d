package keeper

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// countEvery is how often known donors are counted anew.
const countEvery = 5 * time.Second

// roll is what this keeper knows of workers, whichever shard they ask about.
type roll struct {
	mu      sync.Mutex
	workers *scheduler.Roll
	donors  int
	counted time.Time
	keptAt  time.Time // when it was last written; zero: it is to be at once
}

// rollPrefix begins, on disk, what is to be known of a worker after a restart.
const rollPrefix = 'w'

// keepEvery is how often what has changed of the roll is written.
const keepEvery = time.Minute

// recall takes up the roll as it was kept.
func (k *Keeper) recall() error {
	k.roll.workers = scheduler.NewRoll()
	now, date := k.rt.Now(), k.rt.Date()
	return k.cfg.Disk.Scan([]byte{rollPrefix}, func(key, value []byte) error {
		err := fmt.Errorf("under a key of %d bytes", len(key))
		if len(key) == 1+len(jobs.NodeID{}) {
			err = k.roll.workers.Restore(now, date, jobs.NodeID(key[1:]), value)
		}
		if err != nil {
			k.cfg.Logger.Warn("what was known of a worker is not readable, forgotten", "error", err)
		}
		return nil
	})
}

// keepRoll writes what has changed of the roll: now and then, and at once who was convicted.
func (k *Keeper) keepRoll(ctx context.Context, now time.Time) {
	k.roll.mu.Lock()
	if now.Sub(k.roll.keptAt) < keepEvery {
		k.roll.mu.Unlock()
		return
	}
	k.roll.keptAt = now
	changes := k.roll.workers.Changed(now, k.rt.Date())
	k.roll.mu.Unlock()
	var put []disk.Pair
	var gone [][]byte
	for _, c := range changes {
		key := append([]byte{rollPrefix}, c.Worker[:]...)
		if c.Record == nil {
			gone = append(gone, key)
		} else {
			put = append(put, disk.Pair{Key: key, Value: c.Record})
		}
	}
	var err error
	if len(put) > 0 {
		err = k.cfg.Disk.Put(ctx, put...)
	}
	if len(gone) > 0 && err == nil {
		err = k.cfg.Disk.Delete(ctx, gone...)
	}
	if err != nil {
		k.cfg.Logger.Debug("what is known of workers is not written", "error", err)
		k.roll.mu.Lock()
		k.roll.workers.Unkept(changes)
		k.roll.mu.Unlock()
	}
}

// meet notes that a node has spoken with this one.
func (k *Keeper) meet(n jobs.NodeID) {
	k.roll.mu.Lock()
	defer k.roll.mu.Unlock()
	k.roll.workers.Meet(k.rt.Now(), n)
}

// Meet notes that a node is there, though it has asked nothing of the keeper.
func (k *Keeper) Meet(n jobs.NodeID) { k.meet(n) }

// admit gives what is known of a worker that claims, or refuses it: who asks too often, or does
// not stand by what it seals, gets nothing.
func (k *Keeper) admit(now time.Time, from jobs.NodeID) (scheduler.Applicant, error) {
	if from == k.self {
		return scheduler.Applicant{Worker: from, Proven: true, Room: jobs.MaxGrantHolds}, nil
	}
	network := k.cfg.Peers.NetworkOf(from)
	k.roll.mu.Lock()
	defer k.roll.mu.Unlock()
	a, ok := k.roll.workers.Admit(now, from, network)
	if !ok {
		return a, protocol.Refuse(protocol.Busy, "no claims from there now: there were too many, or sealed results were not revealed")
	}
	return a, nil
}

// applicant is what is known of a worker that asks for no more than it had.
func (k *Keeper) applicant(now time.Time, from jobs.NodeID) scheduler.Applicant {
	network := k.cfg.Peers.NetworkOf(from)
	k.roll.mu.Lock()
	defer k.roll.mu.Unlock()
	return k.roll.workers.Applicant(now, from, network)
}

// held tells the roll what a worker holds in a shard now. The caller holds the shard's mu.
func (k *Keeper) held(now time.Time, s *shard, from jobs.NodeID) {
	n := s.ledger.Holding(now, from)
	k.roll.mu.Lock()
	defer k.roll.mu.Unlock()
	k.roll.workers.Holds(now, from, scheduler.Place{Job: s.ref.Job, Shard: s.ref.Shard}, n, now.Add(s.job.Head.LeaseTime()))
}

// learn takes in what a shard has learnt of workers. The caller holds the shard's mu.
func (k *Keeper) learn(now time.Time, s *shard) {
	if d := s.ledger.Dealings(); !d.Empty() {
		k.roll.mu.Lock()
		defer k.roll.mu.Unlock()
		k.roll.workers.Learn(now, d)
		if len(d.Convicted) > 0 {
			k.roll.keptAt = time.Time{}
		}
	}
}

// donors is how many donors this node knows of.
func (k *Keeper) donors(now time.Time) int {
	k.roll.mu.Lock()
	defer k.roll.mu.Unlock()
	if k.roll.counted.IsZero() || now.Sub(k.roll.counted) >= countEvery {
		k.roll.counted = now
		k.roll.donors = max(k.roll.workers.Donors(now), k.cfg.Peers.Donors())
	}
	return k.roll.donors
}
