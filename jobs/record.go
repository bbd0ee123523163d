package jobs

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// WholeJob is the shard number of records that are about a whole job.
const WholeJob = ^uint32(0)

// Bounds of records and batches.
const (
	MaxInline     = 16 << 10 // a payload inside a reveal
	MaxBody       = MaxInline + 4<<10
	MaxGrantHolds = 1024
	MaxBatch      = 1024 // entries under one signature
	MaxBatchBytes = 3 << 20
	batchDomain   = "shoal/batch/1\x00"
	recordDomain  = "shoal/record/1\x00"
)

// Entry is one record's content, with its place in the batch that was signed.
type Entry struct {
	_     struct{} `cbor:",toarray"`
	Index uint16
	Kind  Kind
	Body  []byte
	Path  []Digest // empty where the batch is whole
}

// Batch is some or all of the records that one author signed together: one signature over the
// root of a Merkle tree. A record is an entry with its path, root and signature.
type Batch struct {
	_       struct{} `cbor:",toarray"`
	Author  NodeID
	Job     JobID
	Shard   uint32
	Count   uint16
	Sig     [ed25519.SignatureSize]byte
	Entries []Entry
}

// Record is one verified record. It is immutable.
type Record struct {
	ID     Digest
	Author NodeID
	Job    JobID
	Shard  uint32
	Kind   Kind
	Body   any // *Placement, *Receipt, *Handover, *Grant, *Seal, *Reveal, *Control, *Ask, *Draw or *Final

	entry Entry // Path always filled in, so that the record can travel alone
	count uint16
	sig   [ed25519.SignatureSize]byte
}

// recordID is the record's name and its leaf in the batch's tree.
func recordID(author NodeID, job JobID, shard uint32, kind Kind, body []byte) Digest {
	var n [5]byte
	binary.BigEndian.PutUint32(n[:], shard)
	n[4] = byte(kind)
	return Sum([]byte{leafPrefix}, []byte(recordDomain), author[:], job[:], n[:], body)
}

func batchMessage(network string, author NodeID, job JobID, shard uint32, count uint16, root Digest) []byte {
	m := make([]byte, 0, len(batchDomain)+1+len(network)+32+32+6+32)
	m = append(m, batchDomain...)
	m = append(m, byte(len(network)))
	m = append(m, network...)
	m = append(m, author[:]...)
	m = append(m, job[:]...)
	m = binary.BigEndian.AppendUint32(m, shard)
	m = binary.BigEndian.AppendUint16(m, count)
	return append(m, root[:]...)
}

// SignBatch signs up to MaxBatch records about one shard with one signature.
func SignBatch(s Signer, network string, job JobID, shard uint32, bodies ...any) ([]*Record, error) {
	if len(bodies) == 0 || len(bodies) > MaxBatch {
		return nil, fmt.Errorf("batch of %d records: from 1 to %d", len(bodies), MaxBatch)
	}
	author := s.ID()
	records := make([]*Record, len(bodies))
	leaves := make([]Digest, len(bodies))
	for i, body := range bodies {
		kind, err := kindOf(body)
		if err != nil {
			return nil, err
		}
		if err := validateBody(body); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		raw := Encode(body)
		if len(raw) > MaxBody {
			return nil, fmt.Errorf("%s of %d bytes: at most %d", kind, len(raw), MaxBody)
		}
		leaves[i] = recordID(author, job, shard, kind, raw)
		records[i] = &Record{ID: leaves[i], Author: author, Job: job, Shard: shard, Kind: kind, Body: body,
			entry: Entry{Index: uint16(i), Kind: kind, Body: raw}, count: uint16(len(bodies))}
	}
	sig := s.Sign(batchMessage(network, author, job, shard, uint16(len(bodies)), Root(leaves)))
	paths := allPaths(leaves)
	for i, r := range records {
		r.entry.Path = paths[i]
		copy(r.sig[:], sig)
	}
	return records, nil
}

// allPaths computes every leaf's path, each level of the tree once.
func allPaths(leaves []Digest) [][]Digest {
	paths := make([][]Digest, len(leaves))
	for shift, row := 0, leaves; len(row) > 1; shift, row = shift+1, level(row) {
		for i := range paths {
			if s := (i >> shift) ^ 1; s < len(row) {
				paths[i] = append(paths[i], row[s])
			}
		}
	}
	return paths
}

