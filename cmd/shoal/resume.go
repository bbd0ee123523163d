package main

import "github.com/spf13/cobra"

func (p *program) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume",
		Short:   "donate again after a pause",
		Example: `  shoal resume`,
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := p.running()
			if err != nil {
				return err
			}
			if err := s.Resume(cmd.Context()); err != nil {
				return err
			}
			p.ui.resumed()
			return nil
		},
	}
}
