package wasm_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// needsMemoryLimit skips a test that could take all memory of the machine where children
// have no limit of it.
func needsMemoryLimit(t *testing.T) {
	t.Helper()
	if raceDetector || len(prefix()) > 0 {
		t.Skip("the race detector and qemu take no limit of memory")
	}
}

const hostMemory = "this host ran out of memory"

// Guests that attack their host from within the rules. Each is ended or contained, says
// why, and leaves a guest that runs the next input.
func TestBombsAreContained(t *testing.T) {
	for _, c := range []struct {
		name    string
		program command
		outcome jobs.Outcome
		reason  string
	}{
		{"recursion without end", command{code: []byte{call, 0}}, jobs.GaveUp, "recursion deeper than this host's stack"},
		{
			"a table of 16 GB",
			command{table: 1, code: join([]byte{refNull, funcRef}, constant(1<<31-2), []byte{bulk, 15, 0, drop})},
			jobs.GaveUp, hostMemory,
		},
		{
			"a table of 16 GB, metered",
			command{metered: true, table: 1, code: join([]byte{refNull, funcRef}, constant(1<<31-2), []byte{bulk, 15, 0}, constant(-1), []byte{i32Eq, i32Eqz, ifElse, noResult, unreachable, end})},
			jobs.OK, "",
		},
		{"recursion without end, metered", command{metered: true, code: []byte{call, 0}}, jobs.StackLimit, "recursion too deep"},
		{
			"a descriptor of 2^31",
			command{imports: []imported{fdRenumber, pathOpen}, data: "tmp", code: join(
				constant(3), constant(0), constant(0), constant(3), constant(0), []byte{0x42, 0, 0x42, 0}, constant(0), constant(16), []byte{call, 1, drop},
				constant(4), constant(1<<31-1), []byte{call, 0, drop})},
			jobs.OK, "",
		},
		{
			"all memory there is",
			command{code: join(
				constant(1<<12-1), []byte{memoryGrow, 0, drop},
				constant(0), constant(7), constant(1<<28), []byte{bulk, 11, 0},
				constant(1), []byte{memoryGrow, 0, drop, unreachable})},
			jobs.MemoryLimit, "asked for more memory than the limit",
		},
		{
			"a poll for 2^28 events",
			command{imports: []imported{pollOneoff}, code: join(
				constant(0), constant(0), constant(1<<28), constant(0), []byte{call, 0, drop})},
			jobs.Trap, "called a WASI function wrongly",
		},
		{
			"output without end",
			command{imports: []imported{fdWrite}, data: "\x00\x00\x00\x00\x00\x80\x00\x00", code: join([]byte{loop, noResult},
				constant(1), constant(0), constant(1), constant(16), []byte{call, 0, drop, br, 0, end})},
			jobs.OutputLimit, "output limit reached",
		},
		{"no end", command{code: []byte{loop, noResult, br, 0, end}}, jobs.GaveUp, "used more than 200ms of CPU time"},
		{
			"endless filling",
			command{pages: 1000, code: join([]byte{loop, noResult}, constant(0), constant(1), constant(1000<<16), []byte{bulk, 11, 0, br, 0, end})},
			jobs.GaveUp, "used more than 200ms of CPU time",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.reason == hostMemory {
				needsMemoryLimit(t)
			}
			t.Parallel()
			limits := wasm.Limits{Memory: 1 << 28}
			if strings.Contains(c.reason, "CPU time") {
				limits.CPU = 200 * time.Millisecond
			}
			g := start(t, wasm.Spec{Program: module(t, c.program.assemble()), Profile: c.program.profile(), Limits: limits})
			for range 2 {
				r, _ := run(t, g, wasm.Input{})
				if r.Outcome != c.outcome || !strings.HasPrefix(r.Reason, c.reason) {
					t.Errorf("%v: %q, want %v: %q", r.Outcome, r.Reason, c.outcome, c.reason)
				}
			}
		})
	}
}

// A few bytes that claim four billion names do nothing, in any profile: no engine reads them.
func TestNamesAreNoBomb(t *testing.T) {
	claim := section(0, text("name"), []byte{1}, leb(5), leb(1<<32-1))
	for profile := range uint8(wasm.MaxProfile + 1) {
		g := start(t, wasm.Spec{Program: module(t, join(command{}.assemble(), claim)), Profile: profile})
		if r, _ := run(t, g, wasm.Input{}); r.Outcome != jobs.OK {
			t.Errorf("profile %d: %v: %s", profile, r.Outcome, r.Reason)
		}
	}
}

// What is too costly to compile on this host is refused, and found out once.
func TestCostlyProgramIsRefusedAndRemembered(t *testing.T) {
	var loops []byte
	for i := range 4700 {
		loops = append(loops, loop, noResult, localGet, byte(i%100), i32Const, 1, i32Add, localSet, byte(i*7%100), localGet, byte(i*13%100), brIf, 0, end)
	}
	for name, limits := range map[string]struct {
		cpu    time.Duration
		memory uint64
	}{"time": {time.Second / 2, 1 << 30}, "memory": {time.Minute, 20 << 20}} {
		t.Run(name, func(t *testing.T) {
			if name == "memory" {
				needsMemoryLimit(t)
			}
			dir := filepath.Join(t.TempDir(), "cache")
			s := sandboxIn(t, dir)
			wasm.LimitCompile(s, limits.cpu, limits.memory)
			p := module(t, command{locals: 100, code: loops}.assemble())
			var refused *wasm.Refused
			for range 2 {
				if _, err := s.Start(t.Context(), wasm.Spec{Program: p}); !errors.As(err, &refused) || refused.Reason != "too costly to compile" {
					t.Error(err)
				}
				wasm.LimitCompile(s, time.Minute, 1<<30) // would do now, but is not tried again
			}
			if left := filesBelow(t, dir); len(left) != 1 {
				t.Errorf("left in the cache: %v", left)
			}
		})
	}
}

// What the compiler finds wrong, or the limits do not allow, is refused.
func TestStartRefuses(t *testing.T) {
	s := sandbox(t)
	invalid := module(t, command{code: constant(1)}.assemble()) // a value is left over
	for range 2 {
		_, err := s.Start(t.Context(), wasm.Spec{Program: invalid})
		var refused *wasm.Refused
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Reason, "not valid WebAssembly") {
			t.Error(err)
		}
	}
	large := module(t, command{pages: 100}.assemble())
	_, err := s.Start(t.Context(), wasm.Spec{Program: large, Limits: wasm.Limits{Memory: 1 << 20}})
	var refused *wasm.Refused
	if !errors.As(err, &refused) || refused.Reason != "starts with 6 MiB of memory; the limit is 1 MiB" {
		t.Error(err)
	}
}
