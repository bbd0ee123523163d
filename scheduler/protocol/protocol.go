// Package protocol is what keepers are asked and answer: the messages of /shoal/keeper/1 and
// their one encoding. It is pure. A message is a verb, then canonical CBOR; an answer is a
// status, then canonical CBOR or the text of a refusal.
package protocol

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// ID names the protocol on the wire.
const ID = "/shoal/keeper/1"

// MaxMessage bounds a message in either direction.
const MaxMessage = 4 << 20

// Verb says what is asked.
type Verb uint8

// The verbs.
const (
	Publish  Verb = 1 + iota // hold this shard
	Claim                    // may I run these replicas?
	Renew                    // I still run them; or: I give them up
	Offer                    // take these records: seals, reveals, placements, controls, …
	Watch                    // tell me when these rounds' seals are complete
	Read                     // the records of these units
	Summary                  // the shard at a glance, at once or when it changes
	Manifest                 // the job's head and the shard's manifest
	Sync                     // what do you have that I lack?
	Board                    // the jobs you have heard of
	Blob                     // the bytes of a small blob
	Hello                    // what do you do?
	Notices                  // the submitters' notices that I lack
	Holders                  // who runs what of my shard now?

	numVerbs
)

var verbNames = [numVerbs]string{"", "publish", "claim", "renew", "offer", "watch", "read", "summary", "manifest", "sync", "board", "blob", "hello", "notices", "holders"}

// Known reports whether v is one of the verbs above.
func (v Verb) Known() bool { return v > 0 && v < numVerbs }

// String is the verb's name.
func (v Verb) String() string {
	if v.Known() {
		return verbNames[v]
	}
	return fmt.Sprintf("verb(%d)", uint8(v))
}

// Code says why something was refused.
type Code uint8

// The codes of a refusal.
const (
	Bad     Code = 1 + iota // the request is malformed or breaks a bound
	Unknown                 // that shard, job or blob is not here
	Closed                  // the job has ended
	Full                    // no room for it here
	Busy                    // try again later
	Forged                  // something in it was not signed by whom it names
)

// Refusal is a keeper's no. It travels as such and is an error on both sides.
type Refusal struct {
	_    struct{} `cbor:",toarray"`
	Code Code
	Text string
}

// Error is the refusal's text.
func (r *Refusal) Error() string { return r.Text }

// Refuse makes a refusal.
func Refuse(c Code, format string, args ...any) *Refusal {
	return &Refusal{Code: c, Text: fmt.Sprintf(format, args...)}
}

// Refused reports whether err is a refusal with that code.
func Refused(err error, c Code) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == c
}

// ShardRef names a shard.
type ShardRef struct {
	_     struct{} `cbor:",toarray"`
	Job   jobs.JobID
	Shard uint32
}

// Compare is an order of shards: by job, then by number.
func (a ShardRef) Compare(b ShardRef) int {
	return cmp.Or(bytes.Compare(a.Job[:], b.Job[:]), cmp.Compare(a.Shard, b.Shard))
}

// PublishRequest asks a keeper to hold a shard. Who asks holds the blobs.
type PublishRequest struct {
	_        struct{} `cbor:",toarray"`
	Head     []byte
	Shard    uint32
	Manifest []byte
	Proof    []jobs.Digest
	Wait     uint32 // milliseconds the asker waits for the blobs to be fetched
}

// PublishAnswer carries the keeper's receipt once it has everything.
type PublishAnswer struct {
	_       struct{}     `cbor:",toarray"`
	Receipt []jobs.Batch // none yet: still fetching blobs; ask again
}

// ClaimRequest asks for replicas. Known is the version of the last summary that was seen.
type ClaimRequest struct {
	_     struct{} `cbor:",toarray"`
	Shard ShardRef
	Known uint64
	Holds []jobs.Hold
}

// ClaimAnswer is a keeper's grant, of all, some or none of what was asked.
type ClaimAnswer struct {
	_       struct{} `cbor:",toarray"`
	Granted []jobs.Hold
	Grant   []jobs.Batch // one grant record, unless nothing was granted
	Summary *scheduler.Summary
}

