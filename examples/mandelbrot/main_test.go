package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		re, im float64
		want   int
	}{{0, 0, maxSteps}, {-1, 0, maxSteps}, {-2, 0, maxSteps}, {3, 0, 1}, {1, 0, 3}, {0.25, 0, maxSteps}, {0.26, 0, 30}} {
		if got := steps(c.re, c.im); got != c.want {
			t.Errorf("%v%+vi escapes after %d steps, want %d", c.re, c.im, got, c.want)
		}
	}
}

func TestDraw(t *testing.T) {
	var b bytes.Buffer
	if err := draw(&b, 7); err != nil {
		t.Fatal(err)
	}
	head := "P5\n# tile 7 of 48 in 8 columns\n128 128\n1000\n"
	if !strings.HasPrefix(b.String(), head) || b.Len() != len(head)+2*tileSize*tileSize {
		t.Errorf("%d bytes beginning with %.60q", b.Len(), b.String())
	}
	full := errors.New("disk full")
	if err := draw(broken{full}, 7); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestNumber(t *testing.T) {
	if n, err := number(strings.NewReader("47\n"), nil); err != nil || n != 47 {
		t.Errorf("%d, %v", n, err)
	}
	for _, text := range []string{"", "48", "-1", "x"} {
		if n, err := number(strings.NewReader(text), nil); err == nil {
			t.Errorf("%q is tile %d", text, n)
		}
	}
}
