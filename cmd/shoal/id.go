package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/identity"
)

func (p *program) idCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "id",
		Short: "this node's name, and the addresses that others join by while it runs",
		Example: `  shoal id
  shoal donate --bootstrap $(shoal id --output json | jq -r '.addrs[0]')`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := p.id(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(id, func(w io.Writer) {
				fmt.Fprintln(w, id.Peer)
				for _, a := range id.Addrs {
					fmt.Fprintln(w, a)
				}
			})
		},
	}
}

// id is that of the running node, or the key's in the home.
func (p *program) id(ctx context.Context) (*api.ID, error) {
	s, err := p.running()
	if err != nil {
		return nil, err
	}
	id, err := s.ID(ctx)
	if err == nil || api.AsError(err).Code != api.CodeNoNode {
		return id, err
	}
	home, err := p.home()
	if err != nil {
		return nil, wrongCall(err)
	}
	key, err := identity.Open(home)
	if err != nil {
		return nil, err
	}
	return &api.ID{Peer: key.ID().String()}, nil
}
