package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) submitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "submit PROGRAM [INPUT...] [-- ARG...]",
		Short: "leave a job with the grid: prints its id, and says when it is safe to go offline",
		Example: `  shoal submit count.wasm texts/*.txt            prints the job's id
  shoal submit prime.wasm --range 2..4500 --dry-run
  id=$(shoal submit -q prog.wasm --lines in.txt) && shoal wait $id && shoal results $id`,
		Args: cobra.ArbitraryArgs,
	}
	job, node := addJobFlags(cmd.Flags()), addNodeFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.submitJob(cmd.Context(), job, node, args, cmd.ArgsLenAtDash())
	}
	return cmd
}

func (p *program) submitJob(ctx context.Context, job *jobFlags, node *nodeFlags, args []string, dash int) error {
	sub, lines, err := p.submission(job, args, dash)
	if err != nil {
		return err
	}
	defer lines.close()
	return p.atNode(ctx, node, passing, func(ctx context.Context, s *session, o *nodeOptions) error {
		if sub.DryRun {
			return p.dryRun(ctx, s, sub, lines)
		}
		done, err := p.submit(ctx, s, sub, lines)
		switch {
		case interrupted(err):
			p.ui.interruptedSubmit()
			return err
		case err != nil:
			return err
		}
		p.ui.submitted(done)
		p.unheard(ctx, s, o.Config.Bootstrap)
		return p.print(documentOf(done), func(w io.Writer) { fmt.Fprintln(w, done.Job) })
	})
}

// dryRun says what run or submit would submit; the document goes to stdout when asked for.
func (p *program) dryRun(ctx context.Context, s *session, sub api.Submission, lines *lines) error {
	would, err := p.submit(ctx, s, sub, lines)
	if err != nil {
		return err
	}
	p.ui.dryRun(would)
	if p.output == formatTable {
		return nil
	}
	return p.print(documentOf(would), nil)
}

// unheard says that none of the addresses that a command was told to join by has answered.
func (p *program) unheard(ctx context.Context, s *session, addrs []string) {
	if !s.own || len(addrs) == 0 {
		return
	}
	if status, err := s.Status(ctx); err == nil && status.Grid.Peers == 0 {
		p.ui.nobodyThere(addrs)
	}
}
