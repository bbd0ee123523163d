package main

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/verify"
	"github.com/shoalgrid/shoal/jobs"
)

func (p *program) creditCommand() *cobra.Command {
	var files, submitters []string
	cmd := &cobra.Command{
		Use:   "credit",
		Short: "what was done for whom, and what donors earned by it",
		Long: `Credit is the fuel, in instructions, of a donor's answers that a submitter accepted. Anyone can
work it out from that submitter's evidence, and a donor alone cannot raise it. A submitter can
always praise its friends, or itself under another key: a total is worth what the submitters in it
are, so choose them with --submitter. An answer that was sealed when another's could be read may be
a copy: it is told as late, and earns nothing.

Without --evidence: what this node did for others, by its own account, and what others earned
from this node's jobs.`,
		Example: `  shoal credit                                       this node's own account
  shoal credit --evidence proof --evidence proof2     from files of anyone's
  shoal credit --evidence proof --submitter 12D3Koo…`,
		Args: exactArgs(),
	}
	cmd.Flags().StringArrayVar(&files, "evidence", nil, "`FILE` to count from")
	cmd.Flags().StringArrayVar(&submitters, "submitter", nil, "`PEER` to count, and no other")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, s := range submitters {
			if _, err := jobs.ParseNodeID(s); err != nil {
				return usage("shoal peers and shoal id print peer IDs: 12D3Koo…", "--submitter: %v", err)
			}
		}
		c, err := p.credit(cmd.Context(), files)
		if err != nil {
			return err
		}
		chosen(c, submitters)
		return p.print(c, func(w io.Writer) { creditTable(w, c) })
	}
	return cmd
}

func (p *program) credit(ctx context.Context, files []string) (c *api.Credit, err error) {
	if len(files) > 0 {
		return p.creditOf(ctx, files)
	}
	err = p.atHome(ctx, nil, func(s *session) error {
		c, err = s.Credit(ctx)
		return err
	})
	return c, err
}

// creditOf counts from evidence, each job once. A file that is not sound is not counted.
func (p *program) creditOf(ctx context.Context, files []string) (*api.Credit, error) {
	c := &api.Credit{}
	given := map[[2]jobs.NodeID]*api.Earned{} // by submitter and donor
	seen := map[jobs.JobID]string{}
	for _, name := range files {
		r, err := p.checkEvidence(ctx, name)
		if err != nil {
			return nil, err
		}
		if !r.Valid() {
			return nil, refusedEvidence(name, r)
		}
		if first := seen[r.Job.ID]; first != "" {
			return nil, usage("give each job once", "%s and %s are evidence of one job", first, name)
		}
		seen[r.Job.ID] = name
		submitter := r.Job.Head.Submitter
		for id, share := range r.Donors {
			k := [2]jobs.NodeID{submitter, id}
			if given[k] == nil {
				given[k] = &api.Earned{Submitter: submitter.String(), Donor: id.String()}
			}
			e := given[k]
			e.Units, e.Inputs, e.Fuel, e.LateFuel = e.Units+share.Units, e.Inputs+share.Inputs, e.Fuel+share.Fuel, e.LateFuel+share.Late
		}
	}
	for _, e := range given {
		c.Earned = append(c.Earned, *e)
	}
	api.SortEarned(c.Earned)
	return c, nil
}

func (p *program) checkEvidence(ctx context.Context, name string) (*verify.Report, error) {
	f, err := p.openEvidence(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return verify.Run(ctx, f, verify.Options{Partial: true})
}

// chosen leaves the named submitters' part of an account; none named: all of it.
func chosen(c *api.Credit, submitters []string) {
	if len(submitters) == 0 {
		return
	}
	c.Done = slices.DeleteFunc(c.Done, func(d api.Done) bool { return !slices.Contains(submitters, d.Submitter) })
	c.Earned = slices.DeleteFunc(c.Earned, func(e api.Earned) bool { return !slices.Contains(submitters, e.Submitter) })
}
