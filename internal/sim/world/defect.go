package world

import (
	"bytes"
	"context"
	"slices"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	contract "github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
	"github.com/shoalgrid/shoal/worker"
)

// Defect is a bug that is planted to see that it is found. Only tests plant one.
type Defect uint8

// The defects.
const (
	Sound Defect = iota

	// Of a submitter.
	Downgrade   // its job asks for less than its submitter wanted
	Upgrade     // its job asks for more votes than its submitter wanted
	SubmitAgain // once it is started again it makes another job
	Misdeliver  // it gives out another answer than it accepted
	Overpay     // credit is counted once too often
	PayLate     // late votes are paid

	// Of a disk.
	LoseProofs    // it keeps no proof of an answer that was accepted
	LoseAnswers   // it forgets, in a crash, an answer that was accepted
	SkipAnswers   // it says that it has an answer, and has not
	ChangeAnswers // it has another answer some time after it was accepted
	LoseParts     // it forgets, in a crash, a part of the submitter's own job
	SkipParts     // it says that it has such a part, and has not
	SkipJob       // it says that it has the job, and has not
	LoseReveals   // a keeper's drops reveals
	ChangeRecords // a keeper's changes records
	AckEarly      // a keeper's says "written" before it is
	Overtrust     // a submitter's knows a donor for more than it did
	Praise        // a submitter's knows all donors for what it knows of one
	Forgive       // a submitter's knows nobody as burned
	CannotRestart // it cannot be read after a crash

	// Of a worker and its machine.
	Miscount     // honest machines compute some inputs wrong, all in the same way
	OddMachines  // half of the machines compute something else
	RunTwice     // it runs each unit twice
	WrongProgram // it runs another program
	WrongInput   // it runs on another input
	AnyProfile   // it runs programs of every profile, whether its release knows it or not
	NoRenewal    // it does not renew what it holds
	Sleepless    // it does not notice that it slept
	DoubleSeal   // it seals two things, though it is honest
	DoubleReveal // it reveals two things, though it is honest
	RevealEarly  // it reveals having read one seal
	MisnameSeal  // it names a seal that there is not
	Mute         // it thinks that it revealed

	// Of a keeper.
	GrantAll     // it grants what it has granted already, and any number
	GrantGuilty  // it grants everything to those who were convicted in another shard
	NoGrants     // it grants nothing
	StarveUnit   // it never grants one unit
	DeafRenew    // it says that a lease is renewed, and lets it run out
	Backwards    // it tells of an older version than it did
	HideSeals    // it does not show the seals that it has
	ShowAll      // it shows reveals to everyone
	NoSync       // it thinks that it has what others have
	Recount      // it counts what comes again as new
	Verbose      // its answers are longer than a message may be
	Leak         // what it begins never ends
	OpenBoard    // it takes up any number of jobs
	KeepAnything // it says that it keeps whatever it is given

	// Of the rules.
	Lenient      // nothing convicts anybody
	OrderMatters // a record is lost where it comes at a bad place
	Unopened     // what a reveal stands for is lost where it comes at a bad place
	HandOnHalf   // who hands records on hands on half of them
)

// handle is how a keeper with the defect answers.
func (d Defect) handle(ctx context.Context, p *process, from jobs.NodeID, request []byte) []byte {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return p.keeper.Handle(ctx, from, request)
	}
	switch {
	case d == GrantGuilty && verb == protocol.Claim:
		var q protocol.ClaimRequest
		if protocol.DecodeRequest(body, &q) == nil && p.w.seen.convicts[p][from] && !p.w.seen.guilty[p.disk][culprit{from, q.Shard}] {
			if all := grantAll(ctx, p, from, body, nil); all != nil {
				return all
			}
		}
	case d == DeafRenew && verb == protocol.Renew:
		return protocol.EncodeAnswer(&protocol.RenewAnswer{}, nil)
	case d == KeepAnything && verb == protocol.Publish:
		return keepAnything(p, body)
	case d == NoGrants && verb == protocol.Claim:
		return protocol.EncodeAnswer(&protocol.ClaimAnswer{}, nil)
	case d == NoSync && verb == protocol.Sync:
		return protocol.EncodeAnswer(&protocol.SyncAnswer{}, nil)
	case d == StarveUnit && verb == protocol.Claim:
		var q protocol.ClaimRequest
		if protocol.DecodeRequest(body, &q) == nil {
			q.Holds = slices.DeleteFunc(q.Holds, func(h jobs.Hold) bool { return h.Unit == 1 })
			request = protocol.EncodeRequest(verb, &q)
		}
	case d == ShowAll && verb == protocol.Read:
		var q protocol.ReadRequest
		if protocol.DecodeRequest(body, &q) == nil {
			if k := p.w.workOf(q.Shard.Job); k != nil {
				from = k.at.ID()
			}
		}
	case d == Leak:
		for range 64 {
			p.m.Go(func() { _ = strand.Sleep(p.ctx, p.m, strand.Forever) })
		}
	}
	answer := p.keeper.Handle(ctx, from, request)
	p.m.Check()
	if len(answer) == 0 || answer[0] != 0 {
		return answer
	}
	return d.answer(ctx, p, from, verb, body, answer)
}

