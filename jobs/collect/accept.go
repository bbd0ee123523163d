package collect

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// On disk: one pair for each accepted unit.
const acceptedPrefix = 'a'

func unitKey(ref protocol.ShardRef, unit uint16) []byte {
	b := append([]byte{acceptedPrefix}, ref.Job[:]...)
	b = binary.BigEndian.AppendUint32(b, ref.Shard)
	return binary.BigEndian.AppendUint16(b, unit)
}

// Owner is the name under which a job's collected outputs are held.
func Owner(id jobs.JobID) string { return OwnerPrefix + id.String() }

// OwnerPrefix begins the owners of answers that this node collects.
const OwnerPrefix = "results/"

// unit is an accepted unit: where the answer of each of its inputs is.
type unit struct {
	_          struct{} `cbor:",toarray"`
	State      scheduler.State
	Parts      []part
	Stuck      []uint16 // inputs without an answer
	Failed     uint32
	Executions uint32
	Fuel       uint64 // of the accepted answers, each counted once
	Own        bool
	Donors     []share
}

// part is one vote's payload and the inputs that are taken from it: all where none are named.
type part struct {
	_       struct{} `cbor:",toarray"`
	Worker  jobs.NodeID
	Inline  []byte
	Payload jobs.Blob
	Inputs  []uint16
}

// restore counts what was accepted before.
func (c *Collector) restore() error {
	return c.cfg.Disk.Scan(append([]byte{acceptedPrefix}, c.job.ID[:]...), func(key, value []byte) error {
		var u unit
		if err := jobs.Decode(value, protocol.MaxMessage, &u); err != nil {
			c.cfg.Logger.Warn("an accepted unit on disk is not readable; it is collected again", "error", err)
			return nil
		}
		shard, n := binary.BigEndian.Uint32(key[33:]), binary.BigEndian.Uint16(key[37:])
		if c.accepted[shard] == nil {
			c.accepted[shard] = make([]scheduler.State, c.job.Head.ShardUnits(shard))
		}
		if int(n) < len(c.accepted[shard]) {
			c.accept(shard, n, &u)
		}
		return nil
	})
}

func (c *Collector) inputsOf(u *unit) (n uint64) {
	for i := range u.Parts {
		n += uint64(len(u.Parts[i].Inputs))
	}
	return n
}

// accept counts an accepted unit once. The caller holds mu, or is alone.
func (c *Collector) accept(shard uint32, n uint16, u *unit) {
	at := &c.accepted[shard][n]
	if *at != scheduler.Open {
		return
	}
	if *at = u.State; !u.State.Decided() {
		*at = scheduler.Agreed
	}
	if u.Failed > 0 || len(u.Stuck) > 0 {
		c.reading.noteBad(shard, n)
	}
	c.count(u, c.inputsOf(u))
}

// count adds an accepted unit to the tally. The caller holds mu, or is alone.
func (c *Collector) count(u *unit, answered uint64) {
	c.tally.add(u, answered, 1)
	for i := range u.Donors {
		c.earned(&u.Donors[i], 1)
		c.reading.voted[u.Donors[i].Donor]++
	}
}

// discount takes a unit back that was counted. The caller holds mu.
func (c *Collector) discount(u *unit, answered uint64) {
	c.tally.add(u, answered, minusOne)
	for i := range u.Donors {
		c.earned(&u.Donors[i], minusOne)
		c.reading.voted[u.Donors[i].Donor]--
	}
}

const minusOne = ^uint64(0) // counters wrap

// add adds a unit once, or minus once.
func (t *Tally) add(u *unit, answered, once uint64) {
	t.Units += once
	switch u.State {
	case scheduler.Failed:
		t.Failed += once
	case scheduler.Stuck:
		t.Stuck += once
	default:
		t.Agreed += once
	}
	t.Done += answered * once
	t.BadInputs += uint64(u.Failed) * once
	t.StuckInputs += uint64(len(u.Stuck)) * once
	t.Executions += uint64(u.Executions) * once
	t.Fuel += u.Fuel * once
	if u.Own {
		t.Own += once
	}
}

