package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/internal/api"
)

// answers of a job as deliveries meet them.
func sampleResults() []api.Result {
	return []api.Result{
		{N: 1, Name: "a.txt", IsPath: true, Outcome: "ok", Size: 3},
		{N: 2, Name: "17", Outcome: "ok", Size: 2},
		{N: 3, Name: "b.txt", IsPath: true, Outcome: "exit", Exit: 2, Stderr: "no such word\x1b[2J\n", Reason: "", ToldBy: "12D3KooWLdN43w4nuB5Aynpsc1xUe8iiJngftpGFaage4AV7dSX9"},
		{N: 4, Outcome: "ok", Size: 0},
		{N: 5, Outcome: api.OutcomeStuck},
	}
}

func sampleOutputs() []string { return []string{"<&\n", "\xff\x00", "", "", ""} }

func TestRows(t *testing.T) {
	var out, said bytes.Buffer
	p := newProgram(nil, &out, &said, nil)
	p.output = formatJSONL
	d, err := p.delivery(&deliverFlags{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.begin("b5f3"); err != nil {
		t.Fatal(err)
	}
	for i, r := range sampleResults() {
		if err := d.take(r, strings.NewReader(sampleOutputs()[i])); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "rows.jsonl", out.String())
	if d.failed != 2 || d.given != 5 {
		t.Errorf("%d of %d failed", d.failed, d.given)
	}
	if said.Len() > 0 {
		t.Errorf("said %q", said.String())
	}
}

func TestFailuresAreToldToPeople(t *testing.T) {
	var out, said bytes.Buffer
	d, err := newProgram(nil, &out, &said, nil).delivery(&deliverFlags{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range sampleResults() {
		if err := d.take(r, strings.NewReader(sampleOutputs()[i])); err != nil {
			t.Fatal(err)
		}
	}
	if want := "<&\n\xff\x00"; out.String() != want {
		t.Errorf("stdout: %q", out.String())
	}
	golden(t, "failures.txt", said.String())
}

func TestTooLargeForALine(t *testing.T) {
	var l row
	if err := l.embed(api.Result{Size: maxEmbedded + 1}, strings.NewReader("")); !isUsage(err) {
		t.Errorf("got %v", err)
	}
}

func TestFinishSaysHowItEnded(t *testing.T) {
	job := func(state string, final bool, total, failed int64) *api.Job {
		return &api.Job{Job: "b5f3k2qaabc", State: state, Final: final, Inputs: api.Inputs{Total: total, Done: total, Failed: failed}}
	}
	for name, test := range map[string]struct {
		given, failed int64
		job           *api.Job
		code          int
	}{
		"all there":            {3, 0, job(api.JobDone, true, 3, 0), 0},
		"some failed":          {3, 1, job(api.JobDone, true, 3, 1), api.CodeFailed},
		"some open":            {2, 0, job(api.JobOpen, false, 3, 0), api.CodeTimeout},
		"stuck":                {3, 1, job(api.JobFailed, true, 3, 0), api.CodeFailed},
		"cancelled":            {1, 0, job(api.JobCancelled, true, 3, 0), api.CodeUnexpected},
		"all there, not final": {3, 0, job(api.JobOpen, false, 3, 0), 0},
	} {
		d := &delivery{p: newProgram(nil, nil, io.Discard, nil), given: test.given, failed: test.failed}
		code := 0
		if err := d.finish(test.job); err != nil {
			code = exitCode(err)
		}
		if code != test.code {
			t.Errorf("%s: exit code %d, not %d", name, code, test.code)
		}
	}
}

func TestBinary(t *testing.T) {
	for text, want := range map[string]bool{
		"":                       false,
		"plain\ttext\r\n":        false,
		"grüße, 世界":              false,
		"cut in a rune \xe4\xb8": false,
		"\x00":                   true,
		"\x1b[31mred":            true,
		"bad \xff utf-8":         true,
		"c1 \u009b0m":            true,
	} {
		if got := isBinary([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// Whatever follows the text at the beginning, a terminal gets nothing to obey, and text as it was.
func TestPrintableReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		got, err := io.ReadAll(printableReader{bufio.NewReader(bytes.NewReader(text))})
		if err != nil {
			t.Fatal(err)
		}
		if isBinary(got) {
			t.Fatalf("%q became %q", text, got)
		}
		if plain := printable(string(text)); plain == string(text) && string(got) != plain {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// Documents that scripts read, which only grow.
func TestDocuments(t *testing.T) {
	for name, v := range map[string]any{
		"check.json":   checkDocument{Schema: "shoal.check/1", Accepted: true, Finished: true, Outcome: "ok", Tuple: strings.Repeat("0f", 32), Fuel: 1234, OutputBytes: 3, PeakMemory: 65536, Fixed: []string{"the environment is empty"}},
		"version.json": versionDocument{Schema: "shoal.version/1", Version: "0.1.0", Go: "go1.26", Platform: "linux/amd64", Engine: "compiler"},
	} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, string(text)+"\n")
	}
}
