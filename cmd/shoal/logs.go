package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) logsCommand() *cobra.Command {
	var input int64
	cmd := &cobra.Command{
		Use:   "logs JOB",
		Short: "show what the program wrote to stderr, of any input that has an answer",
		Long: `Of each input the last 4 KiB are kept, as told by one of the donors that ran it: stderr is
not compared between donors.`,
		Example: `  shoal logs b5f3k2qa                             every input that wrote something
  shoal logs b5f3k2qa --input 17                  the 17th, as it is`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
	}
	cmd.Flags().Int64Var(&input, "input", 0, "only the input with this place, `N`, from 1")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("input") && input < 1 {
			return usage("inputs are counted from 1", "--input %d: no such place", input)
		}
		return p.logs(cmd.Context(), args[0], input)
	}
	return cmd
}

func (p *program) logs(ctx context.Context, ref string, input int64) error {
	return p.jobAtHome(ctx, ref, func(s *session, j *api.Job) (err error) {
		rows := p.rows()
		if input > 0 {
			rows = nil // it is one document
		}
		defer func() { err = errors.Join(err, rows.end()) }()
		wrote := false
		err = s.Results(ctx, j.Job, api.ResultsOptions{Logs: true, Input: input}, func(r api.Result, _ io.Reader) error {
			silent := r.Stderr == "" && r.Reason == ""
			wrote = wrote || !silent
			row := logRow{logSchema, r.N, r.Name, r.Outcome, r.Stderr, r.Reason, r.ToldBy}
			switch {
			case silent && (input == 0 || p.output == formatTable):
				return nil
			case rows != nil:
				return rows.add(row)
			}
			return p.print(row, func(w io.Writer) { logText(w, r, input > 0) })
		})
		if err == nil && !wrote {
			p.ui.noLogs(j, input)
		}
		return err
	})
}

// logSchema is the form of a logRow.
const logSchema = "shoal.log/1"

// logRow is what scripts read of one input's stderr.
type logRow struct {
	Schema  string `json:"schema"` // logSchema
	N       int64  `json:"n"`
	Name    string `json:"name,omitempty"`
	Outcome string `json:"outcome"`
	Stderr  string `json:"stderr"`
	Reason  string `json:"reason,omitempty"`
	ToldBy  string `json:"told_by,omitempty"`
}

// logText writes one input's stderr: alone as it is, among others each line under its input.
func logText(w io.Writer, r api.Result, alone bool) {
	before := ""
	if !alone {
		before = oneLine(inputName(r)) + ": "
	}
	text := printable(r.Stderr)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if r.Outcome != api.OutcomeOK {
		text += "(" + failureWords(r) + ")\n"
	}
	for line := range strings.Lines(text) {
		io.WriteString(w, before+line) // into memory
	}
}
