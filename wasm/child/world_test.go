package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/link"
)

func TestClock(t *testing.T) {
	var c clock
	if sec, nsec := c.wall(); sec != epoch || nsec != 0 {
		t.Errorf("begins at %d.%09d", sec, nsec)
	}
	if got := c.monotonic(); got != tick {
		t.Errorf("second reading: %d", got)
	}
	c.sleep(5 * tick)
	if got := c.monotonic(); got != 7*tick {
		t.Errorf("after a sleep: %d", got)
	}
	c.sleep(-1)
	c.sleep(math.MaxInt64) // waits for nothing
	if got := c.monotonic(); got != 8*tick {
		t.Errorf("after sleeps of nothing: %d", got)
	}
	c.sleep(math.MaxInt64 - 1)
	c.sleep(math.MaxInt64 - 1)
	if a, b := c.monotonic(), c.monotonic(); a <= 0 || b != a {
		t.Errorf("at the end of time: %d, %d", a, b)
	}
	if sec, nsec := c.wall(); sec <= epoch || nsec < 0 {
		t.Errorf("at the end of time: %d.%09d", sec, nsec)
	}
}

func TestStdoutStopsAtTheLimit(t *testing.T) {
	for _, c := range []struct {
		limit  uint64
		writes []int
		full   bool
	}{
		{0, nil, false},
		{0, []int{0}, false},
		{0, []int{1}, true},
		{10, []int{4, 6}, false},
		{10, []int{4, 7}, true},
		{10, []int{100}, true},
		{3 * link.InlineMax, []int{link.InlineMax, link.InlineMax, link.InlineMax}, false},
		{3 * link.InlineMax, []int{3*link.InlineMax - 1, 5}, true},
		{1 << 20, []int{1, link.InlineMax, 2 * link.InlineMax, 7}, false},
	} {
		t.Run(fmt.Sprint(c.limit, c.writes), func(t *testing.T) {
			var sent, want []byte
			o := stdout{limit: c.limit, send: func(f []byte) { sent = append(sent, f[link.FrameHead:]...) }}
			for range 2 { // the second guest as the first
				sent, want = nil, nil
				o.begin()
				full := func() (full bool) {
					defer func() { full = recover() != nil }()
					for i, n := range c.writes {
						p := bytes.Repeat([]byte{byte('a' + i)}, n)
						want = append(want, p...)
						if k, err := o.Write(p); k != n || err != nil {
							t.Error(k, err)
						}
					}
					return false
				}()
				got := append(sent, o.rest()...)
				if want = want[:min(uint64(len(want)), c.limit)]; full != c.full || !bytes.Equal(got, want) {
					t.Errorf("full %v, %d bytes; want %v, %d", full, len(got), c.full, len(want))
				}
			}
		})
	}
}

func TestStderrKeepsTheEnd(t *testing.T) {
	for _, writes := range [][]int{{}, {5}, {jobs.MaxStderr}, {jobs.MaxStderr, 1}, {10_000}, {3000, 3000, 3000}, {1, 10_000, 7}} {
		var e stderr
		var want []byte
		e.begin()
		for i, n := range writes {
			p := bytes.Repeat([]byte{byte('a' + i)}, n)
			want = append(want, p...)
			if k, err := e.Write(p); k != n || err != nil {
				t.Error(k, err)
			}
		}
		if want = want[max(0, len(want)-jobs.MaxStderr):]; !bytes.Equal(e.tail(nil), want) {
			t.Errorf("%v: %d bytes", writes, len(e.tail(nil)))
		}
	}
}

// However stdin comes here, a guest's read is short only at the end.
func TestStdinReadsInFull(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	for _, first := range []int{0, 1, 5000, len(text)} {
		source := strings.NewReader(text[first:])
		s := stdin{chunk: []byte(text[:first]), more: true, want: func() ([]byte, error) {
			b := make([]byte, 777)
			n, err := iotest.HalfReader(source).Read(b)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return b[:n], err
		}}
		var got []byte
		for b := make([]byte, 300); ; {
			n, err := s.Read(b)
			got = append(got, b[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || n < len(b) && len(got) != len(text) {
				t.Fatalf("%d bytes after %d: %v", n, len(got), err)
			}
		}
		if string(got) != text {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	}
}