// acceptFrom reads units from one keeper of a set and accepts those that its records prove, with
// those of the keepers before. It gives the units that are left: also those of which it shows no
// vote of somebody whose seal others have named, until all were asked. Otherwise one keeper could
// hold back the vote that another of its owner's is a copy of.
func (c *Collector) acceptFrom(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, set []jobs.NodeID, at int, todo []uint16) ([]uint16, error) {
	rs, err := c.cfg.Keepers.Read(ctx, ref, set[at], todo, true)
	c.apply(l, m, rs)
	var left []uint16
	var done []judged
	proofs := prove(ref, l)
	for _, n := range todo {
		if at < len(set)-1 && l.Awaits(int(n)) {
			left = append(left, n)
			continue
		}
		c.fetchPayloads(ctx, ref, m, l, int(n), set)
		u, uerr := c.assemble(l, int(n))
		if uerr != nil {
			left = append(left, n)
			err = errors.Join(err, uerr)
			continue
		}
		c.keepNames(ctx, ref, &m.Units[n], set)
		proofs.unit(n)
		proofs.pairs = append(proofs.pairs, disk.Pair{Key: unitKey(ref, n), Value: jobs.Encode(u)})
		done = append(done, judged{n, u})
	}
	if len(done) == 0 {
		return left, err
	}
	if perr := c.cfg.Disk.Put(ctx, append(proofs.pairs, c.toKeep(ref)...)...); perr != nil {
		return todo, perr
	}
	c.countAll(ref, done)
	return left, err
}

// apply merges records that were read, and opens votes whose payload came with them.
func (c *Collector) apply(l *scheduler.Ledger, m *jobs.Manifest, rs []*jobs.Record) {
	for _, r := range rs {
		if _, err := l.Apply(r); err != nil {
			continue // not a record that belongs here: the others may still prove the unit
		}
		if b, ok := r.Body.(*jobs.Reveal); ok && len(b.Inline) > 0 && int(b.Unit) < len(m.Units) {
			if h, err := jobs.VerifyPayload(bytes.NewReader(b.Inline), int(m.Units[b.Unit].Count)); err == nil {
				_ = l.Attach(r, h.Tuples) // a vote that cannot be opened is no vote
			}
		}
	}
}

// countAll counts units that were accepted, each once.
func (c *Collector) countAll(ref protocol.ShardRef, done []judged) {
	c.mu.Lock()
	defer c.changed.Raise()
	defer c.mu.Unlock()
	for _, x := range done {
		c.accept(ref.Shard, x.number, x.unit)
	}
	c.manifests[ref.Shard].kept = true // written with them
	c.recount(ref.Shard)
}

// fetchPayloads gets what a unit's votes are opened with, until the unit is decided, and then the
// bytes of one vote that has its answers. What nobody voted with is left alone: anyone can name a
// payload.
func (c *Collector) fetchPayloads(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, n int, set []jobs.NodeID) {
	for _, r := range l.Wanted() {
		if int(r.Body.(*jobs.Reveal).Unit) == n && !l.Verdict(n).State.Decided() {
			c.fetchPayload(ctx, ref, m, l, r, set)
		}
	}
	v := l.Verdict(n)
	if !v.State.Decided() || c.haveAnswers(v) {
		return
	}
	for i := range v.Votes {
		if c.fetchPayload(ctx, ref, m, l, v.Votes[i].Reveal, set) && c.haveAnswers(v) {
			return
		}
	}
}

// haveAnswers reports whether the bytes of some vote with every answer are here.
func (c *Collector) haveAnswers(v *scheduler.Verdict) bool {
	for i := range v.Votes {
		if c.has(v.Votes[i].Reveal) && answers(v, &v.Votes[i]) {
			return true
		}
	}
	return false
}

// openVotes fetches what a unit's votes are opened with, all of them: who judges wants to know who
// said otherwise, too.
func (c *Collector) openVotes(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, n int, set []jobs.NodeID) {
	for _, r := range l.Wanted() {
		if int(r.Body.(*jobs.Reveal).Unit) == n {
			c.fetchPayload(ctx, ref, m, l, r, set)
		}
	}
}

// has reports whether a reveal's payload is here.
func (c *Collector) has(r *jobs.Record) bool {
	b := r.Body.(*jobs.Reveal)
	return len(b.Inline) > 0 || c.cfg.Blobs.Has(b.Payload.Digest)
}

// fetchPayload gets one payload, checks it, and makes its tuples known.
func (c *Collector) fetchPayload(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, r *jobs.Record, set []jobs.NodeID) bool {
	b := r.Body.(*jobs.Reveal)
	if len(b.Inline) > 0 {
		return true
	}
	holders := append([]jobs.NodeID{r.Author}, set...)
	if err := c.cfg.Blobs.Fetch(ctx, Owner(ref.Job), b.Payload, holders, c.keepUntil()); err != nil {
		c.cfg.Logger.Debug("payload not to be had", "job", ref.Job.Short(), "peer", r.Author.Short(), "error", err)
		return false
	}
	f, err := c.cfg.Blobs.Open(b.Payload.Digest)
	if err != nil {
		return false
	}
	defer f.Close()
	h, err := jobs.VerifyPayload(f, int(m.Units[b.Unit].Count))
	return err == nil && l.Attach(r, h.Tuples) == nil
}

