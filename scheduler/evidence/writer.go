package evidence

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Writer writes a file, shard by shard and unit by unit.
type Writer struct {
	w    io.Writer
	job  *jobs.Job
	next uint32 // shard

	left   int // units that the current shard still wants
	grants map[jobs.Digest]*jobs.Record
	chunk  chunk
	here   []*jobs.Record // of the chunk
	size   int            // of the chunk, about
}

// Begin writes a file's opening.
func Begin(w io.Writer, job *jobs.Job) (*Writer, error) {
	return &Writer{w: w, job: job}, writeSection(w, opening{Schema: Schema, Head: job.Bytes()})
}

var errOrder = errors.New("evidence: not the next shard or unit")

// Shard begins the next shard: its manifest with the path to the head's root, who has custody
// of it, and the grants that its units' seals lean on. Of more records of custody than are read,
// placements and receipts are written before hand-overs.
func (w *Writer) Shard(manifest []byte, proof []jobs.Digest, custody, grants []*jobs.Record) error {
	if w.left > 0 || w.next >= w.job.Head.Shards() {
		return errOrder
	}
	w.left = w.job.Head.ShardUnits(w.next)
	w.grants = map[jobs.Digest]*jobs.Record{}
	for _, g := range grants {
		w.grants[g.ID] = g
	}
	w.chunk = chunk{}
	slices.SortStableFunc(custody, func(a, b *jobs.Record) int { return cmp.Compare(room(a), room(b)) })
	custody = custody[:min(len(custody), MaxCustody)]
	err := writeSection(w.w, shardPart{Shard: w.next, Manifest: manifest, Proof: proof, Custody: sorted(custody)})
	w.next++
	return err
}

// room is in what order records of custody are written while there is room: the submitter's last
// word first.
func room(r *jobs.Record) jobs.Kind {
	if r.Kind == jobs.KindFinal {
		return 0
	}
	return r.Kind
}

// Unit adds the next unit of the shard. The zero proof stands for a unit without a verdict.
func (w *Writer) Unit(p Proof) error {
	if w.left == 0 {
		return errOrder
	}
	size := 0
	for _, r := range p.Records {
		size += r.Size()
		if s, ok := r.Body.(*jobs.Seal); ok {
			for _, id := range s.Grants {
				if g := w.grants[id]; g != nil {
					size += g.Size() // counted again for each unit: enough for an aim
					w.here = append(w.here, g)
				}
			}
		}
	}
	for _, ts := range p.Tuples {
		size += len(ts) * tupleSize
	}
	w.here = append(w.here, p.Records...)
	w.chunk.Tuples = append(w.chunk.Tuples, p.Tuples...)
	w.chunk.Count++
	w.left--
	if w.size += size; w.size >= aim || w.left == 0 {
		return w.flush()
	}
	return nil
}

// tupleSize is about what a tuple takes.
const tupleSize = 56

func (w *Writer) flush() error {
	c := w.chunk
	c.Batches = sorted(w.here)
	slices.SortFunc(c.Tuples, compareTuples)
	c.Tuples = slices.CompactFunc(c.Tuples, func(a, b []jobs.Tuple) bool { return compareTuples(a, b) == 0 })
	w.chunk = chunk{First: c.First + c.Count}
	w.here, w.size = nil, 0
	return writeSection(w.w, c)
}

// sorted puts records into the fewest batches, in the one order that is read.
func sorted(rs []*jobs.Record) []jobs.Batch {
	bs := jobs.Batches(rs)
	slices.SortFunc(bs, compareBatches)
	return bs
}

// End reports whether the file is whole.
func (w *Writer) End() error {
	if w.left > 0 || w.next != w.job.Head.Shards() {
		return errOrder
	}
	return nil
}
