package jobs

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what a record states.
type Kind uint8

// The kinds of records in a shard's ledger, and who may author them.
const (
	KindPlacement Kind = 1 + iota // submitter: these keepers hold the shard
	KindReceipt                   // keeper: I hold this shard until then
	KindHandover                  // keeper: the shard's keepers are now these
	KindGrant                     // keeper: this worker may run these replicas
	KindSeal                      // worker: I have a result, and this is its commitment
	KindReveal                    // worker: and this is the result
	KindControl                   // submitter: the job is cancelled, collected or extended
	KindAsk                       // submitter: these units need more votes than their policy's
	KindDraw                      // submitter: a fresh secret to give some units out by
	KindFinal                     // submitter: these answers are accepted, and nothing changes that

	numKinds
)

var kindNames = [numKinds]string{"", "placement", "receipt", "handover", "grant", "seal", "reveal", "control", "ask", "draw", "final"}

// String is the kind's name.
func (k Kind) String() string {
	if k > 0 && k < numKinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MaxKeepers bounds a set of keepers in a record; the design uses r = 5 and up to 5 placements.
const MaxKeepers = 25

// Placement is the submitter's statement of which keepers it has receipts from.
type Placement struct {
	_        struct{} `cbor:",toarray"`
	Keepers  []NodeID
	Receipts []Digest // record ids
}

// Receipt is a keeper's promise to hold a shard, its program and its inputs.
type Receipt struct {
	_      struct{} `cbor:",toarray"`
	Secret [32]byte // random: part of the seed that assigns work
	Until  int64    // Unix seconds
}

// Handover is a keeper's statement that the shard has other keepers now.
type Handover struct {
	_   struct{} `cbor:",toarray"`
	Set []NodeID
}

// Hold is one replica of one unit of the shard.
type Hold struct {
	_       struct{} `cbor:",toarray"`
	Unit    uint16
	Replica uint8
}

// CompareHolds is the order of holds in a grant.
func CompareHolds(a, b Hold) int {
	return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Replica, b.Replica))
}

// Grant is a keeper's consent that a worker runs some replicas.
type Grant struct {
	_       struct{} `cbor:",toarray"`
	Worker  NodeID
	Network string   // the network the keeper saw the worker in; empty for a private address
	Set     []NodeID // the confirmed keeper set, as this keeper sees it
	Holds   []Hold   // in strictly ascending order
}

// Seal commits a worker to a result before anyone can see it.
type Seal struct {
	_          struct{} `cbor:",toarray"`
	Unit       uint16
	Replica    uint8
	Commitment Digest
	Grants     []Digest // record ids of the grants it ran under
}

// Reveal is a worker's result for one unit: what it committed to.
type Reveal struct {
	_       struct{} `cbor:",toarray"`
	Unit    uint16
	Replica uint8
	Tuples  Digest // of the per-input tuples
	GaveUp  bool   // some input of them is GaveUp
	Nonce   Digest
	Seals   []Digest // record ids of the seals it had read from a majority
	Inline  []byte   // the payload, where it is small
	Payload Blob     // else the payload's name
	CPU     uint64   // milliseconds it took, informative
}

// Control is the submitter's word on the whole job. The highest number wins.
type Control struct {
	_       struct{} `cbor:",toarray"`
	Number  uint32
	Act     Act
	Expires int64 // with ActExtend: Unix seconds
}

// Draw adds a fresh secret to the seed by which some consecutive units of the shard are given out:
// what nobody could know before.
type Draw struct {
	_      struct{} `cbor:",toarray"`
	Number uint16   // unit numbers from DrawUnits times this
	Secret [32]byte
}

// DrawUnits is how many consecutive units are given out by one seed.
const DrawUnits = 128

// Act is what a control record does.
type Act uint8

// The acts of a control record.
const (
	ActCancel Act = 1 + iota
	ActCollected
	ActExtend
)

// Ask is the submitter's wish for more votes. Of several the highest numbers count, so that it is
// the same from any machine that has the key.
type Ask struct {
	_      struct{}  `cbor:",toarray"`
	Units  []UnitAsk // in strictly ascending order of units
	Voters []NodeID  // where there are any, only these may give them: those with standing
}

// UnitAsk is how many votes a unit needs in all; more than MaxVotes: the submitter's own run.
type UnitAsk struct {
	_     struct{} `cbor:",toarray"`
	Unit  uint16
	Votes uint8
}

