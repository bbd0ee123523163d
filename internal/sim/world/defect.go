package world

import (
	"context"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// Defect is a bug that is planted to see that it is found. Only tests plant one.
type Defect uint8

// The defects.
const (
	Sound         Defect = iota
	LoseProofs           // an answer is accepted without what proves it
	Miscount             // honest machines compute some inputs wrong, all in the same way
	LoseAnswers          // the disk forgets, in a crash, an answer that was accepted
	LoseParts            // it forgets a part of the submitter's own job
	SkipAnswers          // it says that it has an answer, and has not
	RunTwice             // a worker runs each unit twice
	GrantAll             // a keeper grants what it has granted already, and any number
	NoRenewal            // a worker does not renew what it holds
	Backwards            // a keeper tells of an older version than it did
	AckEarly             // a keeper's disk says "written" before it is
	DoubleSeal           // an honest worker seals two things
	ShowAll              // a keeper shows reveals to everyone
	OrderMatters         // a record is lost where it comes at a bad place
	NoSync               // keepers think that they have what others have
	WrongProgram         // a worker runs another program
	OddMachines          // half of the machines compute something else
	LoseReveals          // keepers' disks drop reveals
	Overpay              // credit is counted once too often
	PayLate              // late votes are paid
	Verbose              // answers are longer than a message may be
	Recount              // what comes again is counted as new
	NoGrants             // keepers grant nothing
	CannotRestart        // a disk cannot be read after a crash
)

// answer is what a keeper with the defect answers.
func (d Defect) answer(ctx context.Context, p *process, from jobs.NodeID, request, answer []byte) []byte {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil || len(answer) == 0 || answer[0] != 0 {
		return answer
	}
	switch {
	case d == GrantAll && verb == protocol.Claim:
		if all := grantAll(ctx, p, from, body); all != nil {
			return all
		}
	case d == NoGrants && verb == protocol.Claim:
		return protocol.EncodeAnswer(&protocol.ClaimAnswer{}, nil)
	case d == Backwards && verb == protocol.Summary:
		var a protocol.SummaryAnswer
		if protocol.DecodeAnswer(answer, &a) == nil && a.Summary != nil && p.w.draw(4) == 0 {
			a.Summary.Version /= 2
			return protocol.EncodeAnswer(&a, nil)
		}
	case d == ShowAll && verb == protocol.Read:
		var q protocol.ReadRequest
		if protocol.DecodeRequest(body, &q) == nil {
			if k := p.w.workOf(q.Shard.Job); k != nil {
				return p.keeper.Handle(ctx, k.at.ID(), request)
			}
		}
	case d == NoSync && verb == protocol.Sync:
		return protocol.EncodeAnswer(&protocol.SyncAnswer{}, nil)
	case d == Verbose:
		return append(answer, make([]byte, protocol.MaxMessage)...)
	case d == Recount && verb == protocol.Offer:
		var a protocol.OfferAnswer
		if protocol.DecodeAnswer(answer, &a) == nil {
			a.Fresh++
			return protocol.EncodeAnswer(&a, nil)
		}
	}
	return answer
}

// keepers is how a worker with the defect asks.
func (d Defect) keepers(p *process, c *client.Client) worker.Keepers {
	switch d {
	case NoRenewal:
		return careless{c}
	case DoubleSeal:
		return bent{c, p, doubling}
	}
	return c
}

// careless never renews.
type careless struct{ *client.Client }

// Renew implements worker.Keepers.
func (careless) Renew(context.Context, protocol.ShardRef, []jobs.Hold) ([]jobs.Hold, error) {
	return nil, nil
}

// output is what an honest machine with the defect computes.
func (d Defect) output(p *process, number uint64, truth []byte) []byte {
	if d == Miscount && number%3 == 0 || d == OddMachines && p.number%2 == 1 {
		return append(slices.Clone(truth), '?')
	}
	return truth
}

// drops reports whether a disk with the defect loses a pair that is put on it.
func (d Defect) drops(t table, key, value []byte) bool {
	switch {
	case d == LoseProofs:
		return t.name == 'c' && key[0] == 'e'
	case d == SkipAnswers:
		return t.name == 'c' && key[0] == 'a' && key[len(key)-1] == 0
	case d == LoseReveals && t.name == 'k' && key[0] == 'r':
		var b jobs.Batch
		if jobs.Decode(value, protocol.MaxMessage, &b) != nil {
			return false
		}
		return slices.ContainsFunc(open([]jobs.Batch{b}), func(r *jobs.Record) bool { return r.Kind == jobs.KindReveal })
	}
	return false
}

// crash is what a disk with the defect loses when its machine dies.
func (d Defect) crash(t table) {
	prefix := map[Defect]string{LoseAnswers: "ca", LoseParts: "jm"}[d]
	if prefix == "" || !t.d.n.role.submits {
		return
	}
	for _, key := range t.d.keys(prefix[0], []byte(prefix[1:])) {
		t.name = prefix[0]
		t.remove([]byte(key[1:]))
	}
}

// grantAll grants whatever is asked for.
func grantAll(ctx context.Context, p *process, from jobs.NodeID, body []byte) []byte {
	var q protocol.ClaimRequest
	if protocol.DecodeRequest(body, &q) != nil || len(q.Holds) == 0 {
		return nil
	}
	set, err := p.client.Keepers(ctx, q.Shard)
	if err != nil {
		return nil
	}
	slices.SortFunc(q.Holds, jobs.CompareHolds)
	rs, err := jobs.SignBatch(p.node, network, q.Shard.Job, q.Shard.Shard, &jobs.Grant{Worker: from, Set: set[:min(len(set), scheduler.Keepers)], Holds: q.Holds})
	if err != nil {
		return nil
	}
	return protocol.EncodeAnswer(&protocol.ClaimAnswer{Granted: q.Holds, Grant: jobs.Batches(rs)}, nil)
}
