package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [JOB]",
		Short: "show how far a job is until it ends, or all of this node's jobs",
		Long: `On a terminal it takes the whole screen; ? lists the keys, q leaves: nothing that runs is
touched. Elsewhere it prints a line now and then, and ends with the job.`,
		Example: `  shoal watch                                     all jobs of this node
  shoal watch b5f3k2qa
  shoal watch b5f3k2qa --output jsonl             each reading as a line of JSON; json: the last one`,
		Args:              optionalArg("JOB"),
		ValidArgsFunction: p.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.watch(cmd.Context(), strings.Join(args, ""), len(args) > 0)
		},
	}
}

func (p *program) watch(ctx context.Context, ref string, named bool) error {
	var refs []string
	if named {
		refs = []string{ref}
	}
	full := p.tty && p.ui.screen.tty && p.output == formatTable && isTerminal(p.stdin)
	if !full && !named {
		return usage("shoal watch JOB, or on a terminal: shoal watch", "watch without a job needs a terminal")
	}
	return p.atHome(ctx, refs, func(s *session) error {
		_, still := s.Node.(homeOnly)
		switch {
		case still && !named:
			return noNode("no node is running, so nothing changes here")
		case full && !still:
			return p.watchScreen(ctx, s, ref)
		}
		return p.watchLines(ctx, s, ref)
	})
}

// watchLines follows a job to its end, a line now and then.
func (p *program) watchLines(ctx context.Context, s *session, ref string) error {
	shown := startProgress(p.ui)
	err := s.Watch(ctx, ref, func(j *api.Job) error {
		shown.update(j)
		if p.output != formatJSONL {
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
	case j == nil:
		return cmp.Or(err, errors.New("the node said nothing about the job"))
	}
	if p.output != formatJSONL { // also when the node has left: what was last heard
		if err := p.print(j, func(w io.Writer) { jobDetail(w, j) }); err != nil {
			return err
		}
	}
	return cmp.Or(err, ending(j))
}

// lookTime is between two looks at everything that the full screen shows.
const lookTime = time.Second

// watchScreen shows the node's jobs, or one, on the whole screen until the person leaves. The
// terminal is given back as it was, whatever happens. One job that has ended ends it as well.
func (p *program) watchScreen(ctx context.Context, s *session, ref string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	view := newWatchView(ref, p.ui.screen.colour)
	// Ctrl-C comes as a key; a signal from outside ends ctx.
	show := tea.NewProgram(view, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithInput(p.stdin), tea.WithOutput(os.Stderr), tea.WithoutSignalHandler())
	ended := make(chan error, 1)
	go func() { ended <- look(ctx, s, ref, view.wants, show.Send) }()
	final, err := show.Run()
	stop()
	if lookErr := <-ended; !errors.Is(err, tea.ErrProgramKilled) {
		err = cmp.Or(err, lookErr)
	} else {
		err = cmp.Or(lookErr, context.Cause(ctx))
	}
	if interrupted(err) || errors.Is(err, context.Canceled) {
		err = nil // the person has left; so it is with top and less
	}
	v, ok := final.(*watchView)
	if err != nil || !ok || v.job == nil || !v.job.Final || ref == "" {
		return err
	}
	if err := p.print(v.job, func(w io.Writer) { jobDetail(w, v.job) }); err != nil {
		return err
	}
	return ending(v.job)
}

// look reads the node again and again, and tells what it read, until ctx ends or what was
// asked for is not there.
func look(ctx context.Context, s *session, ref string, wants *wanted, tell func(tea.Msg)) error {
	for {
		if ref != "" {
			j, err := s.Job(ctx, ref)
			if err != nil && api.AsError(err).Code == api.CodeNotFound {
				tell(tea.Quit())
				return err
			}
			tell(reading{job: j, err: err})
		}
		status, err := s.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		tell(reading{status: status, err: err})
		if job, cells := wants.get(); job != "" {
			d, err := s.Detail(ctx, job, cells)
			tell(reading{detail: d, err: err})
		}
		select {
		case <-wants.now:
		case <-time.After(lookTime):
		case <-ctx.Done():
			return nil
		}
	}
}
