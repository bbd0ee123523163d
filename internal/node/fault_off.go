//go:build !shoalfault

package node

import "github.com/shoalgrid/shoal/worker"

func faultyRunner(r worker.Runner) worker.Runner { return r }

func faultyKeepers(k worker.Keepers) worker.Keepers { return k }
