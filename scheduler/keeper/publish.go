package keeper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// publish takes a shard into custody: once its program and inputs are here, it answers with a
// signed receipt. What is receipted is not dropped before its end.
func (k *Keeper) publish(ctx context.Context, from jobs.NodeID, q *protocol.PublishRequest) (*protocol.PublishAnswer, error) {
	s, err := k.newShard(meta{Head: q.Head, Shard: q.Shard, Manifest: q.Manifest, Proof: q.Proof, Since: k.rt.Date()})
	if err != nil {
		return nil, protocol.Invalid(err)
	}
	if k.rt.Date() >= s.job.Head.Expires {
		return nil, protocol.Refuse(protocol.Closed, "the job has expired")
	}
	if _, dead, err := k.cfg.Disk.Get(append([]byte{tombstonePrefix}, s.ref.Job[:]...)); err != nil || dead {
		return nil, protocol.Refuse(protocol.Closed, "the job has ended")
	}
	if s, err = k.adopt(ctx, s); err != nil {
		return nil, err
	}
	if err := k.gather(ctx, s, from, time.Duration(q.Wait)*time.Millisecond); err != nil {
		return nil, err
	}
	s.mu.Lock()
	complete := s.complete
	s.mu.Unlock()
	if !complete {
		return &protocol.PublishAnswer{}, nil
	}
	r, err := k.receipt(ctx, s)
	if err != nil {
		return nil, err
	}
	return &protocol.PublishAnswer{Receipt: jobs.Batches([]*jobs.Record{r})}, nil
}

// adopt starts to keep a shard, unless it is kept already.
func (k *Keeper) adopt(ctx context.Context, s *shard) (*shard, error) {
	k.mu.Lock()
	old := k.shards[s.ref]
	full := !k.room(s.job.Head.Submitter, len(s.meta.Manifest))
	k.mu.Unlock()
	switch {
	case old != nil && old.leaving():
		return nil, protocol.Refuse(protocol.Busy, "the shard is just being let go")
	case old != nil:
		return k.find(s.ref)
	case full:
		return nil, protocol.Refuse(protocol.Full, "this node keeps as many shards as it can, or as it may of one submitter")
	}
	if err := k.cfg.Disk.Put(ctx, disk.Pair{Key: refKey(metaPrefix, s.ref), Value: jobs.Encode(s.meta)}); err != nil {
		return nil, protocol.Refuse(protocol.Full, "the keeper could not store the shard")
	}
	k.mu.Lock()
	if old := k.shards[s.ref]; old != nil {
		s = old
	} else {
		s.repairAt = k.rt.Now().Add(repairEvery)
		k.shards[s.ref] = s
	}
	k.mu.Unlock()
	return s, k.load(s)
}

// gather fetches what the shard needs from whoever published it, and waits for it a while.
func (k *Keeper) gather(ctx context.Context, s *shard, from jobs.NodeID, wait time.Duration) error {
	var failed error // of the strand below; under s.mu
	s.mu.Lock()
	if s.complete {
		s.mu.Unlock()
		return nil
	}
	_, under := s.fetching[s.job.Head.Program.Digest]
	if !under {
		s.fetching[s.job.Head.Program.Digest] = k.rt.Now()
	}
	s.mu.Unlock()
	if !under {
		k.start(func(ctx context.Context) {
			err := k.fetchAll(ctx, s, from)
			s.mu.Lock()
			failed = err
			s.mu.Unlock()
			s.changed.Raise()
		})
	}
	waiting, cancel := k.rt.WithTimeout(ctx, min(wait, maxWait))
	defer cancel()
	for {
		mark := s.changed.Mark()
		s.mu.Lock()
		complete, err := s.complete, failed
		s.mu.Unlock()
		switch {
		case complete:
			return nil
		case err != nil:
			k.cfg.Logger.Info("shard's blobs could not be fetched", "job", s.ref.Job.Short(), "from", from.Short(), "error", err)
			return protocol.Refuse(protocol.Full, "the keeper could not fetch or hold the shard's program and inputs")
		case k.rt.Wait(waiting, strand.Forever, mark) != nil:
			return ctx.Err()
		}
	}
}

