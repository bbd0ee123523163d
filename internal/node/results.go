package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// collected finds a job whose answers are asked for, and with settle waits a while for what its
// keepers have decided already. Where no node runs, what this home holds is all there is.
func (n *Node) collected(ctx context.Context, ref string, settle bool) (c *collecting, alone bool, err error) {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	c = n.follow(job)
	if c.Complete() {
		return c, false, nil
	}
	if !n.awaitRunning(ctx) {
		return c, !n.reading(c).Final, nil
	}
	if settle {
		n.catchUp(ctx, c)
	}
	return c, false, nil
}

// notAllHere is that answers are asked of a home without a node that does not hold them all.
func notAllHere(job *jobs.Job) error {
	return &api.Error{
		Code: api.CodeNoNode, Message: "no node is running, and not every answer of job " + job.ID.Short() + " is collected in this home",
		Hint: "start one with: shoal donate, or: shoal up; then ask again",
	}
}

// Evidence writes the records that prove a job's accepted answers.
func (n *Node) Evidence(ctx context.Context, ref string, w io.Writer) error {
	c, alone, err := n.collected(ctx, ref, true)
	if err != nil {
		return err
	}
	if err := c.Evidence(ctx, w); err != nil && alone {
		return notAllHere(c.Job())
	} else if err != nil {
		return err
	}
	return nil
}

// borrowed is how long what somebody runs again is held here.
const borrowed = time.Hour

// Fetch holds a blob of a job here for a while.
func (n *Node) Fetch(ctx context.Context, job string, b api.Blob) error {
	id, err := jobs.ParseJobID(job)
	if err != nil {
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("job %s: %v", job, err)}
	}
	digest, err := jobs.ParseDigest(b.Digest)
	if err != nil {
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("blob %s: %v", b.Digest, err)}
	}
	if b.Size > jobs.MaxBlob {
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("a blob of %d bytes: at most %d", b.Size, jobs.MaxBlob)}
	}
	n.awaitNetwork(ctx, firstPeers)
	holders, err := n.client.Keepers(ctx, protocol.ShardRef{Job: id, Shard: b.Shard})
	if err == nil {
		err = n.blobs.Fetch(ctx, collect.OwnerPrefix+"again/"+id.String(), jobs.Blob{Digest: digest, Size: b.Size}, holders, time.Now().Add(borrowed))
	}
	if err != nil {
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("the grid does not give blob %s of job %s: %v", digest, id.Short(), err)}
	}
	return nil
}

// Results gives a job's answers in input order.
func (n *Node) Results(ctx context.Context, ref string, o api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	c, alone, err := n.collected(ctx, ref, !o.Follow)
	switch {
	case err != nil:
		return err
	case !alone:
		return n.give(ctx, c, o, f)
	case o.Follow:
		return notAllHere(c.Job())
	}
	return n.giveAlone(ctx, c, o, f)
}

// giveAlone gives what a home without a node holds of a job, and then says that this is not all.
func (n *Node) giveAlone(ctx context.Context, c *collecting, o api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	var refused error // by whoever takes the answers
	err := n.give(ctx, c, o, func(r api.Result, output io.Reader) error {
		refused = f(r, output)
		return refused
	})
	noInput := err != nil && api.AsError(err).Code == api.CodeNotFound
	if refused != nil || noInput || ctx.Err() != nil || err == nil && o.Input > 0 {
		return err
	}
	return notAllHere(c.Job())
}

// give gives a job's answers.
func (n *Node) give(ctx context.Context, c *collecting, o api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	job := c.Job()
	following, stop := context.WithCancel(ctx)
	defer stop()
	if o.Follow {
		n.group.Go(func() { n.stopWhenFinal(following, c, stop) })
	}
	next := uint64(0)
	each := func(a collect.Answer, out io.Reader) error {
		if a.Number < next {
			return nil
		}
		next = a.Number + 1
		if a.Open {
			return nil
		}
		return f(resultOf(job, a, o.Logs), out)
	}
	if o.Input > 0 {
		return n.oneResult(ctx, c, uint64(o.Input)-1, o.Provisional, each)
	}
	err := c.Each(following, collect.Which{Follow: o.Follow, Provisional: o.Provisional}, each)
	if o.Follow && ctx.Err() == nil && following.Err() != nil && errors.Is(err, context.Canceled) {
		return c.Each(ctx, collect.Which{Provisional: o.Provisional}, each) // it ended short: give what there is
	}
	return err
}