// answer is what a keeper with the defect makes of an answer.
func (d Defect) answer(ctx context.Context, p *process, from jobs.NodeID, verb protocol.Verb, body, answer []byte) []byte {
	switch {
	case d == GrantAll && verb == protocol.Claim:
		return grantAll(ctx, p, from, body, answer)
	case d == Backwards && verb == protocol.Summary:
		var a protocol.SummaryAnswer
		if protocol.DecodeAnswer(answer, &a) == nil && a.Summary != nil && p.w.draw(4) == 0 {
			a.Summary.Version /= 2
			return protocol.EncodeAnswer(&a, nil)
		}
	case d == HideSeals && verb == protocol.Read:
		var a protocol.ReadAnswer
		if protocol.DecodeAnswer(answer, &a) == nil {
			a.Batches = jobs.Batches(without(open(a.Batches), jobs.KindSeal))
			return protocol.EncodeAnswer(&a, nil)
		}
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

// keepAnything gives a receipt for whatever is published.
func keepAnything(p *process, body []byte) []byte {
	var q protocol.PublishRequest
	err := protocol.DecodeRequest(body, &q)
	var job *jobs.Job
	if err == nil {
		job, err = jobs.OpenHead(q.Head, network)
	}
	var rs []*jobs.Record
	if err == nil {
		rs, err = jobs.SignBatch(p.node, network, job.ID, q.Shard, &jobs.Receipt{})
	}
	return protocol.EncodeAnswer(&protocol.PublishAnswer{Receipt: jobs.Batches(rs)}, err)
}

// grantAll grants whatever is asked for; where it cannot it answers as it did.
func grantAll(ctx context.Context, p *process, from jobs.NodeID, body, answer []byte) []byte {
	var q protocol.ClaimRequest
	if protocol.DecodeRequest(body, &q) != nil || len(q.Holds) == 0 {
		return answer
	}
	set, err := p.client.Keepers(ctx, q.Shard)
	if err != nil {
		return answer
	}
	slices.SortFunc(q.Holds, jobs.CompareHolds)
	rs, err := jobs.SignBatch(p.node, network, q.Shard.Job, q.Shard.Shard, &jobs.Grant{Worker: from, Set: set[:min(len(set), scheduler.Keepers)], Holds: q.Holds})
	if err != nil {
		return answer
	}
	return protocol.EncodeAnswer(&protocol.ClaimAnswer{Granted: q.Holds, Grant: jobs.Batches(rs)}, nil)
}

// keepers is how a worker with the defect asks.
func (d Defect) keepers(p *process, c *client.Client) worker.Keepers {
	switch d {
	case NoRenewal:
		return careless{c}
	case DoubleSeal:
		return bent{c, p, doubling}
	case Mute:
		return bent{c, p, silent}
	case DoubleReveal, RevealEarly, MisnameSeal:
		return mistaken{c, p}
	}
	return c
}

// careless never renews.
type careless struct{ *client.Client }

// Renew implements worker.Keepers.
func (careless) Renew(context.Context, protocol.ShardRef, []jobs.Hold) ([]jobs.Hold, error) {
	return nil, nil
}

// mistaken reveals otherwise than the worker means to.
type mistaken struct {
	*client.Client
	p *process
}

// Offer implements worker.Keepers.
func (m mistaken) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	rest := without(rs, jobs.KindReveal)
	for _, r := range rs {
		b, ok := r.Body.(*jobs.Reveal)
		if !ok {
			continue
		}
		other := *b
		switch m.p.w.opt.Defect {
		case DoubleReveal:
			other.Tuples[0] ^= 1
			rest = append(rest, r)
		case RevealEarly:
			other.Seals = b.Seals[:min(len(b.Seals), 1)]
		case MisnameSeal:
			other.Seals = append(slices.Clone(b.Seals), jobs.Digest{})
		}
		if more, err := jobs.SignBatch(m.p.node, network, ref.Job, ref.Shard, &other); err == nil {
			rest = append(rest, more...)
		}
	}
	return m.Client.Offer(ctx, ref, rest)
}

// runtime is what a worker with the defect runs on.
func (d Defect) runtime(p *process) strand.Runtime {
	if d == Sleepless {
		return sleepless{p.m}
	}
	return p.m
}

// sleepless takes its calendar from its steady clock, which stands while it sleeps.
type sleepless struct{ strand.Runtime }

// Date implements strand.Runtime.
func (s sleepless) Date() int64 { return s.Now().Unix() }

// profiles are those that a worker with the defect says it knows.
func (d Defect) profiles(p *process) []jobs.Profile {
	if d == AnyProfile {
		return []jobs.Profile{0, 1}
	}
	return p.profiles()
}

// output is what an honest machine with the defect computes.
func (d Defect) output(p *process, number uint64, truth []byte) []byte {
	if d == Miscount && number%3 == 0 || d == OddMachines && p.number%2 == 1 {
		return append(slices.Clone(truth), '?')
	}
	return truth
}

// policy is what a submitter with the defect asks for.
func (d Defect) policy(p jobs.Policy, w *world) jobs.Policy {
	switch d {
	case Downgrade:
		p.Level, p.Votes = jobs.Trusted, 1
		p.Trust = w.donors()
	case Upgrade:
		p.Level, p.Votes, p.Trust = jobs.Standard, 2, nil
	case NoRenewal, Sleepless:
		p.Lease = 20 // seconds: it shows sooner
	}
	return p
}

// pairs is what a disk with the defect writes of a pair: nothing, or the pair, or two things one
// after the other.
func (d Defect) pairs(t table, p contract.Pair) []contract.Pair {
	prefix, as := string([]byte{t.name, p.Key[0]}), []contract.Pair{p}
	drop := map[Defect]string{LoseProofs: "ce", SkipParts: "jm", SkipJob: "jo"}[d]
	change := map[Defect]string{ChangeAnswers: "ca", ChangeRecords: "kr"}[d]
	switch {
	case prefix == drop, d == SkipAnswers && prefix == "ca" && p.Key[len(p.Key)-1] == 0:
		return nil
	case prefix == change && len(p.Value) > 0:
		other := bytes.Clone(p.Value)
		other[len(other)-1] ^= 1
		return append(as, contract.Pair{Key: p.Key, Value: other})
	case d == LoseReveals && prefix == "kr":
		var b jobs.Batch
		if jobs.Decode(p.Value, protocol.MaxMessage, &b) == nil && slices.ContainsFunc(open([]jobs.Batch{b}), func(r *jobs.Record) bool { return r.Kind == jobs.KindReveal }) {
			return nil
		}
	case d == Praise && prefix == "cd":
		for _, n := range t.p.w.nodes {
			id := n.ID()
			as = append(as, contract.Pair{Key: append([]byte{p.Key[0]}, id[:]...), Value: p.Value})
		}
	case d == Overtrust && prefix == "cd", d == Forgive && prefix == "cd":
		var known trust.Donor
		if jobs.Decode(p.Value, len(p.Value), &known) != nil {
			return as
		}
		if known.Burned = known.Burned && d != Forgive; d == Overtrust {
			known.Accepted += 1000
		}
		return append(as, contract.Pair{Key: p.Key, Value: jobs.Encode(known)})
	}
	return as
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
