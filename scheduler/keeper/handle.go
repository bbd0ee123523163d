package keeper

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Handle answers one request of the keeper protocol from a peer, or from this node itself.
// Board requests are not a keeper's: the node answers them.
func (k *Keeper) Handle(ctx context.Context, from jobs.NodeID, request []byte) []byte {
	verb, body, err := protocol.SplitRequest(request)
	if err != nil {
		return protocol.EncodeAnswer(nil, err)
	}
	k.meet(from)
	answer, err := k.answer(ctx, from, verb, body)
	return protocol.EncodeAnswer(answer, err)
}

// ask decodes a request and gives it to its handler.
func ask[Q, A any](body []byte, f func(*Q) (A, error)) (any, error) {
	var q Q
	if err := protocol.DecodeRequest(body, &q); err != nil {
		return nil, err
	}
	return f(&q)
}

func (k *Keeper) answer(ctx context.Context, from jobs.NodeID, verb protocol.Verb, body []byte) (any, error) {
	switch verb {
	case protocol.Publish:
		return ask(body, func(q *protocol.PublishRequest) (*protocol.PublishAnswer, error) { return k.publish(ctx, from, q) })
	case protocol.Claim:
		return ask(body, func(q *protocol.ClaimRequest) (*protocol.ClaimAnswer, error) { return k.claim(ctx, from, q) })
	case protocol.Renew:
		return ask(body, func(q *protocol.RenewRequest) (*protocol.RenewAnswer, error) { return k.renew(from, q) })
	case protocol.Offer:
		return ask(body, func(q *protocol.OfferRequest) (*protocol.OfferAnswer, error) { return k.offer(ctx, from, q) })
	case protocol.Watch:
		return ask(body, func(q *protocol.WatchRequest) (*protocol.WatchAnswer, error) { return k.watch(ctx, from, q) })
	case protocol.Read:
		return ask(body, func(q *protocol.ReadRequest) (*protocol.ReadAnswer, error) { return k.read(from, q) })
	case protocol.Summary:
		return ask(body, func(q *protocol.SummaryRequest) (*protocol.SummaryAnswer, error) { return k.summary(ctx, from, q) })
	case protocol.Holders:
		return ask(body, func(q *protocol.ShardRef) (*protocol.HoldersAnswer, error) { return k.holders(from, *q) })
	case protocol.Manifest:
		return ask(body, func(q *protocol.ShardRef) (*protocol.ManifestAnswer, error) { return k.describe(q) })
	case protocol.Sync:
		return ask(body, func(q *protocol.SyncRequest) (*protocol.SyncAnswer, error) { return k.sync(from, q) })
	case protocol.Blob:
		return ask(body, func(q *protocol.BlobRequest) (*protocol.BlobAnswer, error) { return k.blob(q) })
	}
	return nil, protocol.Refuse(protocol.Bad, "%s is not asked of a keeper", verb)
}

func (k *Keeper) claim(ctx context.Context, from jobs.NodeID, q *protocol.ClaimRequest) (*protocol.ClaimAnswer, error) {
	if len(q.Holds) > jobs.MaxGrantHolds {
		return nil, protocol.Refuse(protocol.Bad, "claim of more than %d replicas", jobs.MaxGrantHolds)
	}
	s, err := k.find(q.Shard)
	if err != nil {
		return nil, err
	}
	set, err := k.setOf(ctx, s)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(set, k.self) {
		return nil, protocol.Refuse(protocol.Unknown, "this node is not among the shard's keepers")
	}
	own := from == s.job.Head.Submitter // whose node needs no grant
	now := k.rt.Now()
	a, err := k.admit(now, from)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if !own && !s.ledger.Quorate(set) {
		// Just started with no peer in sight, or cut off: what is granted now would not count, and
		// whoever sealed on it could not try again.
		s.mu.Unlock()
		return nil, protocol.Refuse(protocol.Busy, "too few of the shard's keepers are in sight")
	}
	s.ledger.SetDonors(k.donors(now))
	granted := s.ledger.Claim(now, a, q.Holds)
	answer := &protocol.ClaimAnswer{Granted: granted, Summary: k.summaryAfter(now, s, a, q.Known)}
	k.held(now, s, from)
	s.settle()
	s.mu.Unlock()
	if len(granted) == 0 || own {
		return answer, nil
	}
	grant := &jobs.Grant{Worker: from, Network: a.Network, Set: set, Holds: granted}
	rs, err := jobs.SignBatch(k.cfg.Signer, k.cfg.Network, s.ref.Job, s.ref.Shard, grant)
	if err != nil {
		return nil, err
	}
	answer.Grant = jobs.Batches(rs)
	return answer, nil
}

