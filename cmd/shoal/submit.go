package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
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

func (p *program) submitJob(ctx context.Context, job *jobFlags, node *nodeFlags, args []string, dash int) (err error) {
	sub, lines, err := p.submission(job, args, dash)
	if err != nil {
		return err
	}
	if lines != nil {
		defer lines.Close()
	}
	o, err := p.nodeOptions(node.settings())
	if err != nil {
		return err
	}
	o.Passing = true
	s, ctx, err := p.runningOrOwn(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	done, err := s.Submit(ctx, sub, lines)
	switch {
	case interrupted(err):
		p.ui.interruptedSubmit()
		return err
	case err != nil:
		return err
	case sub.DryRun:
		p.ui.dryRun(done)
		return nil
	}
	p.ui.submitted(done)
	return p.print(done, func(w io.Writer) { fmt.Fprintln(w, done.Job) })
}