// fetchAll gets every blob of the shard and marks it complete.
func (k *Keeper) fetchAll(ctx context.Context, s *shard, from jobs.NodeID) error {
	err := k.fetchBlobs(ctx, s, from)
	if err == nil {
		m := s.meta
		s.mu.Lock()
		m.Local, m.Complete = s.local, true
		s.mu.Unlock()
		err = k.cfg.Disk.Put(ctx, disk.Pair{Key: refKey(metaPrefix, s.ref), Value: jobs.Encode(m)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fetching, s.job.Head.Program.Digest)
	s.complete = s.complete || err == nil
	return err
}

func (k *Keeper) fetchBlobs(ctx context.Context, s *shard, from jobs.NodeID) error {
	if err := k.fetches.Enter(ctx, k.rt); err != nil {
		return err
	}
	defer k.fetches.Leave()
	wanted := append([]jobs.Blob{s.job.Head.Program}, s.manifest.Blobs()...)
	for _, d := range s.job.Head.Data {
		wanted = append(wanted, d.Blob)
	}
	holders := append([]jobs.NodeID{from}, k.others(s)...)
	until := k.until(s)
	for _, b := range wanted {
		if err := k.cfg.Blobs.Fetch(ctx, owner(s.ref), b, holders, until); err != nil {
			return err
		}
	}
	for n := range s.manifest.Units {
		if err := k.fetchInputs(ctx, s, n, holders, until); err != nil {
			return err
		}
	}
	return nil
}

// fetchInputs gets the inputs of a unit that are blobs of their own.
func (k *Keeper) fetchInputs(ctx context.Context, s *shard, n int, holders []jobs.NodeID, until time.Time) error {
	u := &s.manifest.Units[n]
	if u.Source == jobs.FromRange {
		return nil
	}
	pack, err := k.pack(u)
	if err != nil {
		return err
	}
	ins, err := u.OpenInputs(pack)
	if err != nil {
		return err
	}
	for i := range ins {
		if !ins[i].IsBlob() {
			continue
		}
		if err := k.cfg.Blobs.Fetch(ctx, owner(s.ref), ins[i].Blob, holders, until); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) pack(u *jobs.UnitSpec) ([]byte, error) {
	if u.Source != jobs.FromBlob {
		return nil, nil
	}
	f, err := k.cfg.Blobs.Open(u.Pack.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(f, jobs.MaxPack+1)); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// until is how long a shard's blobs are held: until its job ends, and 3 days.
func (k *Keeper) until(s *shard) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.job.Head.Expires
	if s.ledger != nil {
		at = s.ledger.Expires()
	}
	return time.Unix(at, 0).Add(keepAfterEnd)
}

// others are the nodes that may hold the shard too.
func (k *Keeper) others(s *shard) []jobs.NodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []jobs.NodeID
	for _, n := range append(s.ledger.Custodians(), s.set...) {
		if n != k.self {
			out = append(out, n)
		}
	}
	return out
}

// receipt gives this keeper's receipt for a shard: the one it signed before, if it did.
func (k *Keeper) receipt(ctx context.Context, s *shard) (*jobs.Record, error) {
	s.mu.Lock()
	for _, r := range s.ledger.General() {
		if r.Kind == jobs.KindReceipt && r.Author == k.self {
			s.mu.Unlock()
			return r, nil
		}
	}
	s.mu.Unlock()
	body := &jobs.Receipt{Secret: k.rt.Secret(), Until: s.job.Head.Expires + int64(keepAfterEnd/time.Second)}
	rs, err := jobs.SignBatch(k.cfg.Signer, k.cfg.Network, s.ref.Job, s.ref.Shard, body)
	if err != nil {
		return nil, err
	}
	if _, _, err := k.merge(ctx, s, rs); err != nil {
		return nil, err
	}
	return rs[0], nil
}

// Post is what the board is told of a job, of which a shard is kept here for others and has something
// left to do; nil is nothing.
func (k *Keeper) Post(ctx context.Context, ref protocol.ShardRef) (*protocol.Post, error) {
	s, err := k.kept(ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	whole := s.complete && !s.local
	s.mu.Unlock()
	if !whole {
		return nil, nil
	}
	if err := k.load(s); err != nil {
		return nil, err
	}
	s.mu.Lock()
	_, closed := s.ledger.Closed()
	sum := s.ledger.Summary(k.rt.Now())
	over := closed || k.rt.Date() >= s.ledger.Expires() || sum.Decided()
	s.mu.Unlock()
	if over {
		return nil, nil
	}
	r, err := k.receipt(ctx, s)
	if err != nil {
		return nil, err
	}
	return &protocol.Post{Head: s.job.Bytes(), Receipts: jobs.Batches([]*jobs.Record{r})}, nil
}

// Adopt keeps a shard of this node's own job, whose blobs are here. Local shards stay on this
// node and are told to nobody.
func (k *Keeper) Adopt(ctx context.Context, head []byte, shardNumber uint32, manifest []byte, proof []jobs.Digest, local bool) error {
	s, err := k.newShard(meta{Head: head, Shard: shardNumber, Manifest: manifest, Proof: proof, Local: local, Complete: true, Since: k.rt.Date()})
	if err != nil {
		return err
	}
	_, err = k.adopt(ctx, s)
	return err
}

// Share ends a shard's being local: from now on it is placed like any other.
func (k *Keeper) Share(ctx context.Context, ref protocol.ShardRef) error {
	s, err := k.find(ref)
	if err != nil {
		return err
	}
	m := s.meta
	m.Local, m.Complete = false, true
	if err := k.cfg.Disk.Put(ctx, disk.Pair{Key: refKey(metaPrefix, ref), Value: jobs.Encode(m)}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local, s.set, s.repairAt = false, nil, k.rt.Now()
	return nil
}

var errNoBytes = errors.New("no holder has sound bytes")

// A payload that could not be had is left alone for payloadRetry; while some are missing, a shard
// is looked at every payloadLook.
const (
	payloadRetry = 20 * time.Second
	payloadLook  = time.Second
)

// fetchPayloads gets the payloads of reveals whose tuples are not known here, from their
// authors or the other keepers, checks them, and takes them into custody.
func (k *Keeper) fetchPayloads(s *shard) {
	for _, r := range k.dueFetches(s, k.rt.Now()) {
		k.start(func(ctx context.Context) {
			if k.fetches.Enter(ctx, k.rt) != nil {
				return
			}
			defer k.fetches.Leave()
			if err := k.fetchPayload(ctx, s, r); err != nil {
				k.cfg.Logger.Debug("payload not fetched", "job", s.ref.Job.Short(), "peer", r.Author.Short(), "error", err)
			}
		})
	}
}

// maxDueFetches bounds the payload fetches of one shard that are started together.
const maxDueFetches = 16

// dueFetches are the reveals whose payloads should be fetched now, and notes that they are.
func (k *Keeper) dueFetches(s *shard, now time.Time) []*jobs.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*jobs.Record
	if s.ledger == nil {
		return nil
	}
	s.payloads, s.fetchAt = false, now.Add(payloadLook)
	for _, r := range append(s.ledger.Wanted(), s.unheld()...) {
		b := r.Body.(*jobs.Reveal)
		if len(b.Inline) > 0 {
			continue
		}
		s.payloads = true
		if at, ok := s.fetching[b.Payload.Digest]; ok && now.Sub(at) < payloadRetry || len(due) == maxDueFetches {
			continue
		}
		s.fetching[b.Payload.Digest] = now
		due = append(due, r)
	}
	return due
}

// unheld are the reveals that could give the agreed output of units whose bytes are not here.
// The caller holds mu.
func (s *shard) unheld() (out []*jobs.Record) {
	for n := range s.ledger.Units() {
		if v := s.ledger.Verdict(n); v.State.Decided() && !s.ledger.Held(n) {
			for _, vote := range v.Votes {
				if agrees(v, vote) {
					out = append(out, vote.Reveal)
				}
			}
		}
	}
	return out
}

func (k *Keeper) fetchPayload(ctx context.Context, s *shard, r *jobs.Record) error {
	b := r.Body.(*jobs.Reveal)
	holders := append([]jobs.NodeID{r.Author}, k.others(s)...)
	if err := k.cfg.Blobs.Fetch(ctx, owner(s.ref), b.Payload, holders, k.until(s)); err != nil {
		return err
	}
	f, err := k.cfg.Blobs.Open(b.Payload.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := jobs.VerifyPayload(f, int(s.manifest.Units[b.Unit].Count))
	if err != nil {
		return errors.Join(errNoBytes, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	delete(s.fetching, b.Payload.Digest)
	if err := s.ledger.Attach(r, h.Tuples); err != nil {
		return err
	}
	if v := s.ledger.Verdict(int(b.Unit)); v.State.Decided() {
		for _, vote := range v.Votes {
			if vote.Reveal.ID == r.ID && agrees(v, vote) {
				s.ledger.SetHeld(int(b.Unit))
			}
		}
	}
	return nil
}