// RenewRequest extends holds, or with Release gives them up.
type RenewRequest struct {
	_       struct{} `cbor:",toarray"`
	Shard   ShardRef
	Holds   []jobs.Hold
	Release bool
}

// RenewAnswer lists what the worker does not hold any more.
type RenewAnswer struct {
	_    struct{} `cbor:",toarray"`
	Lost []jobs.Hold
}

// OfferRequest brings records. They are on the keeper's disk when it answers.
type OfferRequest struct {
	_       struct{} `cbor:",toarray"`
	Shard   ShardRef
	Known   uint64
	Batches []jobs.Batch
}

// OfferAnswer acknowledges them.
type OfferAnswer struct {
	_       struct{} `cbor:",toarray"`
	Fresh   uint32   // records that were new here
	Refused uint32   // records that cannot be kept
	Summary *scheduler.Summary
}

// WatchRequest waits until the seals that some replica's round asks for are in, or some unit
// is decided.
type WatchRequest struct {
	_     struct{} `cbor:",toarray"`
	Shard ShardRef
	Holds []jobs.Hold // sealed, not revealed
	Units []uint16    // revealed, waiting to be decided
	Wait  uint32      // milliseconds
}

// WatchAnswer has the seals of those rounds, and says which units are decided already, and in
// which of them the asker's vote is what was decided, or against it.
type WatchAnswer struct {
	_        struct{} `cbor:",toarray"`
	Ready    []jobs.Hold
	Seals    []jobs.Batch
	Decided  []uint16
	Accepted []uint16
	Against  []uint16
}

// ReadRequest asks for all records of some units, and with General for those about none.
type ReadRequest struct {
	_       struct{} `cbor:",toarray"`
	Shard   ShardRef
	Units   []uint16
	General bool
}

// ReadAnswer has them, as far as one message carries; More names the units left out.
type ReadAnswer struct {
	_       struct{} `cbor:",toarray"`
	Batches []jobs.Batch
	More    []uint16
}

// SummaryRequest asks for a summary newer than Known, waiting for one if there is none yet.
type SummaryRequest struct {
	_     struct{} `cbor:",toarray"`
	Shard ShardRef
	Known uint64
	Wait  uint32 // milliseconds
}

// HoldersAnswer says who holds which units of a shard now. The request is the shard. Only the
// submitter and the other keepers are told: whoever runs a unit must not know of its partner.
type HoldersAnswer struct {
	_       struct{} `cbor:",toarray"`
	Holders []scheduler.Holder
}

// MaxHolders bounds the workers in a HoldersAnswer.
const MaxHolders = 64

// SummaryAnswer has it; none when nothing changed in the time.
type SummaryAnswer struct {
	_       struct{} `cbor:",toarray"`
	Summary *scheduler.Summary
}

// ManifestAnswer is all that is needed to run a shard's units, but the blobs.
type ManifestAnswer struct {
	_        struct{} `cbor:",toarray"`
	Head     []byte
	Manifest []byte
	Proof    []jobs.Digest
}

// SyncRequest compares two keepers' sets, slot by slot.
type SyncRequest struct {
	_       struct{} `cbor:",toarray"`
	Shard   ShardRef
	Digests []uint64
}

// SyncAnswer has the answering keeper's records of the slots that differ, as far as one
// message carries, and names those slots.
type SyncAnswer struct {
	_       struct{} `cbor:",toarray"`
	Slots   []uint16
	Batches []jobs.Batch
}

// BoardRequest asks for heads with ids above After, in order. Nothing comes where the two
// boards' digests are equal.
type BoardRequest struct {
	_      struct{} `cbor:",toarray"`
	After  jobs.JobID
	Digest uint64
}

// BoardAnswer has as many as one message carries; More says that there are others.
type BoardAnswer struct {
	_     struct{} `cbor:",toarray"`
	Posts []Post
	More  bool
}