// keepNames holds what the names of a unit's inputs are in as long as its answers. Without it
// they are told without names.
func (c *Collector) keepNames(ctx context.Context, ref protocol.ShardRef, u *jobs.UnitSpec, set []jobs.NodeID) {
	if u.Source != jobs.FromBlob {
		return
	}
	if err := c.cfg.Blobs.Fetch(ctx, Owner(ref.Job), u.Pack, set, c.keepUntil()); err != nil {
		c.cfg.Logger.Debug("names of inputs not to be had", "job", ref.Job.Short(), "error", err)
	}
}

// keepAnswers is how long what was collected is held here after its job has expired.
const keepAnswers = 90 * 24 * time.Hour

// keepUntil is until when what was collected is held here.
func (c *Collector) keepUntil() time.Time {
	return time.Unix(c.job.Head.Expires, 0).Add(keepAnswers)
}

// answers reports whether a vote has every answer of a verdict.
func answers(v *scheduler.Verdict, vote *scheduler.Vote) bool {
	for i := range v.Inputs() {
		if in := v.Input(i); in.State != scheduler.Stuck && vote.Tuples[i] != in.Tuple {
			return false
		}
	}
	return true
}

// ErrNoBytes is that answers are agreed whose bytes nobody in sight has.
var ErrNoBytes = errors.New("nobody has the bytes of the answer")

// assemble turns a decided unit into what is kept of it: for each input a vote that has its
// answer, as few votes as that takes.
func (c *Collector) assemble(l *scheduler.Ledger, n int) (*unit, error) {
	v := l.Verdict(n)
	if !v.State.Decided() {
		return nil, fmt.Errorf("unit %d: its records prove nothing yet", n)
	}
	u := &unit{State: v.State, Executions: uint32(len(l.Reveals(n))), Failed: uint32(v.Failed)}
	parts := map[jobs.NodeID]int{}
	for i := range v.Inputs() {
		if v.Input(i).State == scheduler.Stuck {
			u.Stuck = append(u.Stuck, uint16(i))
			continue
		}
		u.Fuel += v.Input(i).Tuple.Fuel
		vote := c.voteFor(v, i, parts)
		if vote == nil {
			return nil, fmt.Errorf("unit %d, input %d: %w", n, i, ErrNoBytes)
		}
		at, ok := parts[vote.Worker]
		if !ok {
			at = len(u.Parts)
			parts[vote.Worker] = at
			b := vote.Reveal.Body.(*jobs.Reveal)
			u.Parts = append(u.Parts, part{Worker: vote.Worker, Inline: b.Inline, Payload: b.Payload})
		}
		u.Parts[at].Inputs = append(u.Parts[at].Inputs, uint16(i))
	}
	u.Donors = sharesOf(v, &c.job.Head.Policy)
	for _, vote := range v.Votes {
		u.Own = u.Own || vote.Own
	}
	return u, nil
}

// assembleAnswer turns an answer that was decided on into what is kept of it: all from one vote.
func (c *Collector) assembleAnswer(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, l *scheduler.Ledger, n int, d trust.Decision, set []jobs.NodeID) (*unit, error) {
	v := l.Verdict(n)
	u := &unit{State: scheduler.Agreed, Executions: uint32(len(l.Reveals(n))), Own: d.Own}
	for i := range v.Votes {
		x := &v.Votes[i]
		b := x.Reveal.Body.(*jobs.Reveal)
		if b.Tuples != d.Answer || x.Own != d.Own || !c.has(x.Reveal) && !c.fetchPayload(ctx, ref, m, l, x.Reveal, set) {
			continue
		}
		p := part{Worker: x.Worker, Inline: b.Inline, Payload: b.Payload}
		for k, t := range x.Tuples {
			switch {
			case t.Outcome == jobs.GaveUp:
				u.State = scheduler.Stuck
				u.Stuck = append(u.Stuck, uint16(k))
				continue
			case t.Outcome.Failed():
				u.Failed++
				u.State = max(u.State, scheduler.Failed)
			}
			u.Fuel += t.Fuel
			p.Inputs = append(p.Inputs, uint16(k))
		}
		u.Parts = []part{p}
		u.Donors = sharesOf(v, &c.job.Head.Policy)
		return u, nil
	}
	return nil, fmt.Errorf("unit %d: nobody has the bytes of its answer", n)
}

// voteFor is a vote that has the answer of input i and whose bytes are here, one that is used
// already if there is one.
func (c *Collector) voteFor(v *scheduler.Verdict, i int, used map[jobs.NodeID]int) *scheduler.Vote {
	var found *scheduler.Vote
	answer := v.Input(i).Tuple
	for k := range v.Votes {
		vote := &v.Votes[k]
		if vote.Tuples[i] != answer || !c.has(vote.Reveal) {
			continue
		}
		if _, ok := used[vote.Worker]; ok {
			return vote
		}
		if found == nil {
			found = vote
		}
	}
	return found
}