// summaryAfter is the current summary, unless the asker has it. The caller holds mu.
func (k *Keeper) summaryAfter(now time.Time, s *shard, a scheduler.Applicant, known uint64) *scheduler.Summary {
	var sum scheduler.Summary
	if s.resting != nil {
		sum = s.resting.summary
	} else {
		s.ledger.SetDonors(k.donors(now))
		sum = s.ledger.SummaryFor(now, a)
	}
	if sum.Version == known {
		return nil
	}
	return &sum
}

func (k *Keeper) renew(from jobs.NodeID, q *protocol.RenewRequest) (*protocol.RenewAnswer, error) {
	if len(q.Holds) > jobs.MaxGrantHolds {
		return nil, protocol.Refuse(protocol.Bad, "more than %d replicas", jobs.MaxGrantHolds)
	}
	s, err := k.find(q.Shard)
	if err != nil {
		return nil, err
	}
	now := k.rt.Now()
	a := k.applicant(now, from)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	defer k.held(now, s, from)
	if q.Release {
		s.ledger.Release(from, q.Holds)
		return &protocol.RenewAnswer{}, nil
	}
	return &protocol.RenewAnswer{Lost: s.ledger.Renew(now, a, q.Holds)}, nil
}

func (k *Keeper) offer(ctx context.Context, from jobs.NodeID, q *protocol.OfferRequest) (*protocol.OfferAnswer, error) {
	s, err := k.find(q.Shard)
	if err != nil {
		return nil, err
	}
	rs, err := k.open(s, q.Batches)
	if err != nil {
		return nil, err
	}
	fresh, refused, err := k.merge(ctx, s, rs)
	if errors.Is(err, errGone) {
		return nil, protocol.Refuse(protocol.Unknown, "that shard is not kept here")
	}
	if err != nil {
		k.cfg.Logger.Error("records could not be stored", "job", s.ref.Job.Short(), "shard", s.ref.Shard, "error", err)
		return nil, protocol.Refuse(protocol.Full, "the keeper could not store the records")
	}
	now := k.rt.Now()
	a := k.applicant(now, from)
	s.mu.Lock()
	defer s.mu.Unlock()
	return &protocol.OfferAnswer{Fresh: uint32(fresh), Refused: uint32(refused), Summary: k.summaryAfter(now, s, a, q.Known)}, nil
}

// open verifies batches that are about the shard's job. One bad batch refuses them all: who
// sends it is not to be trusted with the rest.
func (k *Keeper) open(s *shard, bs []jobs.Batch) ([]*jobs.Record, error) {
	var out []*jobs.Record
	for i := range bs {
		if bs[i].Job != s.ref.Job {
			return nil, protocol.Refuse(protocol.Bad, "records of another job")
		}
		rs, err := bs[i].OpenWith(k.cfg.Network, k.verify)
		if err != nil {
			return nil, protocol.Invalid(err)
		}
		out = append(out, rs...)
	}
	return out, nil
}

// waitFor calls ready under mu until it says yes, the wait or ctx ends.
func (k *Keeper) waitFor(ctx context.Context, s *shard, millis uint32, ready func() bool) {
	wait := min(time.Duration(millis)*time.Millisecond, maxWait)
	ctx, cancel := k.rt.WithTimeout(ctx, wait)
	defer cancel()
	for {
		mark := s.changed.Mark()
		s.mu.Lock()
		done := ready()
		s.mu.Unlock()
		if done || k.rt.Wait(ctx, strand.Forever, mark) != nil {
			return
		}
	}
}

func (k *Keeper) watch(ctx context.Context, from jobs.NodeID, q *protocol.WatchRequest) (*protocol.WatchAnswer, error) {
	if len(q.Holds) > jobs.MaxGrantHolds || len(q.Units) > jobs.MaxGrantHolds {
		return nil, protocol.Refuse(protocol.Bad, "more than %d replicas", jobs.MaxGrantHolds)
	}
	s, err := k.find(q.Shard)
	if err != nil {
		return nil, err
	}
	a := &protocol.WatchAnswer{}
	k.waitFor(ctx, s, q.Wait, func() bool {
		var seals []*jobs.Record
		for _, n := range q.Units {
			if int(n) < s.ledger.Units() && s.done(int(n)) {
				s.decided(a, n, from)
			}
		}
		for _, h := range q.Holds {
			if int(h.Unit) >= s.ledger.Units() {
				continue
			}
			if s.done(int(h.Unit)) {
				s.decided(a, h.Unit, from)
			}
			if rs, ok := s.ledger.RoundComplete(int(h.Unit), h.Replica); ok {
				a.Ready = append(a.Ready, h)
				seals = append(seals, rs...)
			}
		}
		a.Seals = jobs.Batches(seals)
		return len(a.Ready) > 0 || len(a.Decided) > 0
	})
	return a, nil
}

// decided tells a worker that a unit is decided, and what that means for its vote. The caller holds
// mu.
func (s *shard) decided(a *protocol.WatchAnswer, n uint16, worker jobs.NodeID) {
	a.Decided = append(a.Decided, n)
	switch agrees, voted := s.ledger.Verdict(int(n)).Agrees(worker); {
	case !voted:
	case agrees:
		a.Accepted = append(a.Accepted, n)
	default:
		a.Against = append(a.Against, n)
	}
}

