package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) waitCommand() *cobra.Command {
	var limit durationValue
	cmd := &cobra.Command{
		Use:   "wait JOB",
		Short: "wait, in a script, until a job ends; the exit code says how",
		Example: `  shoal wait b5f3k2qa && shoal results b5f3k2qa > out
  shoal wait b5f3k2qa --timeout 1h                exit code 6 if it goes on`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.wait(cmd.Context(), args[0], limit)
		},
	}
	cmd.Flags().Var(&limit, "timeout", "wait no longer than this, like 10m")
	return cmd
}

func (p *program) wait(ctx context.Context, ref string, limit durationValue) (err error) {
	if err := checkRef(ref); err != nil {
		return err
	}
	if limit.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit.Duration, timedOut(ref, limit.Duration))
		defer cancel()
	}
	s, err := p.runningOrHome(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	var last *api.Job
	if err := s.Watch(ctx, ref, func(j *api.Job) error { last = j; return nil }); err != nil {
		return err
	}
	if last == nil {
		return errors.New("the node said nothing about the job")
	}
	if p.output != formatTable {
		if err := p.print(last, nil); err != nil {
			return err
		}
	}
	return ending(last)
}
