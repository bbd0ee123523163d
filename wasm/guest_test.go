package wasm_test

import (
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

func TestRunTellsHowAnInputEnded(t *testing.T) {
	g := start(t, wasm.Spec{Program: program(t, goGuest(t, "tool")), Limits: wasm.Limits{Memory: 64 << 20, Output: 100_000}})
	for _, c := range []struct {
		name    string
		args    string
		stdin   string
		outcome jobs.Outcome
		exit    uint32
		out     string
		stderr  string // a part of it
	}{
		{name: "output", args: "upper", stdin: "hello", out: "HELLO"},
		{name: "no input", args: "upper"},
		{name: "arguments", args: "args a b", out: "[\"program\" \"a\" \"b\"]\n"},
		{name: "no environment", args: "env", out: "[]\n"},
		{name: "exit code", args: "exit 7", outcome: jobs.Exit, exit: 7, out: "before", stderr: "leaving\n"},
		{name: "exit code 0", args: "exit 0", out: "before", stderr: "leaving\n"},
		{name: "panic", args: "panic", outcome: jobs.Exit, exit: 2, stderr: "panic: on purpose"},
		{name: "memory", args: "grow 100", outcome: jobs.MemoryLimit},
		{name: "output limit", args: "flood 1000000", outcome: jobs.OutputLimit, out: strings.Repeat("x", 100_000)},
		{name: "output at the limit", args: "flood 100", out: strings.Repeat("x", 100_000)},
		{name: "time is virtual", args: "time", out: "2022-01-01T00:00:00Z true\n"},
		{name: "end of stderr", args: "stderr 10000", stderr: "line 9999\n"},
		{name: "after all that", args: "upper", stdin: "still here", out: "STILL HERE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := wasm.Input{Args: strings.Fields(c.args)}
			if c.stdin != "" {
				in.Stdin = strings.NewReader(c.stdin)
			}
			r, out := run(t, g, in)
			if r.Outcome != c.outcome || r.Exit != c.exit {
				t.Errorf("outcome %v, exit %d (%s); want %v, %d; stderr %q", r.Outcome, r.Exit, r.Reason, c.outcome, c.exit, r.Stderr)
			}
			if out != c.out {
				t.Errorf("output %.200q, want %.200q", out, c.out)
			}
			if !strings.Contains(string(r.Stderr), c.stderr) || len(r.Stderr) > wasm.StderrKept {
				t.Errorf("stderr %q", r.Stderr)
			}
			if blob := jobs.BlobOf([]byte(out)); r.Output != blob.Digest || r.Size != blob.Size {
				t.Errorf("output named %v of %d bytes, want %v", r.Output, r.Size, blob)
			}
		})
	}
}
