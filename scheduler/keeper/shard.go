package keeper

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// On disk a shard is one pair that says what it is, and one pair for each group of records that
// came together.
const (
	metaPrefix      = 'm'
	recordsPrefix   = 'r'
	tombstonePrefix = 't'
)

func refKey(prefix byte, ref protocol.ShardRef) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefix}, ref.Job[:]...), ref.Shard)
}

func recordPrefix(ref protocol.ShardRef) []byte { return refKey(recordsPrefix, ref) }

// meta is what a shard is, as it lies on disk.
type meta struct {
	_        struct{} `cbor:",toarray"`
	Head     []byte
	Shard    uint32
	Manifest []byte
	Proof    []jobs.Digest
	Local    bool
	Complete bool  // the program and every input are here
	Since    int64 // Unix seconds, when it was first published here
}

// shard is one shard kept here.
type shard struct {
	ref      protocol.ShardRef
	job      *jobs.Job
	manifest *jobs.Manifest
	meta     meta

	mu       sync.Mutex
	ledger   *scheduler.Ledger // nil while only on disk
	local    bool
	complete bool
	gone     bool          // handed over; nothing may be added
	changed  strand.Signal // raised when the ledger's version grows
	seen     uint64        // version at the last close of changed
	resting  *rest         // what is known of it then, if it is finished
	touched  time.Time     // when somebody last asked for the shard
	worked   time.Time     // when for more than its summary
	used     time.Time     // when the ledger was last taken up, be it to compare
	set      []jobs.NodeID // the confirmed keeper set, as this node sees it
	setAt    time.Time
	repairAt time.Time
	repairs  int       // in a row that did not come to their end
	heirsAt  time.Time // when heirs were last named
	syncAt   time.Time
	agreed   int       // times in a row that every other keeper had the same
	begunAt  time.Time // when it was first published here, in this run
	since    time.Time // the same, in whichever run: no seed is older
	closedAt time.Time // when this node first saw the job closed
	busy     bool      // a repair or sync is under way
	fetching map[jobs.Digest]time.Time
	payloads bool      // some reveal's payload may have to be fetched
	fetchAt  time.Time // when to look for those next

	unwritten map[jobs.Digest]bool // in the ledger, not on disk yet
	unsaved   []*jobs.Record       // of them, those that could not be written
	written   strand.Signal        // raised when a write has ended
	writing   strand.Group         // merges under way
}

// openShard checks a shard's description again, whoever it came from.
func (k *Keeper) openShard(raw []byte) (*shard, error) {
	var m meta
	if err := jobs.Decode(raw, protocol.MaxMessage, &m); err != nil {
		return nil, err
	}
	return k.newShard(m)
}

func (k *Keeper) newShard(m meta) (*shard, error) {
	job, err := jobs.OpenHead(m.Head, k.cfg.Network)
	if err != nil {
		return nil, err
	}
	manifest, err := jobs.OpenManifest(&job.Head, m.Shard, m.Manifest, m.Proof)
	if err != nil {
		return nil, err
	}
	return &shard{
		ref: protocol.ShardRef{Job: job.ID, Shard: m.Shard}, job: job, manifest: manifest, meta: m,
		local: m.Local, complete: m.Complete, begunAt: k.rt.Now(), since: scheduler.Undated(m.Since, k.rt.Now(), k.rt.Date()),
		fetching: map[jobs.Digest]time.Time{}, unwritten: map[jobs.Digest]bool{},
	}, nil
}

// settle wakes who waits for changes. The caller holds mu.
func (s *shard) settle() {
	if s.ledger.Version() != s.seen {
		s.seen = s.ledger.Version()
		s.changed.Raise()
	}
}

// owner is the name under which a shard's blobs are held.
func owner(ref protocol.ShardRef) string {
	return fmt.Sprintf("keep/%s/%d", ref.Job, ref.Shard)
}

// merge adds verified records; all of them are durable when it returns, also those that somebody
// else brought and is still writing.
func (k *Keeper) merge(ctx context.Context, s *shard, rs []*jobs.Record) (fresh, refused int, err error) {
	var added []*jobs.Record
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return 0, 0, errGone
	}
	for _, r := range rs {
		ok, err := s.ledger.Apply(r)
		switch {
		case err != nil:
			refused++
		case ok:
			added = append(added, r)
			s.unwritten[r.ID] = true
			attachInline(s.ledger, s.manifest, r)
		}
	}
	if len(added) > 0 {
		k.learn(k.rt.Now(), s) // who is convicted by them gets nothing from now on, in no shard
		s.hold()
		s.syncAt = earlier(s.syncAt, k.rt.Now().Add(min(syncSoon<<s.agreed, syncCalm)))
	}
	s.writing.Join()
	defer s.writing.Part()
	s.mu.Unlock()
	for todo := added; ; {
		if err := k.write(ctx, s, todo); err != nil {
			return 0, refused, err
		}
		if todo = k.unwritten(s, rs); len(todo) == 0 {
			k.counts.records.Add(uint64(len(added)))
			return len(added), refused, nil
		}
	}
}

