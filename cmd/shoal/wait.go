package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) waitCommand() *cobra.Command {
	var limit durationValue
	var first bool
	cmd := &cobra.Command{
		Use:   "wait JOB...",
		Short: "wait, in a script, until jobs end; the exit code says how",
		Long: `Waits for all of the jobs, or with --any for the first of them to end. Of several, the ids are
printed as they end. The exit code is 0 when they were done, and otherwise that of the worst.`,
		Example: `  shoal wait b5f3k2qa && shoal results b5f3k2qa > out
  shoal wait b5f3k2qa --timeout 1h                exit code 6 if it goes on
  shoal wait b5f3k2qa c6g4 d7h5 --any             prints the id of the first that ends`,
		Args:              someArgs("JOB"),
		ValidArgsFunction: p.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.wait(cmd.Context(), args, first, limit)
		},
	}
	cmd.Flags().Var(&limit, "timeout", "wait no longer than this, like 10m")
	cmd.Flags().BoolVar(&first, "any", false, "until one of them ends, not all")
	return cmd
}

// wait waits for all jobs, or for the first to end.
func (p *program) wait(ctx context.Context, refs []string, first bool, limit durationValue) error {
	if limit.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit.Duration, timedOut(refs, limit.Duration))
		defer cancel()
	}
	return p.atHome(ctx, refs, func(s *session) error { return p.waitAt(ctx, s, refs, first) })
}

// waitAt waits at a node, and prints the ids as jobs end where there are several.
func (p *program) waitAt(ctx context.Context, s *session, refs []string, first bool) (err error) {
	ends := make(chan ended, len(refs))
	each, stop := context.WithCancel(ctx)
	for _, ref := range refs {
		go func() { ends <- waitFor(each, s, ref) }()
	}
	defer func() {
		stop()
		for range refs {
			<-ends
		}
	}()
	worst, several := error(nil), len(refs) > 1
	var list *rows
	if several {
		list = p.rows()
	}
	defer func() { err = errors.Join(err, list.end()) }()
	for len(refs) > 0 {
		e := <-ends
		refs = refs[1:]
		if e.err != nil {
			return e.err
		}
		switch {
		case list != nil:
			err = list.add(e.job)
		case several || p.output != formatTable:
			err = p.print(e.job, func(w io.Writer) { fmt.Fprintln(w, e.job.Job) })
		}
		if err != nil {
			return err
		}
		if err := ending(e.job); exitCodeOf(err) > exitCodeOf(worst) {
			worst = err
		}
		if first {
			break
		}
	}
	return worst
}

// ended is how waiting for one job ended.
type ended struct {
	job *api.Job
	err error
}

func waitFor(ctx context.Context, s *session, ref string) ended {
	var last *api.Job
	if err := s.Watch(ctx, ref, func(j *api.Job) error { last = j; return nil }); err != nil {
		return ended{err: err}
	}
	if last == nil {
		return ended{err: errors.New("the node said nothing about the job")}
	}
	return ended{job: last}
}

func exitCodeOf(err error) int {
	if err == nil {
		return 0
	}
	return exitCode(err)
}
