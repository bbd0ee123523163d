package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

func (p *program) resultsCommand() *cobra.Command {
	var keep, provisional bool
	var evidence string
	cmd := &cobra.Command{
		Use:   "results JOB",
		Short: "deliver the answers of a job, in input order",
		Long: `Gives the answers there are. Exit code 6 says that some inputs are still open, 5 that
some have failed. Any node can fetch the answers of any job by its id; those of a job at
level strong are final only when its submitter's node has judged them all. Where no node
runs it gives what this home has collected; exit code 3 then says that this is not all.`,
		Example: `  shoal results b5f3k2qa > out                     byte for byte, in input order
  shoal results b5f3k2qa -d out                    one file an input
  shoal results b5f3k2qa --output jsonl            one object an input, failures too
  shoal results b5f3k2qa -d out --evidence proof   and what proves them, for shoal verify`,
		Args:              exactArgs("JOB"),
		ValidArgsFunction: p.completeJob,
	}
	deliver := addDeliverFlags(cmd.Flags())
	cmd.Flags().BoolVar(&keep, "keep", false, "hold a copy here after the grid forgets the job")
	cmd.Flags().StringVar(&evidence, "evidence", "", "`FILE` for the records that prove the answers")
	cmd.Flags().BoolVar(&provisional, "provisional", false, "also answers of a strong job that are not final yet")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.results(cmd.Context(), args[0], deliver, api.ResultsOptions{Keep: keep, Provisional: provisional}, evidence)
	}
	return cmd
}

func (p *program) results(ctx context.Context, ref string, deliver *deliverFlags, o api.ResultsOptions, evidence string) (err error) {
	d, err := p.delivery(deliver)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return p.jobAtHome(ctx, ref, func(s *session, j *api.Job) error {
		if err := d.begin(j.Job); err != nil {
			return err
		}
		if evidence != "" {
			if err := p.writeEvidence(ctx, s, j, evidence); err != nil {
				return err
			}
		}
		shown := startProgress(p.ui)
		shown.collecting(j)
		err := s.Results(ctx, j.Job, o, func(r api.Result, output io.Reader) error {
			shown.took()
			return d.take(r, output)
		})
		shown.stop()
		if err != nil {
			return err
		}
		return d.finish(j)
	})
}
