package node

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
)

// Times of cancelling.
const (
	tellFor   = 3 * time.Second  // that a cancel waits for the keepers to hear of it
	windUpFor = 10 * time.Second // in which answers that are there already are collected
)

// Cancel closes a job of this home: from now on none of it is placed, offered or begun. The keepers
// of a large job hear of it one after the other; whom it has not told yet when it returns, the
// publisher tells. A job that has ended stays as it is.
func (n *Node) Cancel(ctx context.Context, ref string) error {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return err
	}
	own, _, err := n.submitter.Own(job.ID)
	if err != nil {
		return &api.Error{Code: api.CodeRefused, Message: "job " + job.ID.Short() + " was submitted by another node", Hint: "only its submitter can cancel it"}
	}
	c := n.follow(job)
	if own.Closed != 0 || own.Ended != 0 || n.reading(c).Final {
		return nil // nothing is left to be cancelled
	}
	if err := n.submitter.Update(ctx, job.ID, func(o *submit.Own) { o.Closed = jobs.ActCancel }); err != nil {
		return err
	}
	n.unwant(job.ID)
	n.group.Go(func() { n.windUp(c) })
	n.tellClosed(ctx, job, tellFor)
	n.pokePublisher()
	return nil
}

// unwant ends what goes on to bring a job to the grid, and keeps it from beginning again.
func (n *Node) unwant(id jobs.JobID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.runHere, id)
	n.life(id).end()
}

// whileWanted is ctx, until the job is cancelled.
func (n *Node) whileWanted(ctx context.Context, id jobs.JobID) (context.Context, context.CancelFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.life(id).ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// life is how long a job of this home is wanted.
type life struct {
	ctx context.Context
	end context.CancelFunc
}

// life gives a job's. The caller holds mu.
func (n *Node) life(id jobs.JobID) life {
	l, ok := n.lives[id]
	if !ok {
		l.ctx, l.end = context.WithCancel(n.ctx)
		n.lives[id] = l
	}
	return l
}

// windUp takes what there is of a job that was cancelled, and lets its collector go.
func (n *Node) windUp(c *collecting) {
	ctx, cancel := context.WithTimeout(n.ctx, windUpFor)
	defer cancel()
	for !c.CaughtUp() && ctx.Err() == nil {
		select {
		case <-c.Changed():
		case <-ctx.Done():
		}
	}
	c.cancel()
}

// tellClosed brings the word that a job is cancelled to the board and to its keepers, for as long as
// is given. Whom it did not reach is told by the publisher, later.
func (n *Node) tellClosed(ctx context.Context, job *jobs.Job, atMost time.Duration) {
	r, err := n.submitter.SignControl(job, &jobs.Control{Number: 1, Act: jobs.ActCancel})
	if err != nil {
		n.log.Error("a cancelled job cannot be told of", "job", job.ID.Short(), "error", err)
		return
	}
	n.board.post(ctx, n.board.withControl(job, r))
	telling, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if err = n.submitter.Tell(telling, job, r); err == nil {
		err = n.submitter.Update(ctx, job.ID, func(o *submit.Own) { o.Told = true })
	}
	if err != nil {
		n.log.Info("some keepers have not heard of the cancelling yet", "job", job.ID.Short(), "error", err)
	}
}

// onControl hears of a submitter's word on a job that is kept here.
func (n *Node) onControl(r *jobs.Record) {
	job, ok := n.board.get(r.Job)
	if !ok || r.Author != job.Head.Submitter {
		return
	}
	p := n.board.withControl(job, r)
	n.group.Go(func() { n.board.hear(n.ctx, p) })
}
