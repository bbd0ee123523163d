package main

import (
	"io"

	"github.com/spf13/cobra"
)

func (p *program) peersCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "peers",
		Short:   "the nodes that this one is connected with",
		Example: `  shoal peers`,
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := p.running()
			if err != nil {
				return err
			}
			peers, err := s.Peers(cmd.Context())
			if err != nil {
				return err
			}
			return printList(p, peers, func(w io.Writer) { peerTable(w, peers) })
		},
	}
}
