//go:build unix

package wasm_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/wasm"
)

// A paused guest uses no CPU time; a resumed one goes on where it was.
func TestPauseStopsTheClock(t *testing.T) {
	const limit = 300 * time.Millisecond
	g := start(t, wasm.Spec{Program: module(t, spinning()), Limits: wasm.Limits{CPU: limit}})
	if err := g.Pause(); err != nil {
		t.Fatal(err)
	}
	done := make(chan wasm.Report, 1)
	go func() {
		r, err := g.Run(context.Background(), wasm.Input{}, io.Discard)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	select {
	case r := <-done:
		t.Fatalf("ended while paused: %v %s", r.Outcome, r.Reason)
	case <-time.After(2 * limit):
	}
	if err := g.Resume(); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.CPU < limit || r.CPU > 3*limit {
		t.Errorf("CPU time %v (%s)", r.CPU, r.Reason)
	}
}
