package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/jobs"
)

func (p *program) notifyCommand() *cobra.Command {
	var job string
	cmd := &cobra.Command{
		Use:   "notify TEXT",
		Short: "tell those who work for this node's jobs, or follow it, something",
		Long: `Signed with this node's key, one line of up to 1,024 bytes. Donors that are off hear of it when they
come back, from other nodes; each carries the newest eight of a submitter, for 90 days.`,
		Example: `  shoal notify "paper published, thank you: doi.org/…"
  shoal notify --job b5f3k2qa "half of it is done, and it looks good"`,
		Args: exactArgs("TEXT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args[0]) > jobs.MaxNoticeText {
				return usage("say it in 1,024 bytes, with a link to the rest", "a notice of %d bytes is too long", len(args[0]))
			}
			var refs []string
			if cmd.Flags().Changed("job") {
				refs = []string{job}
			}
			s, err := p.running()
			if err != nil {
				return err
			}
			if err := about(cmd.Context(), s, refs, func(s *session) error { return s.Notify(cmd.Context(), job, args[0]) }); err != nil {
				return err
			}
			p.ui.notified()
			return nil
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "`JOB` that it is about")
	return cmd
}

func (p *program) noticesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "notices",
		Short: "what submitters say that this node works for, or follows",
		Example: `  shoal notices
  shoal notices --output json`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.atHome(cmd.Context(), nil, func(s *session) error {
				list, err := s.Notices(cmd.Context())
				if err != nil {
					return err
				}
				return printList(p, list, func(w io.Writer) { noticeTable(w, list) })
			})
		},
	}
}