// done reports whether a unit is decided and its output bytes are here. The caller holds mu.
func (s *shard) done(n int) bool {
	v := s.ledger.Verdict(n)
	return v.State.Decided() && (s.ledger.Held(n) || v.Done == v.Failed)
}

// maxReadBytes leaves room in a message for its frame.
const maxReadBytes = protocol.MaxMessage - 256<<10

func (k *Keeper) read(from jobs.NodeID, q *protocol.ReadRequest) (*protocol.ReadAnswer, error) {
	s, err := k.find(q.Shard)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.insider(from)
	var rs []*jobs.Record
	a, size := &protocol.ReadAnswer{}, 0
	if q.General {
		// Grants are many and come with the seals that lean on them.
		rs = slices.DeleteFunc(s.ledger.General(), func(r *jobs.Record) bool { return r.Kind == jobs.KindGrant })
	}
	for i, n := range q.Units {
		if int(n) >= s.ledger.Units() {
			return nil, protocol.Refuse(protocol.Bad, "no such unit")
		}
		unit := s.readable(int(n), all)
		size += sizeOf(unit)
		if size > maxReadBytes && i > 0 {
			a.More = q.Units[i:]
			break
		}
		rs = append(rs, unit...)
	}
	a.Batches = jobs.Batches(rs)
	return a, nil
}

// insider reports whether a peer may see reveals before their unit is agreed: the submitter and
// the other keepers. The caller holds mu.
func (s *shard) insider(from jobs.NodeID) bool {
	return from == s.job.Head.Submitter || slices.Contains(s.set, from)
}

// readable are the records of a unit that may be shown, with the grants that its seals lean on.
// The caller holds mu.
func (s *shard) readable(n int, all bool) []*jobs.Record {
	rs := s.ledger.Seals(n)
	for _, r := range rs {
		rs = append(rs, s.ledger.Grants(r.Body.(*jobs.Seal).Grants)...)
	}
	// At strong and paranoid nothing is decided before the submitter says so, and who votes late
	// must not be able to copy.
	v := s.ledger.Verdict(n)
	if all || v.Settled() || s.job.Head.Policy.Level < jobs.Strong && v.State.Decided() {
		rs = append(rs, s.ledger.Reveals(n)...)
	}
	return rs
}

func sizeOf(rs []*jobs.Record) (n int) {
	for _, r := range rs {
		n += r.Size()
	}
	return n
}

func (k *Keeper) summary(ctx context.Context, from jobs.NodeID, q *protocol.SummaryRequest) (*protocol.SummaryAnswer, error) {
	s, err := k.peek(q.Shard)
	if err != nil {
		return nil, err
	}
	who := k.applicant(k.rt.Now(), from)
	a := &protocol.SummaryAnswer{}
	k.waitFor(ctx, s, q.Wait, func() bool {
		a.Summary = k.summaryAfter(k.rt.Now(), s, who, q.Known)
		return a.Summary != nil
	})
	return a, nil
}

// holders says who runs what now. Nothing runs of a shard that rests.
func (k *Keeper) holders(from jobs.NodeID, ref protocol.ShardRef) (*protocol.HoldersAnswer, error) {
	s, err := k.peek(ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.insider(from) {
		return nil, protocol.Refuse(protocol.Bad, "only its submitter is told who runs a shard")
	}
	a := &protocol.HoldersAnswer{}
	if s.ledger != nil {
		all := s.ledger.Holders(k.rt.Now())
		a.Holders = all[:min(len(all), protocol.MaxHolders)]
	}
	return a, nil
}

func (k *Keeper) describe(q *protocol.ShardRef) (*protocol.ManifestAnswer, error) {
	s, err := k.kept(*q)
	if err != nil {
		return nil, err
	}
	return &protocol.ManifestAnswer{Head: s.meta.Head, Manifest: s.meta.Manifest, Proof: s.meta.Proof}, nil
}

func (k *Keeper) blob(q *protocol.BlobRequest) (*protocol.BlobAnswer, error) {
	if q.Blob.Size > protocol.MaxSmallBlob {
		return nil, protocol.Refuse(protocol.Bad, "blobs above 64 KiB move by bitswap")
	}
	if !k.cfg.Blobs.Has(q.Blob.Digest) {
		return nil, protocol.Refuse(protocol.Unknown, "that blob is not here")
	}
	f, err := k.cfg.Blobs.Open(q.Blob.Digest)
	if err != nil {
		return nil, protocol.Refuse(protocol.Unknown, "that blob is not here")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, protocol.MaxSmallBlob+1))
	if err != nil || jobs.BlobOf(data) != q.Blob {
		return nil, protocol.Refuse(protocol.Unknown, "that blob is not here")
	}
	return &protocol.BlobAnswer{Data: data}, nil
}
