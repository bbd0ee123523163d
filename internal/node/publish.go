package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

func refOf(job *jobs.Job, shard uint32) protocol.ShardRef {
	return protocol.ShardRef{Job: job.ID, Shard: shard}
}

// Pace of publishing.
const (
	firstPeers   = 3 * time.Second // that a submit waits for somebody to come into sight
	publishFor   = 2 * time.Minute // that a submit waits for its keepers
	publishAgain = 15 * time.Second
	replaceEvery = 10 * time.Minute // placed jobs are looked after this often
)

// attach answers a submission that is the same as one before.
func (n *Node) attach(ctx context.Context, content jobs.Digest, s *api.Submission) (*api.Submitted, error) {
	id, known, err := n.submitter.Find(content)
	if err != nil || !known {
		return nil, err
	}
	own, job, err := n.submitter.Own(id)
	if err != nil {
		return nil, err
	}
	if own.Closed == jobs.ActCancel || time.Now().Unix() >= job.Head.Expires && own.Ended == 0 {
		return nil, nil // that one is over: this is another job
	}
	if s.DryRun {
		out := n.describe(job, &submit.Held{}, true)
		out.Levels = n.awaitLevels(ctx, &job.Head, int(job.Head.Units))
		return out, nil
	}
	if s.Alone {
		n.setRunHere(job.ID)
	}
	n.board.add(job)
	if own.Ended == 0 && !own.Local && !s.Alone {
		return n.publishNow(ctx, job, s.Tag, true)
	}
	n.follow(job)
	n.mu.Lock()
	held := n.held[job.ID]
	n.mu.Unlock()
	return n.describe(job, &held, true), nil
}

func (n *Node) setRunHere(id jobs.JobID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runHere[id] = true
}

// begin starts a job that was just made: here at once, or on the grid.
func (n *Node) begin(ctx context.Context, job *jobs.Job, s *api.Submission) (*api.Submitted, error) {
	if s.Alone || s.Local {
		n.setRunHere(job.ID)
		if err := n.submitter.Begin(ctx, job); err != nil {
			return nil, err
		}
		n.board.add(job)
		n.follow(job)
		out := n.describe(job, &submit.Held{}, false)
		out.Message = ""
		if !s.Alone {
			out.Message = "kept on this machine: it is worked on while a node that donates runs in this home"
		}
		return out, nil
	}
	return n.publishNow(ctx, job, s.Tag, false)
}

// publishNow places a job while its submitter watches.
func (n *Node) publishNow(ctx context.Context, job *jobs.Job, tag string, attached bool) (*api.Submitted, error) {
	n.steps.at(tag, api.StepSeeking)
	n.bringUp()
	n.awaitKeepers(ctx, firstPeers)
	if !n.net.keepersInSight() {
		if err := n.submitter.Begin(ctx, job); err != nil {
			return nil, err
		}
		n.board.add(job)
		n.follow(job)
		n.pokePublisher()
		out := n.describe(job, &submit.Held{}, attached)
		out.Message = "no other node in sight: the job waits in this home and is published when a node runs here"
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	held, err := n.publish(ctx, job, n.placing(job, tag))
	if err != nil {
		n.log.Info("job not placed yet", "job", job.ID.Short(), "error", err)
	}
	n.follow(job)
	out := n.describe(job, held, attached)
	if own, _, oerr := n.submitter.Own(job.ID); oerr == nil && own.Closed == jobs.ActCancel {
		out.Message = "cancelled while it was being placed"
	} else if err != nil && out.Message == "" {
		out.Message = "not placed yet: " + err.Error() + "; this home goes on trying"
	}
	return out, nil
}

// awaitKeepers waits until some node that could keep is in sight, or for the given time.
func (n *Node) awaitKeepers(ctx context.Context, d time.Duration) {
	await(ctx, d, n.net.keepersInSight)
	if ctx.Err() == nil {
		n.net.greet(ctx)
	}
}

// placing tells how far the placing of a job is.
func (n *Node) placing(job *jobs.Job, tag string) func(submit.Placing) {
	n.steps.placing(tag, n.sent.Load(), func(x *api.Submitting) {
		x.Units, x.Bytes = int64(job.Head.Units), n.store.Blobs().Held(submit.Owner(job.ID))
	})
	return func(p submit.Placing) {
		n.steps.tell(tag, func(x *api.Submitting) {
			x.Parts, x.Placed, x.Receipts, x.Asked = int64(p.Shards), int64(p.Placed), int64(p.Receipts), int64(p.Asked)
		})
	}
}

// publish places a job's shards and puts it on the board.
func (n *Node) publish(ctx context.Context, job *jobs.Job, told func(submit.Placing)) (*submit.Held, error) {
	ctx, enough := n.whileWanted(ctx, job.ID)
	defer enough()
	held, receipts, err := n.submitter.Publish(ctx, job, told)
	n.mu.Lock()
	n.held[job.ID] = *held
	n.mu.Unlock()
	if err != nil {
		return held, err
	}
	n.board.post(ctx, protocol.Post{Head: job.Bytes(), Receipts: jobs.Batches(receipts)})
	err = n.submitter.Update(ctx, job.ID, func(o *submit.Own) {
		o.Posted, o.Local, o.Held, o.Wanted = true, false, uint8(held.Keepers), uint8(held.Wanted)
	})
	if host, uerr := n.net.up(); uerr == nil {
		if perr := host.PutHead(ctx, job.ID, job.Bytes()); perr != nil {
			n.log.Debug("head not put into the DHT", "error", perr)
		}
	}
	return held, err
}

// describe is what a submitter is told.
func (n *Node) describe(job *jobs.Job, held *submit.Held, attached bool) *api.Submitted {
	h := &job.Head
	donors, _ := n.net.donors()
	if n.donatingNow() {
		donors++
	}
	out := &api.Submitted{
		Job: job.ID.String(), Attached: attached, Inputs: int64(h.Inputs), Units: int64(h.Units), Votes: int(h.Policy.Votes),
		Held: held.Keepers, Wanted: held.Wanted, Safe: held.Safe(), DonorsSeen: donors,
	}
	if !attached {
		out.Levels = n.levels(h, int(h.Units))
	}
	if h.Policy.Level != jobs.Trusted && donors < int(h.Policy.Votes) {
		out.Message = tooFew(h.Policy.Level, donors, int(h.Policy.Votes))
	}
	return out
}

// tooFew says what a job waits for that fewer donors are in sight than it needs votes.
func tooFew(l jobs.Level, donors, votes int) string {
	text := fmt.Sprintf("%s seen, %d votes needed: waits for another, or donate here", words.Count(donors, "donor"), votes)
	if l == jobs.Standard { // who asks for more does not want one peer's word
		text += ", or --trust PEER"
	}
	return text
}

func (n *Node) dryRun(ctx context.Context, h *jobs.Head, in *submit.Inputs, perUnit int, ramp bool) (*api.Submitted, error) {
	units := jobs.UnitCount(in.Count(), perUnit, ramp)
	levels := n.awaitLevels(ctx, h, int(units)) // which waits for somebody to come into sight
	donors, _ := n.net.donors()
	return &api.Submitted{Inputs: int64(in.Count()), Units: int64(units), Votes: int(h.Policy.Votes), DonorsSeen: donors, Levels: levels}, nil
}

func (n *Node) pokePublisher() {
	select {
	case n.offers <- struct{}{}:
	default:
	}
}

// publishLoop goes on placing this home's jobs until all their keepers hold them, and looks
// after them from then on: what a submit could not do, or was killed before, is done here.
func (n *Node) publishLoop(ctx context.Context) error {
	due := map[jobs.JobID]time.Time{}
	timer := time.NewTimer(publishAgain)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.offers:
		case <-timer.C:
		}
		timer.Reset(publishAgain)
		if !n.net.keepersInSight() {
			n.keepAlone(ctx)
			continue
		}
		if err := cmp.Or(n.heedCancels(ctx), n.publishRound(ctx, due)); err != nil {
			return err
		}
	}
}

