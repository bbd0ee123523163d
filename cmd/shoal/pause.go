package main

import (
	"time"

	"github.com/spf13/cobra"
)

func (p *program) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause [DURATION]",
		Short: "stop donating for a time, or until resume",
		Example: `  shoal pause 1h
  shoal pause`,
		Args: optionalArg("DURATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d time.Duration
			if len(args) == 1 {
				var err error
				if d, err = parseDuration(args[0]); err != nil {
					return usage("shoal pause 1h", "pause %q: %v", args[0], err)
				}
			}
			s, err := p.running()
			if err != nil {
				return err
			}
			if err := s.Pause(cmd.Context(), d); err != nil {
				return err
			}
			p.ui.paused(d)
			return nil
		},
	}
}
