package jobs

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
)

// Source is where the inputs of a unit are found.
type Source uint8

const (
	// FromRange inputs are consecutive integers, beginning at UnitSpec.From.
	FromRange Source = 1
	// FromInline inputs are a pack inside the manifest.
	FromInline Source = 2
	// FromBlob inputs are a pack that is a blob of its own.
	FromBlob Source = 3
)

// Sizes of what rides inside what. An input above MaxInlineInput is a blob of its own; a
// pack above MaxInlinePack is a blob; a manifest is one message.
const (
	MaxInlineInput = 64 << 10
	MaxInlinePack  = 1 << 10
	MaxPack        = 2 << 20
	MaxManifest    = 2 << 20
	maxProof       = 20
)

// UnitSpec says what one unit runs on.
type UnitSpec struct {
	_      struct{} `cbor:",toarray"`
	Count  uint32   // inputs
	Source Source
	From   int64  // FromRange
	Inline []byte // FromInline: an encoded pack
	Pack   Blob   // FromBlob
}

// Input is one thing a program is run on.
type Input struct {
	_    struct{} `cbor:",toarray"`
	Name string   // relative path of a file; empty for a line or a number
	Data []byte   // the bytes, where they are few
	Blob Blob     // else their name
}

// IsBlob reports whether the input's bytes are a blob of their own.
func (in *Input) IsBlob() bool { return !in.Blob.Digest.IsZero() }

// Manifest lists the units of one shard.
type Manifest struct {
	_     struct{} `cbor:",toarray"`
	Shard uint32
	First uint64 // number of the shard's first input in the job, from 0
	Units []UnitSpec
}

// Inputs is the number of inputs in the shard.
func (m *Manifest) Inputs() (n uint64) {
	for i := range m.Units {
		n += uint64(m.Units[i].Count)
	}
	return n
}

// FirstInput is the number in the job, from 0, of a unit's first input.
func (m *Manifest) FirstInput(unit int) uint64 {
	n := m.First
	for i := range unit {
		n += uint64(m.Units[i].Count)
	}
	return n
}

// Blobs are the packs that the manifest names.
func (m *Manifest) Blobs() []Blob {
	var bs []Blob
	for i := range m.Units {
		if m.Units[i].Source == FromBlob {
			bs = append(bs, m.Units[i].Pack)
		}
	}
	return bs
}

// OpenManifest decodes a shard's manifest and checks that it is the one that the job's
// signed head commits to.
func OpenManifest(h *Head, shard uint32, b []byte, proof []Digest) (*Manifest, error) {
	var m Manifest
	if err := Decode(b, MaxManifest, &m); err != nil {
		return nil, err
	}
	if m.Shard != shard || len(m.Units) != h.ShardUnits(shard) || len(m.Units) == 0 {
		return nil, errors.New("manifest of another shard")
	}
	if len(proof) > maxProof {
		return nil, errors.New("manifest: proof too long")
	}
	root, ok := RootFrom(LeafOf(b), int(shard), int(h.Shards()), proof)
	if !ok || root != h.Root {
		return nil, errors.New("manifest is not the one the job was signed with")
	}
	for i := range m.Units {
		if err := m.Units[i].validate(); err != nil {
			return nil, fmt.Errorf("unit %d: %w", i, err)
		}
	}
	if m.First > h.Inputs || m.Inputs() > h.Inputs-m.First {
		return nil, errors.New("manifest has more inputs than its job")
	}
	return &m, nil
}

func (u *UnitSpec) validate() error {
	if u.Count == 0 || u.Count > MaxUnitInputs {
		return fmt.Errorf("%d inputs: from 1 to %d", u.Count, MaxUnitInputs)
	}
	switch u.Source {
	case FromRange:
		if u.From > math.MaxInt64-int64(u.Count) {
			return errors.New("range beyond 64 bits")
		}
	case FromInline:
		if len(u.Inline) > MaxInlinePack {
			return errors.New("pack too large to be inline")
		}
	case FromBlob:
		if u.Pack.Size > MaxPack {
			return errors.New("pack too large")
		}
	default:
		return fmt.Errorf("unknown source %d", u.Source)
	}
	return nil
}

// OpenInputs gives the inputs of a unit; pack is its pack's bytes, nil for a range.
func (u *UnitSpec) OpenInputs(pack []byte) ([]Input, error) {
	ins := make([]Input, 0, u.Count)
	if u.Source == FromRange {
		for i := range int64(u.Count) {
			ins = append(ins, Input{Data: strconv.AppendInt(nil, u.From+i, 10)})
		}
		return ins, nil
	}
	if u.Source == FromInline {
		pack = u.Inline
	}
	if err := Decode(pack, MaxPack, &ins); err != nil {
		return nil, err
	}
	if len(ins) != int(u.Count) {
		return nil, fmt.Errorf("pack of %d inputs, manifest says %d", len(ins), u.Count)
	}
	for i := range ins {
		if ins[i].Name != "" {
			if err := ValidPath(ins[i].Name); err != nil {
				return nil, err
			}
		}
		if ins[i].IsBlob() && (len(ins[i].Data) > 0 || ins[i].Blob.Size > MaxBlob) {
			return nil, errors.New("input is both inline and a blob, or too large")
		}
	}
	return ins, nil
}

// Args is the job's argument list for one input: {} stands for the line, the number or the
// file's path in the sandbox, {#} for the input's number counted from 1.
func (in *Input) Args(template []string, number uint64) []string {
	value := string(in.Data)
	if in.Name != "" {
		value = "/in/" + path.Base(in.Name)
	}
	r := strings.NewReplacer("{}", value, "{#}", strconv.FormatUint(number+1, 10))
	out := make([]string, len(template))
	for i, a := range template {
		out[i] = r.Replace(a)
	}
	return out
}

// WantsFile reports whether the arguments mention the input by path.
func WantsFile(template []string) bool {
	for _, a := range template {
		if strings.Contains(a, "{}") {
			return true
		}
	}
	return false
}
