package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// ErrNotCanonical marks bytes that decode but are not the one encoding of what they mean.
var ErrNotCanonical = errors.New("not the canonical encoding")

// The limits below bound what a decoder may be made to allocate by a stranger's bytes.
const (
	maxElements = 1 << 16 // of any array
	maxNesting  = 8
)

type codec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// modes never changes: RFC 8949 §4.2 deterministic encoding, and a decoder
// that refuses everything that encoding would never produce.
var modes = newCodec()

func newCodec() codec {
	eo := cbor.CoreDetEncOptions()
	eo.NilContainers = cbor.NilContainerAsEmpty
	eo.TagsMd = cbor.TagsForbidden
	enc, err := eo.EncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		BinaryUnmarshaler: cbor.BinaryUnmarshalerNone, // no type here is one, and to ask each byte string costs
		MaxArrayElements:  maxElements,
		MaxMapPairs:       16,
		MaxNestedLevels:   maxNesting,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return codec{enc, dec}
}

// Encode is the canonical encoding of v, one of this package's types or a struct of them.
func Encode(v any) []byte {
	if rv := reflect.ValueOf(v); rv.Kind() != reflect.Pointer { // arrays that cannot be addressed encode byte by byte
		p := reflect.New(rv.Type())
		p.Elem().Set(rv)
		v = p.Interface()
	}
	b, err := modes.enc.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("jobs: encode %T: %v", v, err)) // our own types always encode
	}
	return b
}

// Decode reads exactly one v of at most limit bytes and refuses any other encoding of it than
// the canonical one: whatever decodes encodes to the same bytes again.
func Decode(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%T: %d bytes, more than %d", v, len(b), limit)
	}
	m := modes
	if err := m.dec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%T: %w", v, err)
	}
	again, err := m.enc.Marshal(v)
	if err != nil {
		return fmt.Errorf("%T: %w", v, err)
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("%T: %w", v, ErrNotCanonical)
	}
	return nil
}
