package worker

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// On disk a worker keeps each result it has computed until a majority shows its unit done, what
// it said then, and the finished inputs of units that it has not.
const (
	resultPrefix = 'w'
	grantPrefix  = 'g'
	inputPrefix  = 'i'
	saidPrefix   = 's' // by unit, the tuples that were told: they are never contradicted
)

func unitKey(prefix byte, k taskKey) []byte {
	b := append([]byte{prefix}, k.ref.Job[:]...)
	b = binary.BigEndian.AppendUint32(b, k.ref.Shard)
	return binary.BigEndian.AppendUint16(b, k.unit)
}

func resultOwner(k taskKey) string {
	return fmt.Sprintf("result/%s/%d/%d", k.ref.Job, k.ref.Shard, k.unit)
}

// result is what a worker will say, and has said, of one unit. It is on disk before any of it
// leaves: a node that restarts says the same again.
type result struct {
	_        struct{} `cbor:",toarray"`
	Ref      protocol.ShardRef
	Hold     jobs.Hold
	Own      bool
	Tuples   jobs.Digest
	GaveUp   bool
	Nonce    jobs.Digest
	Inline   []byte
	Payload  jobs.Blob
	CPU      uint64
	Lease    uint32        // seconds, of the job
	Votes    uint8         // equal votes that make an answer, of the job
	Until    int64         // Unix seconds: the latest that the job can end, extensions included
	Grants   []jobs.Digest // record ids; the grants lie beside, shared by many results
	Seals    []jobs.Digest // read before revealing
	Revealed bool

	Submitter jobs.NodeID
	Inputs    uint32
	Entered   bool // what became of it stands in the account: it is only to be deleted

	since time.Time // in this run: when it was sealed, under its present grants
}

func (r *result) key() taskKey { return taskKey{r.Ref, r.Hold.Unit} }

// seal is the commitment to the result.
func (r *result) seal(self jobs.NodeID) *jobs.Seal {
	return &jobs.Seal{
		Unit: r.Hold.Unit, Replica: r.Hold.Replica, Grants: r.Grants,
		Commitment: jobs.Commit(r.Ref.Job, r.Ref.Shard, r.Hold.Unit, self, r.Tuples, r.Nonce),
	}
}

// reveal is the result as others see it.
func (r *result) reveal() *jobs.Reveal {
	return &jobs.Reveal{
		Unit: r.Hold.Unit, Replica: r.Hold.Replica, Tuples: r.Tuples, GaveUp: r.GaveUp, Nonce: r.Nonce,
		Seals: r.Seals, Inline: r.Inline, Payload: r.Payload, CPU: r.CPU,
	}
}

func (r *result) pair() disk.Pair {
	return disk.Pair{Key: unitKey(resultPrefix, r.key()), Value: jobs.Encode(r)}
}

func grantKey(ref protocol.ShardRef, id []byte) []byte {
	b := append([]byte{grantPrefix}, ref.Job[:]...)
	return append(binary.BigEndian.AppendUint32(b, ref.Shard), id...)
}

func grantPair(ref protocol.ShardRef, g *jobs.Record) disk.Pair {
	return disk.Pair{Key: grantKey(ref, g.ID[:]), Value: jobs.Encode(jobs.Batches([]*jobs.Record{g})[0])}
}

// grantsOn reads the grants that a shard's results lean on.
func (w *Worker) grantsOn(ref protocol.ShardRef) (map[jobs.Digest]*jobs.Record, error) {
	out := map[jobs.Digest]*jobs.Record{}
	err := w.cfg.Disk.Scan(grantKey(ref, nil), func(_, value []byte) error {
		var b jobs.Batch
		if jobs.Decode(value, protocol.MaxMessage, &b) != nil {
			return nil
		}
		rs, err := b.Open(w.cfg.Network)
		if err != nil {
			return nil // without its grants a result is kept, but is no vote
		}
		for _, r := range rs {
			out[r.ID] = r
		}
		return nil
	})
	return out, err
}

