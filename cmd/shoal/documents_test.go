package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// answering is a node that runs in a home and has an answer to every call.
type answering struct{ *puppet }

func (n answering) Submit(context.Context, api.Submission, io.Reader) (*api.Submitted, error) {
	return &api.Submitted{Job: n.reading().Job, Inputs: 1, Units: 1, Votes: 2}, nil
}

func (n answering) Results(_ context.Context, _ string, _ api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	return f(api.Result{N: 1, Outcome: api.OutcomeOK, Stderr: "hi\n"}, strings.NewReader(""))
}

func (n answering) Explain(context.Context, string) (*api.Explanation, error) {
	return &api.Explanation{Job: n.reading()}, nil
}

func (n answering) Notices(context.Context) ([]api.Notice, error) {
	return []api.Notice{{Text: "thanks"}, {Text: "again"}}, nil
}
func (n answering) Credit(context.Context) (*api.Credit, error)     { return &api.Credit{}, nil }
func (n answering) Whose(context.Context) (*api.Whose, error)       { return &api.Whose{}, nil }
func (n answering) Settings(context.Context) ([]api.Setting, error) { return nil, nil }
func (n answering) Set(context.Context, map[string]string) error    { return nil }
func (n answering) Cancel(context.Context, string) error            { return nil }
func (n answering) Notify(context.Context, string, string) error    { return nil }
func (n answering) Donate(context.Context, api.Donation) error      { return nil }
func (n answering) Reload(context.Context) error                    { return nil }
func (n answering) Resume(context.Context) error                    { return nil }
func (n answering) Finish(context.Context) error                    { return nil }
func (n answering) Offer(context.Context, string) error             { return nil }

func (n answering) Pause(context.Context, time.Duration) error { return nil }

// answersAt puts such a node, with a job that is done, on the socket of a new home.
func answersAt(t *testing.T) (home string) {
	n := answering{newPuppet(t)}
	n.job = *doneJob()
	return serveAt(t, n)
}

// serveAt puts a node on the socket of a new home.
func serveAt(t *testing.T, n api.Node) (home string) {
	t.Helper()
	home = t.TempDir()
	l, err := api.Listen(home)
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewServer(n, slog.New(slog.DiscardHandler))
	server.Page = func(context.Context, int) (string, error) { return "http://127.0.0.1:4902/in", nil }
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return home
}

// What a command writes to stdout when it is asked for documents: those of a schema, or
const (
	nothing = "nothing" // it does something, and the exit code says how that went
	noForm  = "no form" // a text that has its own form
	untried = "untried" // what it would do is not for a test
)

// documentsOf says of every command how it is called, and what it gives.
func documentsOf(dir string) map[string]struct{ args, gives string } {
	prog, job := filepath.Join(dir, "echo.wasm"), doneJob().Job
	return map[string]struct{ args, gives string }{
		"run":               {prog + " --range 1..1", resultSchema},
		"submit":            {prog + " --range 1..1", api.SubmittedSchema},
		"watch":             {job, api.JobSchema},
		"explain":           {job, api.ExplanationSchema},
		"results":           {job, resultSchema},
		"logs":              {job, logSchema},
		"wait":              {job + " " + job, api.JobSchema},
		"cancel":            {job, nothing},
		"notify":            {"thanks", nothing},
		"donate":            {"", nothing},
		"up":                {"--metrics nowhere", nothing},
		"pause":             {"1h", nothing},
		"resume":            {"", nothing},
		"finish":            {"", nothing},
		"follow":            {"", api.WhoseSchema},
		"unfollow":          {alice, nothing},
		"block":             {"", api.WhoseSchema},
		"unblock":           {alice, nothing},
		"status":            {"", api.StatusSchema},
		"ui":                {"--print", api.PageSchema},
		"peers":             {"", api.PeerSchema},
		"id":                {"", api.IDSchema},
		"doctor":            {"", "shoal.doctor/1"},
		"check":             {prog, "shoal.check/1"},
		"verify":            {prog, "shoal.verify/1"},
		"credit":            {"", api.CreditSchema},
		"notices":           {"", api.NoticeSchema},
		"demo":              {"", untried}, // five processes, a minute; its document is shoal.demo/1
		"sim":               {"--nodes 4 --units 2", simSchema},
		"config get":        {"when", api.SettingSchema},
		"config set":        {"when always", nothing},
		"config unset":      {"when", nothing},
		"config show":       {"", api.SettingSchema},
		"service install":   {"--print --for linux", serviceTextSchema},
		"service uninstall": {"", untried}, // it may be there
		"service status":    {"", serviceSchema},
		"version":           {"", "shoal.version/1"},
		"completion":        {"bash", noForm},
		"exit-codes":        {"", noForm},
		"donating":          {"", noForm},
	}
}

// Every command that has something to tell tells it as documents, each with its schema: as one
// document or list, or a line each. No command is left out.
func TestEveryDocumentHasASchema(t *testing.T) {
	dir := t.TempDir()
	programFile(t, dir)
	all := documentsOf(dir)
	root := newProgram(strings.NewReader(""), io.Discard, io.Discard, nil).root()
	for _, cmd := range documented(root) {
		name := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "shoal"), " ")
		call, known := all[name]
		delete(all, name)
		switch {
		case known && call.gives != untried && call.gives != noForm:
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				home := answersAt(t)
				for _, format := range []string{formatJSON, formatJSONL} {
					tellsDocuments(t, home, format, call.gives, append(strings.Fields(name), strings.Fields(call.args)...))
				}
			})
		case !known && !(cmd.HasAvailableSubCommands()):
			t.Errorf("shoal %s is not held to a schema", name)
		}
	}
	for name := range all {
		t.Errorf("there is no shoal %s", name)
	}
}

// tellsDocuments runs a command and holds what it writes to a schema.
func tellsDocuments(t *testing.T, home, format, schema string, args []string) {
	t.Helper()
	var out, said strings.Builder
	p := newProgram(strings.NewReader(""), &out, &said, func(nodeOptions) (gridNode, error) { return nil, os.ErrInvalid })
	code := p.run(t.Context(), append(args, "--home", home, "--output", format))
	if schema == nothing {
		if out.Len() > 0 {
			t.Errorf("%s: wrote %q", format, out.String())
		}
		return
	}
	docs := 0
	for d := json.NewDecoder(strings.NewReader(out.String())); d.More(); docs++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatalf("%s: exit code %d, %v: wrote %q, said %q", format, code, err, out.String(), said.String())
		}
		list := []json.RawMessage{raw}
		if raw[0] == '[' && format == formatJSON {
			if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
				t.Errorf("%s: %v, an empty list: %s", format, err, raw)
			}
		}
		for _, doc := range list {
			var got struct{ Schema string }
			if err := json.Unmarshal(doc, &got); err != nil || got.Schema != schema {
				t.Errorf("%s: %v, schema %q, not %q: %s", format, err, got.Schema, schema, doc)
			}
		}
	}
	switch lines := strings.Count(out.String(), "\n"); {
	case docs == 0, format == formatJSON && docs > 1:
		t.Errorf("%s: %d documents, exit code %d; said %q", format, docs, code, said.String())
	case format == formatJSONL && lines != docs:
		t.Errorf("%d lines, %d documents: %s", lines, docs, out.String())
	}
}
