package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [JOB]",
		Short: "how it is going: this node, what it gives, its jobs; or one job",
		Example: `  shoal status
  shoal status b5f3k2qa
  shoal status b5f3k2qa --output json`,
		Args:              optionalArg("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return p.jobStatus(cmd.Context(), args[0])
			}
			s, err := p.running()
			if err != nil {
				return err
			}
			status, err := s.Status(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(status, func(w io.Writer) { statusTable(w, status) })
		},
	}
}

func (p *program) jobStatus(ctx context.Context, ref string) (err error) {
	if err := checkRef(ref); err != nil {
		return err
	}
	s, err := p.runningOrHome(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	j, err := s.Job(ctx, ref)
	if err != nil {
		return err
	}
	return p.print(j, func(w io.Writer) { jobDetail(w, j) })
}

// checkRef refuses what cannot be a job id, or the beginning of one.
func checkRef(ref string) error {
	if ref == "" {
		return usage("shoal status lists the jobs known here", "an empty job id")
	}
	for _, r := range ref {
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return &api.Error{Code: api.CodeNotFound, Message: "no job " + oneLine(ref) + ": ids have the letters a to z and digits 2 to 7"}
		}
	}
	return nil
}