// Verifier checks an Ed25519 signature. It may remember what it has checked.
type Verifier func(author NodeID, message, sig []byte) bool

// ErrSignature means that something was not signed by whom it names. No honest node passes such a
// thing on.
var ErrSignature = errors.New("bad signature")

// Verify is the Verifier that remembers nothing.
func Verify(author NodeID, message, sig []byte) bool { return ed25519.Verify(author[:], message, sig) }

// Open verifies a batch: bounds, every path, the signature; and gives its records.
func (b *Batch) Open(network string) ([]*Record, error) { return b.OpenWith(network, Verify) }

// OpenWith is Open with another way to check the signature.
func (b *Batch) OpenWith(network string, verify Verifier) ([]*Record, error) {
	if len(b.Entries) == 0 || b.Count > MaxBatch || len(b.Entries) > int(b.Count) {
		return nil, fmt.Errorf("batch of %d of %d records", len(b.Entries), b.Count)
	}
	records := make([]*Record, len(b.Entries))
	leaves := make([]Digest, len(b.Entries))
	for i := range b.Entries {
		e := &b.Entries[i]
		body, err := decodeBody(e.Kind, e.Body)
		if err != nil {
			return nil, err
		}
		leaves[i] = recordID(b.Author, b.Job, b.Shard, e.Kind, e.Body)
		records[i] = &Record{ID: leaves[i], Author: b.Author, Job: b.Job, Shard: b.Shard, Kind: e.Kind, Body: body,
			entry: *e, count: b.Count, sig: b.Sig}
	}
	root, err := b.root(leaves)
	if err != nil {
		return nil, err
	}
	if !verify(b.Author, batchMessage(network, b.Author, b.Job, b.Shard, b.Count, root), b.Sig[:]) {
		return nil, fmt.Errorf("batch: %w", ErrSignature)
	}
	if b.whole() {
		for i, p := range allPaths(leaves) {
			records[i].entry.Path = p
		}
	}
	return records, nil
}

// whole reports whether all entries are here; they then stand in order, without paths.
func (b *Batch) whole() bool { return len(b.Entries) == int(b.Count) }

func (b *Batch) root(leaves []Digest) (Digest, error) {
	if b.whole() {
		for i := range b.Entries {
			if int(b.Entries[i].Index) != i || len(b.Entries[i].Path) > 0 {
				return Digest{}, errors.New("whole batch out of order or with paths")
			}
		}
		return Root(leaves), nil
	}
	var root Digest
	for i := range b.Entries {
		e := &b.Entries[i]
		if i > 0 && e.Index <= b.Entries[i-1].Index {
			return Digest{}, errors.New("batch: entries out of order")
		}
		r, ok := RootFrom(leaves[i], int(e.Index), int(b.Count), e.Path)
		if !ok || i > 0 && r != root {
			return Digest{}, errors.New("batch: path does not lead to its root")
		}
		root = r
	}
	return root, nil
}

// Batches groups records into the fewest batches that can carry them: records that were
// signed together travel together, whole batches without paths. Order is kept by first
// appearance.
func Batches(records []*Record) []Batch {
	type key struct {
		author NodeID
		sig    [ed25519.SignatureSize]byte
	}
	at := map[key]int{}
	var out []Batch
	for _, r := range records {
		k := key{r.Author, r.sig}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, Batch{Author: r.Author, Job: r.Job, Shard: r.Shard, Count: r.count, Sig: r.sig})
		}
		out[i].Entries = append(out[i].Entries, r.entry)
	}
	for i := range out {
		out[i].normalise()
	}
	return out
}

// normalise sorts entries, drops repeats, and drops the paths of a whole batch.
func (b *Batch) normalise() {
	sortEntries(b.Entries)
	kept := b.Entries[:0]
	for i, e := range b.Entries {
		if i == 0 || e.Index != kept[len(kept)-1].Index {
			kept = append(kept, e)
		}
	}
	b.Entries = kept
	if b.whole() {
		for i := range b.Entries {
			b.Entries[i].Path = nil
		}
	}
}

// Size is about how many bytes the record takes in a message.
func (r *Record) Size() int {
	return len(r.entry.Body) + len(r.entry.Path)*(len(Digest{})+2) + ed25519.SignatureSize + 96
}
