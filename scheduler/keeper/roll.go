package keeper

import (
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
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
