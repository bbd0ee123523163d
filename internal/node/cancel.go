package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
)

// Times of cancelling.
const (
	tellFor   = 3 * time.Second  // that a cancel waits for the keepers to hear of it
	hearFor   = 20 * time.Second // that they may take where nobody tells them again
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
	if job.Head.Submitter != n.self {
		return &api.Error{Code: api.CodeRefused, Message: "job " + job.ID.Short() + " was submitted by another node", Hint: "only its submitter can cancel it"}
	}
	own, _, err := n.submitter.Own(job.ID)
	if errors.Is(err, submit.ErrNotOwn) {
		return n.cancelFromHere(ctx, job)
	}
	if err != nil {
		return err
	}
	c := n.follow(job)
	if own.Closed != 0 || own.Ended != 0 || n.reading(c).Final {
		return nil // nothing is left to be cancelled
	}
	if err := n.close(ctx, c); err != nil {
		return err
	}
	n.tellClosed(ctx, job, tellFor)
	n.pokePublisher()
	return nil
}

// close notes that a job of this home is cancelled, and takes what there is of it.
func (n *Node) close(ctx context.Context, c *collecting) error {
	id := c.Job().ID
	if err := n.submitter.Update(ctx, id, func(o *submit.Own) { o.Closed = jobs.ActCancel }); err != nil {
		return err
	}
	n.unwant(id)
	n.group.Go(func() { n.windUp(c) })
	return nil
}

// cancelFromHere closes a job that another machine of this node's key has submitted. This home does
// not look after it, so the keepers must hear of it now.
func (n *Node) cancelFromHere(ctx context.Context, job *jobs.Job) error {
	c := n.follow(job)
	if n.reading(c).Final {
		return nil
	}
	r, err := n.submitter.SignControl(job, &jobs.Control{Number: 1, Act: jobs.ActCancel})
	if err != nil {
		return err
	}
	n.board.post(ctx, n.board.withControl(job, r))
	telling, cancel := context.WithTimeout(ctx, hearFor)
	defer cancel()
	if err := n.submitter.Tell(telling, job, r); err != nil {
		return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("not all keepers of job %s have heard that it is cancelled: %v", job.ID.Short(), err),
			Hint: "say it again, or on the machine that has submitted it"}
	}
	for !n.reading(c).Final && telling.Err() == nil {
		changed := c.Changed()
		select {
		case <-changed:
		case <-telling.Done():
		case <-time.After(time.Second):
		}
	}
	n.group.Go(func() { n.windUp(c) })
	return nil
}

// heedCancels closes those jobs of this home that another machine of its key has cancelled.
func (n *Node) heedCancels(ctx context.Context) error {
	var told []*jobs.Job
	err := n.submitter.All(func(o *submit.Own, j *jobs.Job) error {
		now := time.Now()
		if !o.Local && o.Open(j, now.Unix()) && n.follow(j).Progress(now).Closed == jobs.ActCancel {
			told = append(told, j)
		}
		return nil
	})
	for _, j := range told {
		if n.showsCancel(ctx, j) {
			n.log.Info("a job was cancelled on another machine of this key", "job", j.ID.Short())
			err = cmp.Or(err, n.close(ctx, n.follow(j)))
		}
	}
	return err
}

// showsCancel reports whether a keeper shows the submitter's signed word that a job is cancelled.
func (n *Node) showsCancel(ctx context.Context, job *jobs.Job) bool {
	ref := refOf(job, 0)
	set, err := n.client.Keepers(ctx, ref)
	if err != nil {
		return false
	}
	for _, at := range set {
		rs, err := n.client.Read(ctx, ref, at, nil, true)
		if err == nil && slices.ContainsFunc(rs, func(r *jobs.Record) bool { return cancels(r, job) }) {
			return true
		}
	}
	return false
}

// cancels reports whether a record, whose signature is good, is the submitter's word that a job is
// cancelled.
func cancels(r *jobs.Record, job *jobs.Job) bool {
	c, ok := r.Body.(*jobs.Control)
	return ok && c.Act == jobs.ActCancel && r.Author == job.Head.Submitter && r.Job == job.ID
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
