package link_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/link"
)

func TestFramesArriveAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		payloads := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 300)).Draw(t, "payloads")
		for _, p := range payloads {
			stream.Write(link.Seal(append(link.NewFrame(nil, link.KindOutput), p...)))
		}
		r := iotest.OneByteReader(&stream)
		var buf []byte
		for _, want := range payloads {
			kind, got, grown, err := link.ReadFrame(r, buf)
			if err != nil || kind != link.KindOutput || !bytes.Equal(got, want) {
				t.Fatalf("%q %x %v, want %x", kind, got, err, want)
			}
			buf = grown
		}
		if _, _, _, err := link.ReadFrame(r, buf); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

func TestBadFrames(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   error
	}{
		"no kind":   {"\x00\x00\x00\x00x", link.ErrFrame},
		"too large": {"\xff\xff\xff\x7fx", link.ErrFrame},
		"cut head":  {"\x05\x00", io.ErrUnexpectedEOF},
		"cut":       {"\x05\x00\x00\x00oab", io.ErrUnexpectedEOF},
		"nothing":   {"", io.EOF},
	} {
		if _, _, _, err := link.ReadFrame(bytes.NewReader([]byte(c.stream)), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestMessagesArriveAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := link.Input{
			Number: rapid.Uint64().Draw(t, "number"), Args: rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "args"),
			File:  link.File{Name: rapid.String().Draw(t, "name"), Path: rapid.String().Draw(t, "path")},
			Stdin: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "stdin"), More: rapid.Bool().Draw(t, "more"),
		}
		if got, err := link.DecodeInput(in.Append(nil)); err != nil || !reflect.DeepEqual(got, in) {
			t.Fatalf("%+v %v, want %+v", got, err, in)
		}
		r := link.Report{
			Outcome: jobs.OutputLimit, Exit: rapid.Uint32().Draw(t, "exit"), Fuel: rapid.Uint64().Draw(t, "fuel"), PeakMemory: 7, CPU: 9,
			Reason: rapid.String().Draw(t, "reason"), Stderr: []byte("stderr"), Output: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "output"),
		}
		if got, err := link.DecodeReport(r.Append(nil)); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v %v, want %+v", got, err, r)
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add((&link.Input{Args: []string{"a"}, Stdin: []byte("text")}).Append(nil))
	f.Add((&link.Report{Reason: "none"}).Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if in, err := link.DecodeInput(b); err == nil && len(in.Stdin) > len(b) {
			t.Error("more came out than was in")
		}
		if r, err := link.DecodeReport(b); err == nil && !r.Outcome.Valid() {
			t.Error("outcome that does not exist")
		}
	})
}
