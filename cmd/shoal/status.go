package main

import (
	"context"
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

func (p *program) jobStatus(ctx context.Context, ref string) error {
	return p.jobAtHome(ctx, ref, func(_ *session, j *api.Job) error {
		return p.print(j, func(w io.Writer) { jobDetail(w, j) })
	})
}
