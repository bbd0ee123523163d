package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestPublishedList(t *testing.T) {
	want, err := os.ReadFile("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	last := uint(4500)
	if testing.Short() {
		last = 1300
	}
	var got, published strings.Builder
	for p := range last + 1 {
		if mersennePrime(p) {
			fmt.Fprintln(&got, p)
		}
	}
	for line := range strings.Lines(string(want)) {
		var p uint
		if _, err := fmt.Sscan(line, &p); err != nil {
			t.Fatal(err)
		}
		if p <= last {
			published.WriteString(line)
		}
	}
	if got.String() != published.String() {
		t.Errorf("found:\n%s\npublished:\n%s", got.String(), published.String())
	}
}

func TestExponent(t *testing.T) {
	for text, want := range map[string]uint{"31": 31, " 7\n": 7, "0": 0} {
		if p, err := exponent(strings.NewReader(text), nil); err != nil || p != want {
			t.Errorf("%q: %d, %v", text, p, err)
		}
		if p, err := exponent(strings.NewReader("5"), []string{text}); err != nil || p != want {
			t.Errorf("argument %q: %d, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "-3", "seven", "16777216", "1 2"} {
		if p, err := exponent(strings.NewReader(text), nil); err == nil {
			t.Errorf("%q is %d", text, p)
		}
	}
}
