package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

const (
	offerAfter = 2 * time.Second // work left after this is offered to the grid
	donorsTime = 2 * time.Second // between two looks for donors to speak of
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run PROGRAM [INPUT...] [-- ARG...]",
		Short: "run a program on many inputs and deliver the answers in order",
		Long: `Runs on this machine at once; what is left after 2 s is offered to the grid as well.
The program reads an input on stdin and answers on stdout. {} in ARG is the line, the
number, or /in/NAME of the file; {#} is the input's place, from 1. Programs and inputs
are shown to the donors; --local keeps them here.`,
		Example: `  seq 1 1000 | shoal run prog.wasm --lines -      1,000 inputs from stdin
  shoal run prime.wasm --range 2..4500            1 input a number
  shoal run count.wasm texts/*.txt -d counts      1 input a file, 1 file an answer
  shoal run blur.wasm *.png -d out -- -r 3 {}     with arguments`,
		Args: cobra.ArbitraryArgs,
	}
	job, node, deliver := addJobFlags(cmd.Flags()), addNodeFlags(cmd.Flags()), addDeliverFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.runJob(cmd.Context(), job, node, deliver, args, cmd.ArgsLenAtDash())
	}
	return cmd
}

func (p *program) runJob(ctx context.Context, job *jobFlags, node *nodeFlags, deliver *deliverFlags, args []string, dash int) (err error) {
	sub, lines, err := p.submission(job, args, dash)
	if err != nil {
		return err
	}
	defer lines.close()
	sub.Alone = true
	if sub.DryRun {
		return p.atNode(ctx, node, passing, func(ctx context.Context, s *session, _ *nodeOptions) error { return p.dryRun(ctx, s, sub, lines) })
	}
	d, err := p.delivery(deliver)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return p.atNode(ctx, node, alone, func(ctx context.Context, s *session, o *nodeOptions) error {
		done, err := p.submit(ctx, s, sub, lines)
		switch {
		case interrupted(err):
			p.ui.interruptedBeforeSubmit()
			return err
		case err != nil:
			return err
		}
		p.ui.attached(done)
		if err := d.begin(done.Job); err != nil {
			return err
		}
		w := &wait{p: p, s: s, id: done.Job, offer: !sub.Local, joins: o.Config.Bootstrap}
		return w.deliver(ctx, d)
	})
}

// wait is a person in front of a job of theirs.
type wait struct {
	p     *program
	s     *session
	id    string
	offer bool     // what is left soon goes to the grid as well
	joins []string // addresses by which the command was told to join the grid
}

// deliver gives the answers as they come, shows how far the job is, and offers it.
func (w *wait) deliver(ctx context.Context, d *delivery) error {
	shown := startProgress(w.p.ui)
	side, endSide := context.WithCancel(ctx)
	var aside sync.WaitGroup
	aside.Go(func() {
		w.aside(side, "show progress", w.s.Watch(side, w.id, func(j *api.Job) error { shown.update(j); return nil }))
	})
	aside.Go(func() { w.aside(side, "offer the job to the grid", w.offerSoon(side)) })

	err := w.s.Results(ctx, w.id, api.ResultsOptions{Follow: true}, func(r api.Result, output io.Reader) error {
		shown.took()
		return d.take(r, output)
	})
	endSide()
	aside.Wait()
	shown.stop()
	if interrupted(err) {
		w.p.ui.detached(w.id, w.latest(shown.reading()), w.s.own)
	}
	if err != nil {
		return err
	}
	j, err := w.s.Job(ctx, w.id)
	if err != nil {
		return err
	}
	w.p.ui.finished(j)
	return d.finish(j)
}

// latest is the reading as it is now, or the last that was shown where the node does not answer.
func (w *wait) latest(shown *api.Job) *api.Job {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	if j, err := w.s.Job(ctx, w.id); err == nil {
		return j
	}
	return shown
}

// aside logs what failed beside the answers, as these do not depend on it.
func (w *wait) aside(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		w.p.log().Warn("failed beside the answers", "what", what, "err", err)
	}
}

// offerSoon offers the job when it has taken a while, and says who helps once somebody does.
func (w *wait) offerSoon(ctx context.Context) error {
	if !w.offer || !pause(ctx, offerAfter) {
		return nil
	}
	if err := w.s.Offer(ctx, w.id); err != nil {
		return err
	}
	for look := 0; ; look++ {
		if look == settleTime {
			w.p.unheard(ctx, w.s, w.joins)
		}
		peers, err := w.s.Peers(ctx)
		if err != nil {
			return err
		}
		peers = slices.DeleteFunc(peers, func(p api.Peer) bool { return !slices.Contains(p.Roles, api.RoleDonor) })
		if len(peers) > 0 {
			w.p.ui.offered(peers)
			return nil
		}
		if !pause(ctx, donorsTime) {
			return nil
		}
	}
}

// pause waits, and reports whether ctx has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
