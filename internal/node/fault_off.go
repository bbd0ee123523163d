//go:build !shoalfault

package node

import (
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/worker"
)

func faultyRunner(r worker.Runner) worker.Runner { return r }

func (n *Node) faultyKeepers(k *client.Client) worker.Keepers { return k }
