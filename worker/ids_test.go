package worker

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// A line of the log names job, shard and unit beside what else it says, not in a group.
func TestIDsInTheLog(t *testing.T) {
	var text strings.Builder
	k := taskKey{protocol.ShardRef{Job: jobs.JobID{1, 2, 3}, Shard: 4}, 5}
	slog.New(slog.NewTextHandler(&text, nil)).Info("unit run", k.ids(), "slot", 6)
	if want := "job=" + k.ref.Job.Short() + " shard=4 unit=5 slot=6\n"; !strings.HasSuffix(text.String(), want) {
		t.Errorf("%q does not end in %q", text.String(), want)
	}
}
