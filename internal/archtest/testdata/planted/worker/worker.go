// Package worker knows too many.
package worker

import (
	"os"

	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler/keeper"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/spf13/cobra"
	"go.etcd.io/bbolt"
)

var _ = []any{os.Exit, p2p.X, jobs.Age, submit.X, keeper.X, client.X, cobra.Command{}, bbolt.Open}

func init() {}