// Post is a job on the board: its head, with receipts of its shard 0's keepers.
type Post struct {
	_        struct{} `cbor:",toarray"`
	Head     []byte
	Receipts []jobs.Batch
	Control  []jobs.Batch // the submitter's latest word on the job, if any
}

// HelloRequest asks what a node does.
type HelloRequest struct {
	_ struct{} `cbor:",toarray"`
}

// HelloAnswer says it. It is informative: nothing is decided by it.
type HelloAnswer struct {
	_        struct{} `cbor:",toarray"`
	Donating bool     // now
	Slots    uint16
	Keeps    bool
	Profiles []jobs.Profile
	Now      int64  // its wall clock: Unix milliseconds
	Lends    bool   // its owner donates, though perhaps not at the moment
	Memory   uint64 // bytes that it lends to programs; 0: not said
	Name     string // what it calls itself; anybody can say anything
}

// NoticesRequest asks for the notices that are not among Have, by the beginnings of their ids.
type NoticesRequest struct {
	_    struct{} `cbor:",toarray"`
	Have []uint64
}

// NoticesAnswer has them, signed.
type NoticesAnswer struct {
	_       struct{} `cbor:",toarray"`
	Notices [][]byte
}

// MaxNotices bounds the notices that a node carries, and so what either message lists.
const MaxNotices = 1024

// BlobRequest asks for a blob of at most MaxSmallBlob bytes.
type BlobRequest struct {
	_    struct{} `cbor:",toarray"`
	Blob jobs.Blob
}

// BlobAnswer has its bytes.
type BlobAnswer struct {
	_    struct{} `cbor:",toarray"`
	Data []byte
}

// MaxSmallBlob is the size up to which blobs ride in messages; larger ones move by bitswap,
// which takes 20 ms for each however small.
const MaxSmallBlob = 64 << 10

// EncodeRequest puts a verb before a message.
func EncodeRequest(v Verb, m any) []byte { return append([]byte{byte(v)}, jobs.Encode(m)...) }

// SplitRequest takes the verb off.
func SplitRequest(b []byte) (Verb, []byte, error) {
	if len(b) == 0 || Verb(b[0]) == 0 || Verb(b[0]) >= numVerbs {
		return 0, nil, Refuse(Bad, "unknown verb")
	}
	return Verb(b[0]), b[1:], nil
}

const (
	statusOK      = 0
	statusRefused = 1
)

// EncodeAnswer encodes an answer, or the refusal that err is. Other errors become a refusal
// without details: a peer learns nothing about this machine.
func EncodeAnswer(m any, err error) []byte {
	if err == nil {
		return append([]byte{statusOK}, jobs.Encode(m)...)
	}
	var r *Refusal
	if !errors.As(err, &r) {
		r = Refuse(Busy, "the keeper could not do that now")
	}
	return append([]byte{statusRefused}, jobs.Encode(r)...)
}

// DecodeAnswer decodes an answer into m, or returns the refusal.
func DecodeAnswer(b []byte, m any) error {
	if len(b) == 0 {
		return errors.New("empty answer")
	}
	switch b[0] {
	case statusOK:
		return jobs.Decode(b[1:], MaxMessage, m)
	case statusRefused:
		var r Refusal
		if err := jobs.Decode(b[1:], 4096, &r); err != nil {
			return err
		}
		return &r
	}
	return fmt.Errorf("answer with unknown status %d", b[0])
}

// Refuses reports whether an encoded answer is a refusal with that code.
func Refuses(answer []byte, c Code) bool {
	return len(answer) > 0 && answer[0] == statusRefused && Refused(DecodeAnswer(answer, nil), c)
}

// Invalid is the refusal of what could not be opened.
func Invalid(err error) *Refusal {
	if errors.Is(err, jobs.ErrSignature) {
		return Refuse(Forged, "%v", err)
	}
	return Refuse(Bad, "%v", err)
}

// DecodeRequest decodes the body of a request.
func DecodeRequest(b []byte, m any) error {
	if err := jobs.Decode(b, MaxMessage, m); err != nil {
		return Refuse(Bad, "%v", err)
	}
	return nil
}
