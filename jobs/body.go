package jobs

import (
	"cmp"
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
		return within("seals", len(b.Seals), MaxSeals)
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