// write puts records of the ledger on disk.
func (k *Keeper) write(ctx context.Context, s *shard, rs []*jobs.Record) error {
	if len(rs) == 0 {
		return nil
	}
	defer s.written.Raise()
	err := k.cfg.Disk.Put(context.WithoutCancel(ctx), pairsOf(s.ref, rs)...)
	s.mu.Lock()
	if err != nil { // the ledger has them: they must not be taken for stored
		s.unsaved = append(s.unsaved, rs...)
		s.mu.Unlock()
		return err
	}
	for _, r := range rs {
		delete(s.unwritten, r.ID)
	}
	s.settle()
	s.mu.Unlock()
	k.after(s, rs)
	return nil
}

// unwritten waits until none of some records is being written any more. Where somebody else could
// not write his, it gives those, for the caller to try.
func (k *Keeper) unwritten(s *shard, rs []*jobs.Record) []*jobs.Record {
	for {
		mark := s.written.Mark()
		s.mu.Lock()
		failed := s.unsaved
		s.unsaved = nil
		waiting := slices.ContainsFunc(rs, func(r *jobs.Record) bool { return s.unwritten[r.ID] })
		s.mu.Unlock()
		if len(failed) > 0 || !waiting {
			return failed
		}
		_ = k.rt.Wait(context.Background(), strand.Forever, mark)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// pairsOf are the records as they lie on disk, grouped as they were signed.
func pairsOf(ref protocol.ShardRef, rs []*jobs.Record) []disk.Pair {
	var out []disk.Pair
	for _, b := range jobs.Batches(rs) {
		raw := jobs.Encode(b)
		out = append(out, disk.Pair{Key: append(recordPrefix(ref), nameOf(raw)...), Value: raw})
	}
	return out
}

// nameOf is by what a group of records lies on disk.
func nameOf(raw []byte) []byte {
	sum := jobs.Sum(raw)
	return sum[:16]
}

// asNamed is an error where what lies on disk is not what was put there: one flipped bit would make
// another record of it, and its keepers would differ for ever.
func asNamed(key, value []byte) error {
	if !bytes.HasSuffix(key, nameOf(value)) {
		return errors.New("it is not what was written")
	}
	return nil
}

// attachInline makes a reveal's tuples known where its payload came with it and is sound.
func attachInline(l *scheduler.Ledger, m *jobs.Manifest, r *jobs.Record) {
	b, ok := r.Body.(*jobs.Reveal)
	if !ok || len(b.Inline) == 0 || int(b.Unit) >= len(m.Units) {
		return
	}
	h, err := jobs.VerifyPayload(bytes.NewReader(b.Inline), int(m.Units[b.Unit].Count))
	if err != nil {
		return // a vote that cannot be opened is no vote
	}
	_ = l.Attach(r, h.Tuples) // tuples that are not what was revealed: no vote either
}

// hold notes the units whose agreed output is here because it came inside the records. The
// caller holds mu.
func (s *shard) hold() {
	for n := range s.ledger.Units() {
		if s.ledger.Held(n) {
			continue
		}
		v := s.ledger.Verdict(n)
		if !v.State.Decided() {
			continue
		}
		for _, vote := range v.Votes {
			if len(vote.Reveal.Body.(*jobs.Reveal).Inline) > 0 && agrees(v, vote) {
				s.ledger.SetHeld(n)
				break
			}
		}
	}
}

// agrees reports whether a vote's payload has the output of every input that was agreed on.
func agrees(v *scheduler.Verdict, vote scheduler.Vote) bool {
	for i := range v.Inputs() {
		if in := v.Input(i); in.State == scheduler.Agreed && vote.Tuples[i] != in.Tuple {
			return false
		}
	}
	return true
}

// after does what new records ask for: fetch payloads, tell of a closed job.
func (k *Keeper) after(s *shard, added []*jobs.Record) {
	payloads := false
	for _, r := range added {
		switch b := r.Body.(type) {
		case *jobs.Reveal:
			payloads = payloads || len(b.Inline) == 0
		case *jobs.Control:
			if k.cfg.OnControl != nil {
				k.cfg.OnControl(r)
			}
		}
	}
	if payloads {
		s.mu.Lock()
		s.payloads = true
		s.mu.Unlock()
		k.fetchPayloads(s)
	}
}
