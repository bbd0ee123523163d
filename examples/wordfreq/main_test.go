package main

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCount(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"…, 12 3":                 "",
		"The cat, the CAT; a-the": "a 1\ncat 2\nthe 3\n",
		"end":                     "end 1\n",
		"naïve @`{[ z":            "na 1\nve 1\nz 1\n",
	} {
		var out strings.Builder
		if err := count(strings.NewReader(text), &out); err != nil || out.String() != want {
			t.Errorf("%q gives %q, %v; want %q", text, out.String(), err, want)
		}
	}
	broken := errors.New("broken")
	if err := count(iotest.ErrReader(broken), &strings.Builder{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
