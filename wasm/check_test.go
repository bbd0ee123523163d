package wasm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

func TestCheck(t *testing.T) {
	s := sandbox(t)
	tool := program(t, goGuest(t, "tool"))
	text := filepath.Join(t.TempDir(), "prog.wasm")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		program     wasm.Program
		args        string
		accepted    bool
		finished    bool
		reason      string
		outcome     jobs.Outcome
		interpreted string
	}{
		{"a good one", tool, "upper", true, true, "", jobs.OK, ""},
		{"one that fails", tool, "exit 3", true, true, "", jobs.Exit, ""},
		{"floating point", tool, "float", true, true, "", jobs.OK, ""},
		{"one that goes on", module(t, spinning()), "", true, false, "", jobs.GaveUp, ""},
		{"too deep for the interpreter", module(t, recursing(5000)), "", true, true, "", jobs.OK, "skipped: recursion deeper than this host's stack"},
		{"no program", program(t, text), "", false, false, "not a wasm file: looks like text", jobs.OK, ""},
		{"invalid", module(t, command{code: constant(1)}.assemble()), "", false, false, "not valid WebAssembly", jobs.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Check(t.Context(), wasm.Spec{Program: c.program}, wasm.Input{Args: strings.Fields(c.args), Stdin: strings.NewReader("hello")}, c.finished) // a full one ends on a busy machine too
			if err != nil {
				t.Fatal(err)
			}
			if got.Accepted != c.accepted || got.Finished != c.finished || !strings.HasPrefix(got.Reason, c.reason) || (got.Reason == "") != (c.accepted && c.finished) {
				t.Errorf("accepted %v, finished %v: %q", got.Accepted, got.Finished, got.Reason)
			}
			if c.finished && got.Report.Outcome != c.outcome || !strings.HasPrefix(got.Interpreted, c.interpreted) || (got.Interpreted == "") != (c.interpreted == "") {
				t.Errorf("%v, interpreted: %q", got.Report.Outcome, got.Interpreted)
			}
			if c.program == tool && len(got.Fixed) < 4 {
				t.Errorf("a Go program can ask for more than %q", got.Fixed)
			}
		})
	}
}