// oneResult gives the answer of one input, which there must be.
func (n *Node) oneResult(ctx context.Context, c *collecting, number uint64, provisional bool, f func(collect.Answer, io.Reader) error) error {
	open := false
	err := c.One(ctx, number, provisional, func(a collect.Answer, out io.Reader) error {
		open = a.Open
		return f(a, out)
	})
	ref := c.Job().ID.Short()
	switch {
	case errors.Is(err, collect.ErrNoInput):
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("job %s has no input %d", ref, number+1), Hint: "inputs are counted from 1: shoal status " + ref + " says how many there are"}
	case err == nil && open:
		return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("input %d of job %s has no answer yet", number+1, ref), Hint: "shoal explain " + ref + " says what it waits for"}
	}
	return err
}

// stopWhenFinal ends a following that would wait for answers that will not come.
func (n *Node) stopWhenFinal(ctx context.Context, c *collecting, stop context.CancelFunc) {
	for {
		changed := c.Changed()
		n.mu.Lock()
		c.used = time.Now()
		n.mu.Unlock()
		if n.reading(c).Final && !c.Complete() {
			stop()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			pause(ctx, gatherFor)
		case <-time.After(time.Second):
		}
	}
}

// catchUpFor is the longest that somebody who asks for answers waits for those of a large job.
const catchUpFor = 2 * time.Minute

// catchUp waits a while for what the keepers have decided already to be collected.
func (n *Node) catchUp(ctx context.Context, c *collecting) {
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	for ctx.Err() == nil {
		changed := c.Changed()
		if c.CaughtUp() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// resultOf is an answer in the words of the API; logs asks for the standard error of one that
// did not fail as well.
func resultOf(job *jobs.Job, a collect.Answer, logs bool) api.Result {
	r := api.Result{N: int64(a.Number) + 1, Name: a.Name, IsPath: a.IsPath, Outcome: a.Tuple.Outcome.String(), Exit: a.Tuple.Exit, Size: int64(a.Tuple.Size), Provisional: a.Provisional}
	if a.Tuple.Outcome == jobs.OK && !logs {
		return r
	}
	r.Stderr = string(bytes.ToValidUTF8(a.Stderr, []byte("?")))
	if a.ToldBy != job.Head.Submitter && !a.ToldBy.IsZero() {
		r.ToldBy = a.ToldBy.String()
	}
	switch a.Tuple.Outcome {
	case jobs.OK:
	case jobs.GaveUp:
		r.Outcome, r.Reason = api.OutcomeStuck, "given up: it takes more time or memory than donors have for it"
	case jobs.Exit:
		r.Reason = fmt.Sprintf("exit code %d", a.Tuple.Exit)
	case jobs.Trap:
		r.Stderr, r.Reason = lastLine(r.Stderr)
	case jobs.MemoryLimit:
		r.Reason = "more memory than the job allows (--memory)"
	case jobs.OutputLimit:
		r.Reason = "more output than the job allows (--max-output)"
	case jobs.FuelLimit:
		r.Reason = "more instructions than the job allows (--fuel)"
	case jobs.StackLimit:
		r.Reason = "recursion too deep"
	}
	return r
}

// lastLine takes the last line off: under what a program that crashed wrote to standard error,
// its donor says what crashed it.
func lastLine(text string) (before, line string) {
	text = strings.TrimRight(text, "\n")
	i := strings.LastIndexByte(text, '\n') + 1
	return text[:i], text[i:]
}
