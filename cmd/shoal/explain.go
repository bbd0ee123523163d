package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain JOB",
		Short: "say why a job is not further, and what can be done about it",
		Long: `Looks at the job, at this node and at the donors in sight: too few of them, paused ones, ones
without the memory that it asks for, nobody that it trusts, bytes that are missing, answers
that differ. What weighs most comes first, each with one thing to try.`,
		Example: `  shoal explain b5f3k2qa
  shoal explain b5f3k2qa --output json            reasons with codes that scripts can rely on`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.explain(cmd.Context(), args[0]) },
	}
}

func (p *program) explain(ctx context.Context, ref string) error {
	return p.atHome(ctx, []string{ref}, func(s *session) error {
		e, err := s.Explain(ctx, ref)
		if err != nil {
			return err
		}
		return p.print(e, func(w io.Writer) { explanationText(w, e) })
	})
}
