package wasm_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

var update = flag.Bool("update", false, "write testdata/tuples.txt anew: the answers of a profile have changed")

// The tuples of some programs, as every machine must find them: `make test-arm64` runs this
// test on another one. A change of the file means that a profile has become another.
func TestTuplesAreTheSameEverywhere(t *testing.T) {
	programs := map[string]wasm.Program{
		"recursing": module(t, recursing(10_000)),
		"endless":   module(t, command{code: []byte{call, 0}}.assemble()),
		"spinning":  module(t, spinning()),
		"trapping":  module(t, leaving(true)),
	}
	kernels, err := filepath.Glob(filepath.Join("prepare", "testdata", "kernels", "*.wasm"))
	if err != nil || len(kernels) == 0 {
		t.Fatal("no kernels: ", err)
	}
	for _, path := range kernels {
		programs[strings.TrimSuffix(filepath.Base(path), ".wasm")] = program(t, path)
	}
	golden := filepath.Join("testdata", "tuples.txt")
	want, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		g := start(t, wasm.Spec{Program: programs[name], Profile: 1, Seed: 7, Limits: wasm.Limits{Fuel: 20e9}})
		if name == "spinning" {
			g = start(t, wasm.Spec{Program: programs[name], Profile: 1, Limits: wasm.Limits{Fuel: 1e6}})
		}
		r, _ := run(t, g, wasm.Input{Number: 3, Args: []string{"a", "b"}})
		tuple := r.Tuple()
		line := fmt.Sprintf("%-12s %s exit %d, %d bytes %.16s, fuel %d\n", name, tuple.Outcome, tuple.Exit, tuple.Size, tuple.Output, tuple.Fuel)
		if !*update && !strings.Contains(string(want), line) {
			t.Errorf("not as recorded: %s", line)
		}
		got.WriteString(line)
		g.Close()
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A NaN's payload that goes where computed NaNs go too survives eagerly, as the specification
// has it, and lazily becomes the canonical one.
func TestEagerKeepsPayloads(t *testing.T) {
	const payload, f32FromBits, f32Convert, f32Div, choose, f32Bits = 0x7fa00001, 0xbe, 0xb2, 0x95, 0x1b, 0xbc
	computed := join(constant(0), []byte{f32Convert}, constant(0), []byte{f32Convert, f32Div})
	hiding := module(t, command{code: join(
		constant(payload), []byte{f32FromBits}, computed, constant(1), []byte{choose, f32Bits},
		constant(payload), []byte{i32Eq, i32Eqz, ifElse, noResult, unreachable, end},
	)}.assemble())
	for profile, outcome := range map[uint8]jobs.Outcome{wasm.DefaultProfile: jobs.Trap, wasm.EagerProfile: jobs.OK} {
		g := start(t, wasm.Spec{Program: hiding, Profile: profile})
		for range 2 {
			if r, _ := run(t, g, wasm.Input{}); r.Outcome != outcome {
				t.Errorf("profile %d: %v (%s), want %v", profile, r.Outcome, r.Reason, outcome)
			}
		}
	}
}
