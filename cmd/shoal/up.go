package main

import "github.com/spf13/cobra"

func (p *program) upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "a node that keeps and relays for others, and does not donate",
		Example: `  shoal up
  shoal up --listen 4901`,
		Args: exactArgs(),
	}
	node := addNodeFlags(cmd.Flags())
	node.addMetricsFlag(cmd.Flags())
	node.addName()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.nodeOptions(node.settings())
		if err != nil {
			return err
		}
		o.Metrics = node.metrics
		return p.serve(cmd.Context(), o)
	}
	return cmd
}
