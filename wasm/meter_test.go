package wasm_test

import (
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

func TestFuelAndStackAreLimits(t *testing.T) {
	tool := program(t, goGuest(t, "tool"))
	for _, c := range []struct {
		name    string
		program wasm.Program
		args    string
		fuel    uint64
		outcome jobs.Outcome
		used    uint64 // 0 is any
	}{
		{"no end", module(t, spinning()), "", 1_000_000, jobs.FuelLimit, 1_000_000},
		{"no end in the start function", module(t, command{starts: true, code: []byte{loop, noResult, br, 0, end}}.assemble()), "", 1000, jobs.FuelLimit, 1000},
		{
			"endless filling", module(t, command{code: join([]byte{loop, noResult}, constant(0), constant(1), constant(1<<16), []byte{bulk, 11, 0, br, 0, end})}.assemble()),
			"", 1_000_000, jobs.FuelLimit, 1_000_000,
		},
		{"recursion without end", module(t, command{code: []byte{call, 0}}.assemble()), "", 0, jobs.StackLimit, 349_525}, // calls of 96 bytes in 32 MiB
		{"recursion", module(t, recursing(10_000)), "", 0, jobs.OK, 0},
		{"a Go program", tool, "upper", 0, jobs.OK, 0},
		{"a Go program that exits", tool, "exit 3", 0, jobs.Exit, 0},
		{"a Go program out of fuel", tool, "upper", 100_000, jobs.FuelLimit, 100_000},
		{"output limit", tool, "flood 1000000", 0, jobs.OutputLimit, 0},
		{"memory limit", tool, "grow 300", 0, jobs.MemoryLimit, 0},
		{"trap", module(t, command{code: []byte{unreachable}}.assemble()), "", 0, jobs.Trap, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, wasm.Spec{Program: c.program, Profile: 1, Limits: wasm.Limits{Fuel: c.fuel, Output: 1 << 20}})
			var first wasm.Report
			for i := range 2 {
				r, _ := run(t, g, wasm.Input{Args: strings.Fields(c.args), Stdin: strings.NewReader("hello")})
				if r.Outcome != c.outcome || c.used != 0 && r.Fuel != c.used {
					t.Errorf("%v (%s) after %d instructions; want %v, %d", r.Outcome, r.Reason, r.Fuel, c.outcome, c.used)
				}
				if i > 0 && r.Tuple() != first.Tuple() {
					t.Errorf("again: %+v, first %+v", r.Tuple(), first.Tuple())
				}
				first = r
			}
		})
	}
}
