package evidence

import (
	"bytes"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// Whatever a section decodes from is the one encoding of what it says.
func FuzzSections(f *testing.F) {
	file := newWorld(f, 2, 1, standard()).agreeAll().file()
	r := bytes.NewReader(file)
	for {
		b, err := readSection(r)
		if err != nil {
			break
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{&opening{}, &shardPart{}, &chunk{}} {
			if jobs.Decode(b, MaxSection, v) == nil && !bytes.Equal(jobs.Encode(v), b) {
				t.Errorf("%T: two encodings", v)
			}
		}
	})
}

// Framing: whatever is read is written the same.
func FuzzFraming(f *testing.F) {
	for _, n := range []int{0, 23, 24, 255, 256, 65535, 65536} {
		var b bytes.Buffer
		if err := writeSection(&b, make([]byte, n)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0x58, 1, 0})
	f.Add([]byte{0x59, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := readSection(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := writeFrame(&out, body); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, out.Bytes()) {
			t.Errorf("%x is read, %x is written", b, out.Bytes())
		}
	})
}
