package jobs

import (
	"bytes"
	"testing"
)

// Whatever a decoder accepts must encode to the same bytes again, and must never panic.

func FuzzHead(f *testing.F) {
	j, err := SignHead(testHead(), testKey(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(j.Bytes())
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := OpenHead(b, "test"); err == nil && !bytes.Equal(j.Bytes(), b) {
			t.Fatal("malleable head")
		}
	})
}

func FuzzBatch(f *testing.F) {
	for _, body := range testBodies() {
		rs, err := SignBatch(testKey(1), "test", JobID{}, 0, body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(Encode(Batches(rs)[0]))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b Batch
		if Decode(raw, MaxBatchBytes, &b) != nil {
			return
		}
		rs, err := b.Open("test")
		if err != nil {
			return
		}
		if again := Batches(rs); len(again) != 1 || !bytes.Equal(Encode(again[0]), raw) {
			t.Fatal("malleable batch")
		}
	})
}

func FuzzBodies(f *testing.F) {
	for _, body := range testBodies() {
		k, _ := kindOf(body)
		f.Add(uint8(k), Encode(body))
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		if body, err := decodeBody(Kind(kind), raw); err == nil && !bytes.Equal(Encode(body), raw) {
			t.Fatal("malleable body")
		}
	})
}

func FuzzManifest(f *testing.F) {
	m := Encode(Manifest{Units: []UnitSpec{{Count: 2, Source: FromRange}, {Count: 1, Source: FromInline, Inline: Encode([]Input{{}})}}})
	f.Add(m)
	f.Fuzz(func(t *testing.T, raw []byte) {
		h := testHead()
		h.Root = LeafOf(raw)
		m, err := OpenManifest(&h, 0, raw, nil)
		if err != nil {
			return
		}
		for i := range m.Units {
			if ins, err := m.Units[i].OpenInputs(nil); err == nil && len(ins) != int(m.Units[i].Count) {
				t.Fatal("wrong number of inputs")
			}
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(NewPayloadHead([]Tuple{{Outcome: OK}, {Outcome: Exit, Exit: 1}}, nil), uint8(2))
	f.Fuzz(func(t *testing.T, raw []byte, n uint8) {
		if h, err := ReadPayloadHead(bytes.NewReader(raw), int(n)); err == nil && len(h.Tuples) != int(n) {
			t.Fatal("wrong number of tuples")
		}
	})
}
