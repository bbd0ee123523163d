package worker

import (
	"bytes"
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// A spool is a byte slice that goes to a file when it grows, whatever is written and dropped.
func TestSpoolIsASlice(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSpool(dir)
		defer s.Close()
		var want []byte
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") {
				p := bytes.Repeat([]byte{byte(len(want))}, rapid.SampledFrom([]int{0, 1, 1000, spoolMemory / 2, spoolMemory}).Draw(t, "n"))
				if n, err := s.Write(p); n != len(p) || err != nil {
					t.Fatal(n, err)
				}
				want = append(want, p...)
			} else {
				n := rapid.IntRange(0, len(want)).Draw(t, "keep")
				s.Truncate(int64(n))
				want = want[:n]
			}
			from := rapid.IntRange(0, len(want)).Draw(t, "from")
			got, err := io.ReadAll(s.Reader(int64(from)))
			if err != nil || !bytes.Equal(got, want[from:]) || s.Len() != int64(len(want)) {
				t.Fatalf("%d bytes from %d of %d: %v", len(got), from, len(want), err)
			}
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v %v", left, err)
	}
}
