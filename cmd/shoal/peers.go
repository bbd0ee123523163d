package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
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
			if peers == nil {
				peers = []api.Peer{} // a list in JSON too
			}
			return p.print(peers, func(w io.Writer) { peerTable(w, peers) })
		},
	}
}