// Final is the submitter's word that a job is done, and with which answers: of some consecutive
// units of the shard what their accepted answer's tuples are named by. It is signed when every unit
// of the job is accepted and nothing can fall any more. The same answers make the same record.
type Final struct {
	_       struct{} `cbor:",toarray"`
	Number  uint16   // units from FinalUnits times this
	Answers []Digest // one for each unit, in order
}

// FinalUnits is how many consecutive units one final record speaks of, at most.
const FinalUnits = 512

// OwnRun is the number of votes that asks for the submitter's own run.
const OwnRun = 0xff

// MaxVoters bounds the voters that an ask names.
const MaxVoters = 64

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

func kindOf(body any) (Kind, error) {
	switch body.(type) {
	case *Placement:
		return KindPlacement, nil
	case *Receipt:
		return KindReceipt, nil
	case *Handover:
		return KindHandover, nil
	case *Grant:
		return KindGrant, nil
	case *Seal:
		return KindSeal, nil
	case *Reveal:
		return KindReveal, nil
	case *Control:
		return KindControl, nil
	case *Ask:
		return KindAsk, nil
	case *Draw:
		return KindDraw, nil
	case *Final:
		return KindFinal, nil
	}
	return 0, fmt.Errorf("%T is not the body of a record", body)
}

func decodeBody(kind Kind, b []byte) (any, error) {
	var body any
	limit := MaxBody
	switch kind {
	case KindPlacement:
		body = new(Placement)
	case KindReceipt:
		body = new(Receipt)
	case KindHandover:
		body = new(Handover)
	case KindGrant:
		body = new(Grant)
	case KindSeal:
		body = new(Seal)
	case KindReveal:
		body = new(Reveal)
	case KindControl:
		body = new(Control)
	case KindAsk:
		body = new(Ask)
	case KindDraw:
		body = new(Draw)
	case KindFinal:
		body = new(Final)
	default:
		return nil, fmt.Errorf("unknown record kind %d", kind)
	}
	if err := Decode(b, limit, body); err != nil {
		return nil, err
	}
	return body, validateBody(body)
}

func validateBody(body any) error {
	switch b := body.(type) {
	case *Placement:
		return within("keepers", len(b.Keepers), MaxKeepers, "receipts", len(b.Receipts), MaxKeepers)
	case *Handover:
		return within("keepers", len(b.Set), MaxKeepers)
	case *Grant:
		if len(b.Network) > 64 {
			return errors.New("network too long")
		}
		for i := 1; i < len(b.Holds); i++ {
			if CompareHolds(b.Holds[i-1], b.Holds[i]) >= 0 {
				return errors.New("holds out of order")
			}
		}
		return within("keepers", len(b.Set), MaxKeepers, "holds", len(b.Holds), MaxGrantHolds)
	case *Seal:
		return within("grants", len(b.Grants), MaxKeepers)
	case *Reveal:
		if len(b.Inline) > MaxInline || b.Payload.Size > MaxBlob {
			return errors.New("payload too large")
		}
		if (len(b.Inline) > 0) == !b.Payload.Digest.IsZero() {
			return errors.New("a reveal has its payload inline or as a blob")
		}
		return within("seals", len(b.Seals), 4*MaxVotes)
	case *Control:
		if b.Act < ActCancel || b.Act > ActExtend {
			return fmt.Errorf("unknown act %d", b.Act)
		}
	case *Ask:
		for i := 1; i < len(b.Units); i++ {
			if b.Units[i-1].Unit >= b.Units[i].Unit {
				return errors.New("units out of order")
			}
		}
		return within("units", len(b.Units), UnitsPerShard, "voters", len(b.Voters), MaxVoters)
	case *Draw:
		if b.Number >= UnitsPerShard/DrawUnits {
			return fmt.Errorf("draw %d: a shard has %d", b.Number, UnitsPerShard/DrawUnits)
		}
	case *Final:
		if b.Number >= UnitsPerShard/FinalUnits {
			return fmt.Errorf("final %d: a shard has %d", b.Number, UnitsPerShard/FinalUnits)
		}
		return within("answers", len(b.Answers), FinalUnits)
	}
	return nil
}

// within checks triples of name, length, limit.
func within(triples ...any) error {
	for i := 0; i < len(triples); i += 3 {
		if n, limit := triples[i+1].(int), triples[i+2].(int); n > limit {
			return fmt.Errorf("%d %s: at most %d", n, triples[i], limit)
		}
	}
	return nil
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
		return nil, errors.New("batch: bad signature")
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