// recover takes up the results that an earlier run of this node has not seen done.
func (w *Worker) recover(ctx context.Context) error {
	byRef := map[protocol.ShardRef][]*result{}
	var entered []*result
	err := w.cfg.Disk.Scan([]byte{resultPrefix}, func(_, value []byte) error {
		var r result
		if err := jobs.Decode(value, protocol.MaxMessage, &r); err != nil {
			w.cfg.Logger.Warn("a result on disk is not readable, left alone", "error", err)
			return nil
		}
		if r.Entered {
			entered = append(entered, &r)
			return nil
		}
		byRef[r.Ref] = append(byRef[r.Ref], &r)
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.forget(ctx, entered); err != nil { // they are forgotten when there is room again
		w.cfg.Logger.Warn("results that are done remain on disk", "error", err)
	}
	for _, ref := range inOrder(byRef) {
		grants, err := w.grantsOn(ref)
		if err != nil {
			return err
		}
		w.settler(ref).add(byRef[ref], grants)
	}
	return nil
}

// finishedInput is one input of a unit that is not finished yet.
type finishedInput struct {
	_      struct{} `cbor:",toarray"`
	Tuple  jobs.Tuple
	Stderr []byte
	Output []byte    // where it is small
	Blob   jobs.Blob // else
}

// Restartable work is saved this often; a unit that is done before costs nothing.
const (
	checkpointEvery = 2 * time.Second
	maxInlineOutput = 64 << 10
)

// checkpoints saves the finished inputs of a running unit and gives them back after a restart.
type checkpoints struct {
	w     *Worker
	t     *task
	saved map[int]finishedInput
	at    time.Time
	todo  []disk.Pair
	wrote bool
}

func inputKey(k taskKey, i int) []byte {
	return binary.BigEndian.AppendUint16(unitKey(inputPrefix, k), uint16(i))
}

func (w *Worker) checkpoint(t *task) *checkpoints {
	c := &checkpoints{w: w, t: t, saved: map[int]finishedInput{}, at: w.rt.Now()}
	err := w.cfg.Disk.Scan(unitKey(inputPrefix, t.key()), func(key, value []byte) error {
		var f finishedInput
		if jobs.Decode(value, maxInlineOutput+jobs.MaxStderr+256, &f) == nil {
			c.saved[int(binary.BigEndian.Uint16(key[len(key)-2:]))] = f
		}
		c.wrote = true
		return nil
	})
	if err != nil {
		w.cfg.Logger.Warn("finished inputs could not be read", t.key().ids(), "error", err)
	}
	return c
}

// restore appends a saved input's output, if it is there and sound.
func (c *checkpoints) restore(i int, out *spool) (finishedInput, bool) {
	f, ok := c.saved[i]
	if !ok || f.Tuple.Outcome != jobs.OK {
		return f, ok
	}
	if f.Blob.Digest.IsZero() {
		_, err := out.Write(f.Output)
		return f, err == nil && jobs.BlobOf(f.Output).Digest == f.Tuple.Output
	}
	start := out.Len()
	r, err := c.w.cfg.Blobs.Open(f.Blob.Digest)
	if err != nil {
		return f, false
	}
	defer r.Close()
	if n, err := io.Copy(out, r); err != nil || uint64(n) != f.Tuple.Size {
		out.Truncate(start)
		return f, false
	}
	return f, true
}

// done notes a finished input and now and then writes what was noted.
func (c *checkpoints) done(i int, t jobs.Tuple, stderr []byte, out *spool, start int64) {
	if i == len(c.t.inputs)-1 || c.w.rt.Now().Sub(c.at) < checkpointEvery && len(c.todo) == 0 && i == 0 && len(c.t.inputs) == 1 {
		return
	}
	f := finishedInput{Tuple: t, Stderr: stderr}
	c.todo = append(c.todo, disk.Pair{Key: inputKey(c.t.key(), i)})
	p := &c.todo[len(c.todo)-1]
	if t.Outcome == jobs.OK && out.Len()-start <= maxInlineOutput {
		body, err := io.ReadAll(out.Reader(start))
		if err != nil {
			c.todo = c.todo[:len(c.todo)-1]
			return
		}
		f.Output = body
	} else if t.Outcome == jobs.OK {
		b, err := c.w.cfg.Blobs.Put(out.Reader(start), jobs.MaxBlob)
		if err == nil {
			err = c.w.cfg.Blobs.Hold(c.t.ctx, workOwner(c.t.ref.Job), b, time.Unix(c.t.info.job.Head.Expires, 0))
		}
		if err != nil {
			c.todo = c.todo[:len(c.todo)-1]
			return
		}
		f.Blob = b
	}
	p.Value = jobs.Encode(f)
	if c.w.rt.Now().Sub(c.at) < checkpointEvery {
		return
	}
	if err := c.w.cfg.Disk.Put(c.t.ctx, c.todo...); err != nil {
		c.w.cfg.Logger.Warn("finished inputs could not be saved", c.t.key().ids(), "error", err)
	}
	c.at, c.todo, c.wrote = c.w.rt.Now(), nil, true
}

// SaveInput stores the result of an input that was tried before its job was made.
func (w *Worker) SaveInput(ctx context.Context, ref protocol.ShardRef, unit uint16, i int, t jobs.Tuple, stderr, output []byte) error {
	if len(output) > maxInlineOutput {
		return nil // it is run again
	}
	f := finishedInput{Tuple: t, Stderr: last(stderr, jobs.MaxStderr), Output: output}
	return w.cfg.Disk.Put(ctx, disk.Pair{Key: inputKey(taskKey{ref, unit}, i), Value: jobs.Encode(f)})
}
