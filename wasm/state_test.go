package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// drawer keeps a state, and says when it was given one.
type drawer struct {
	state []byte
	saved func()
}

func (d *drawer) Load() []byte { return d.state }

func (d *drawer) Save(state []byte) {
	d.state = bytes.Clone(state)
	if d.saved != nil {
		d.saved()
	}
}

// A guest that is killed and begun again goes on from what it left in /state, and what it gives
// is what others compare as if nothing had happened.
func TestStateOutlivesTheGuest(t *testing.T) {
	const steps = "60"
	spec := wasm.Spec{Program: program(t, goGuest(t, "tool")), Profile: wasm.MaxProfile}
	in := func(d wasm.State) wasm.Input { return wasm.Input{Args: []string{"far", steps}, State: d} }

	whole, want := run(t, start(t, spec), in(nil)) // alone, with nobody to keep anything
	if whole.Outcome != jobs.OK {
		t.Fatalf("alone: %v %s %s", whole.Outcome, whole.Reason, whole.Stderr)
	}

	ctx, cancel := context.WithCancel(t.Context())
	d := &drawer{saved: cancel} // the machine goes down when something was kept
	g := start(t, spec)
	if _, err := g.Run(ctx, in(d), new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Skipf("this machine is too fast for its guest to be stopped half-way: %v", err)
	}
	d.saved = nil
	again, got := run(t, start(t, spec), in(d))
	if from := string(again.Stderr); !strings.HasPrefix(from, "from ") || from == "from 0\n" {
		t.Errorf("began again: %q", from)
	}
	if got != want || again.Output != whole.Output || again.Fuel != whole.Fuel || again.Outcome != jobs.OK {
		t.Errorf("gave %q with fuel %d, not %q with %d", got, again.Fuel, want, whole.Fuel)
	}
	if whole.Fuel != 0 {
		t.Errorf("fuel %d is told of a guest that keeps a state", whole.Fuel)
	}
}

// What a disk makes of a state is no reason to fail.
func TestDamagedStateIsNone(t *testing.T) {
	spec := wasm.Spec{Program: program(t, goGuest(t, "tool")), Profile: wasm.MaxProfile}
	for name, state := range map[string][]byte{
		"short": []byte("x"), "no archive": bytes.Repeat([]byte("far"), 1000), "more fuel than there is": bytes.Repeat([]byte{0xff}, 2048),
	} {
		r, _ := run(t, start(t, spec), wasm.Input{Args: []string{"far", "1"}, State: &drawer{state: state}})
		if r.Outcome != jobs.OK || string(r.Stderr) != "from 0\n" {
			t.Errorf("%s: %v %s %q", name, r.Outcome, r.Reason, r.Stderr)
		}
	}
}
