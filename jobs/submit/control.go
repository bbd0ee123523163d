package submit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Control signs the submitter's word on a whole job and brings it to every shard's keepers.
func (s *Submitter) Control(ctx context.Context, job *jobs.Job, c *jobs.Control) (*jobs.Record, error) {
	r, err := s.SignControl(job, c)
	if err != nil {
		return nil, err
	}
	return r, s.Tell(ctx, job, r)
}

// SignControl signs the submitter's word on a whole job.
func (s *Submitter) SignControl(job *jobs.Job, c *jobs.Control) (*jobs.Record, error) {
	rs, err := jobs.SignBatch(s.cfg.Signer, s.cfg.Network, job.ID, jobs.WholeJob, c)
	if err != nil {
		return nil, err
	}
	return rs[0], nil
}

// Tell brings a record to a majority of the keepers of every shard, a few shards at a time. A shard
// that nobody keeps has nobody to be told. The error is the first of a shard that was not reached.
func (s *Submitter) Tell(ctx context.Context, job *jobs.Job, r *jobs.Record) error {
	shards := job.Head.Shards()
	next := strand.NewQueue[uint32](int(shards))
	for n := range shards {
		_ = next.Put(context.Background(), s.rt, n) // there is room for all
	}
	var mu sync.Mutex
	var failed error
	var telling strand.Group
	for range min(shardsAtOnce, shards) {
		telling.Go(s.rt, func() {
			for n, ok := next.TryTake(); ok && ctx.Err() == nil; n, ok = next.TryTake() {
				if err := s.tell(ctx, protocol.ShardRef{Job: job.ID, Shard: n}, r); err != nil {
					mu.Lock()
					failed = cmp.Or(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	telling.Wait(s.rt)
	return cmp.Or(failed, ctx.Err())
}

func (s *Submitter) tell(ctx context.Context, ref protocol.ShardRef, r *jobs.Record) error {
	o, err := s.cfg.Keepers.Offer(ctx, ref, []*jobs.Record{r})
	var refused *protocol.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == protocol.Unknown:
		return nil
	case err != nil:
		return fmt.Errorf("shard %d: %w", ref.Shard, err)
	case !o.Majority():
		return fmt.Errorf("shard %d: %d of %d keepers have heard it", ref.Shard, o.Keepers, o.Set)
	}
	return nil
}
