package main

import "github.com/spf13/cobra"

func (p *program) finishCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "finish",
		Short:   "end what is running, take nothing new, then stop donating",
		Example: `  shoal finish`,
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := p.running()
			if err != nil {
				return err
			}
			if err := s.Finish(cmd.Context()); err != nil {
				return err
			}
			p.ui.finishing()
			return nil
		},
	}
}
