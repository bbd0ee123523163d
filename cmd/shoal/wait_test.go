package main

import (
	"context"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
)

// endings is a node with jobs that have ended, each in its way, and one that never does.
type endings struct{ answering }

func (n endings) Watch(ctx context.Context, ref string, f func(*api.Job) error) error {
	j := *doneJob()
	j.Job = ref
	switch ref {
	case "failed":
		j.Inputs.Failed = 1
	case "stuck":
		j.State, j.Units.Stuck = api.JobFailed, 1
	case "cancelled":
		j.State = api.JobCancelled
	case "expired":
		j.State = api.JobExpired
	case "open":
		<-ctx.Done()
		return context.Cause(ctx)
	case "unknown":
		return &api.Error{Code: api.CodeNotFound, Message: "no job is known here"}
	}
	return f(&j)
}

// How a wait ends: with the worst of its jobs, with the first where any is enough, with 6 where time
// was up; of several jobs those that have ended are told.
func TestWaitTellsHowJobsEnd(t *testing.T) {
	home := serveAt(t, endings{answering{newPuppet(t)}})
	for line, want := range map[string]struct {
		code int
		out  string
	}{
		"done":                               {0, ""},
		"done other":                         {0, "done other"},
		"failed":                             {api.CodeFailed, ""},
		"stuck":                              {api.CodeFailed, ""},
		"cancelled":                          {api.CodeUnexpected, ""},
		"expired":                            {api.CodeUnexpected, ""},
		"done failed":                        {api.CodeFailed, "done failed"},
		"unknown":                            {api.CodeNotFound, ""},
		"open --timeout 20ms":                {api.CodeTimeout, ""},
		"open done --timeout 5s":             {api.CodeTimeout, "done"},
		"open --any --timeout 20ms":          {api.CodeTimeout, ""},
		"open openagain --any --timeout 60s": {0, "openagain"},
		"open done --any --timeout 60s":      {0, "done"},
		"open failed --any":                  {api.CodeFailed, "failed"},
		"open cancelled --any":               {api.CodeUnexpected, "cancelled"},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			code, out, said := tried(t, append([]string{"wait", "--home", home}, strings.Fields(line)...)...)
			told := strings.Fields(out)
			for id := range strings.FieldsSeq(want.out) {
				if !strings.Contains(out, id+"\n") {
					t.Errorf("does not tell %s: %q", id, out)
				}
			}
			if code != want.code || len(told) != len(strings.Fields(want.out)) || (code == 0) != (said == "") {
				t.Errorf("exit code %d, not %d; wrote %q, said %q", code, want.code, out, said)
			}
		})
	}
}
