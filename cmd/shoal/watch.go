package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch JOB",
		Short: "show how far a job is until it ends",
		Example: `  shoal watch b5f3k2qa
  shoal watch b5f3k2qa --output jsonl             each reading as a line of JSON`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.watch(cmd.Context(), args[0])
		},
	}
}

func (p *program) watch(ctx context.Context, ref string) (err error) {
	if err := checkRef(ref); err != nil {
		return err
	}
	s, err := p.runningOrHome(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	shown := startProgress(p.ui)
	err = s.Watch(ctx, ref, func(j *api.Job) error {
		shown.update(j)
		if p.output == formatTable {
			return nil
		}
		return p.print(j, nil)
	})
	shown.stop()
	j := shown.reading()
	switch {
	case interrupted(err) && j != nil:
		p.ui.detached(j.Job, j, false)
		return err
	case err != nil:
		return err
	case j == nil:
		return errors.New("the node said nothing about the job")
	}
	if p.output == formatTable {
		if err := p.print(j, func(w io.Writer) { jobDetail(w, j) }); err != nil {
			return err
		}
	}
	return ending(j)
}
