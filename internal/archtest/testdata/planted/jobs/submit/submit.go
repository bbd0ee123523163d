// Package submit does what it may.
package submit

import (
	"os"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
)

var _ = []any{os.Exit, &sync.Mutex{}, time.Now, jobs.Age, scheduler.X, client.X}

// X starts a goroutine, as a doer may.
func X() { go scheduler.X(nil) }
