// Shoal is the command.
package main

import (
	"github.com/ipfs/go-cid"
	"github.com/shoalgrid/shoal/internal/node"
	"github.com/shoalgrid/shoal/worker"
	"github.com/spf13/cobra"
)

func main() { _ = []any{cid.Undef, node.X, worker.X, cobra.Command{}} }