// publishRound does for each of this home's jobs what is due, and notes when it is to be looked
// after again.
func (n *Node) publishRound(ctx context.Context, due map[jobs.JobID]time.Time) error {
	var unplaced, untold, ended []*jobs.Job
	err := n.submitter.All(func(o *submit.Own, j *jobs.Job) error {
		now := time.Now()
		isDue := !now.Before(due[j.ID])
		switch {
		case o.Open(j, now.Unix()):
			if isDue && !o.Local {
				unplaced = append(unplaced, j)
			}
		case o.Told || now.Unix() >= j.Head.Expires:
		case o.Closed != 0 && isDue:
			untold = append(untold, j)
		case o.Closed == 0 && o.Posted:
			ended = append(ended, j)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, j := range ended {
		n.tellEnded(ctx, j)
	}
	for _, j := range untold {
		n.tellClosed(ctx, j, publishFor)
		due[j.ID] = time.Now().Add(replaceEvery)
	}
	for _, j := range unplaced {
		held, err := n.publish(ctx, j, nil)
		if ctx.Err() != nil {
			return nil
		}
		again := replaceEvery
		if err != nil || !held.Safe() {
			again = publishAgain
			n.log.Debug("job not held by all its keepers yet", "job", j.ID.Short(), "held", held.Keepers, "wanted", held.Wanted, "error", err)
		}
		due[j.ID] = time.Now().Add(again)
	}
	return nil
}

// keepAlone takes this home's jobs back where nobody is left in sight to keep them and this
// node, which others cannot reach, had handed them over: it goes on by itself.
func (n *Node) keepAlone(ctx context.Context) {
	host, err := n.net.up()
	if err != nil || host.Server() {
		return
	}
	err = n.submitter.All(func(o *submit.Own, j *jobs.Job) error {
		if !o.Open(j, time.Now().Unix()) || !n.runOwn(j) {
			return nil
		}
		return n.submitter.Begin(ctx, j)
	})
	if err != nil {
		n.log.Debug("a job could not be taken back", "error", err)
	}
}

// Offer lets the grid work on a job that was begun here.
func (n *Node) Offer(ctx context.Context, ref string) error {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return err
	}
	own, _, err := n.submitter.Own(job.ID)
	if err != nil {
		return &api.Error{Code: api.CodeNotFound, Message: "job " + job.ID.Short() + " is not one of this home's", Hint: "shoal status"}
	}
	if own.Never || !own.Local {
		return nil
	}
	if err := n.submitter.Update(ctx, job.ID, func(o *submit.Own) { o.Local = false }); err != nil {
		return err
	}
	n.bringUp()
	n.pokePublisher()
	return nil
}

// tellEnded brings the word that all answers of a job are here to the board, where it makes room for
// another one. Its keepers keep what they have of it until it expires.
func (n *Node) tellEnded(ctx context.Context, job *jobs.Job) {
	p, err := n.board.withEnd(job)
	if err == nil {
		n.board.post(ctx, p)
		err = n.submitter.Update(ctx, job.ID, func(o *submit.Own) { o.Told = true })
	}
	if err != nil {
		n.log.Debug("the end of a job is told later", "job", job.ID.Short(), "error", err)
	}
}
