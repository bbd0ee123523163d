package main

import "github.com/spf13/cobra"

func (p *program) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "cancel JOB",
		Short:             "close a job of yours; what is done stays for three days",
		Example:           `  shoal cancel b5f3k2qa`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.running()
			if err != nil {
				return err
			}
			if err := about(cmd.Context(), s, args, func(s *session) error { return s.Cancel(cmd.Context(), args[0]) }); err != nil {
				return err
			}
			j, err := s.Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p.ui.cancelled(j)
			return nil
		},
	}
}
