package main

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/internal/api"
)

func TestCreditChart(t *testing.T) {
	now := time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC)
	done := []api.Done{
		{Day: "2026-11-22", CPUSeconds: 3600}, {Day: "2026-11-22", CPUSeconds: 3600}, {Day: "2026-11-21", CPUSeconds: 3600},
		{Day: "2026-11-09", CPUSeconds: 1}, {Day: "2026-11-08", CPUSeconds: 99999}, {Day: "", CPUSeconds: 99999},
	}
	for utf8, want := range map[bool]string{
		true:  "CPU a day  |▁           ▄█|  9 Nov to today, at most 2 h\n\n",
		false: "CPU a day  |.           -#|  9 Nov to today, at most 2 h\n\n",
	} {
		var b strings.Builder
		creditChart(&b, done, now, glyphsOf(utf8))
		if b.String() != want {
			t.Errorf("%q\nnot\n%q", b.String(), want)
		}
	}
	var b strings.Builder
	creditChart(&b, done[5:], now, glyphsOf(true))
	if b.Len() > 0 {
		t.Errorf("a chart of nothing: %q", b.String())
	}
}

// A column says nothing only of nothing, and is full only at the most.
func TestChartLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Float64Range(1e-6, 1e9).Draw(t, "most")
		part := rapid.Float64Range(0, 1).Draw(t, "part")
		for _, g := range []glyphs{glyphsOf(true), glyphsOf(false)} {
			at := level(part*most, most, len(g))
			if at < 0 || at >= len(g) || (at == 0) != (part*most == 0) || level(most, most, len(g)) != len(g)-1 {
				t.Fatalf("level %d of %d for %g of %g", at, len(g), part*most, most)
			}
		}
	})
}

func TestShowsUTF8(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "cs_CZ.utf8"}, true},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
	} {
		if got := showsUTF8(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
