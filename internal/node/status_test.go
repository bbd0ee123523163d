package node

import (
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/worker"
)

// What was given today is the account's rows of the day, in UTC, and no others.
func TestToday(t *testing.T) {
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	day := midnight.Unix() / 86400
	account := []worker.Dealing{
		{Day: 0, Submitter: jobs.NodeID{1}, Units: 1000, CPU: time.Hour},
		{Day: day - 1, Submitter: jobs.NodeID{1}, Units: 100, Accepted: 90, CPU: time.Hour},
		{Day: day, Submitter: jobs.NodeID{1}, Units: 7, Accepted: 6, CPU: 3 * time.Second},
		{Day: day, Submitter: jobs.NodeID{2}, Units: 1, Accepted: 1, CPU: time.Second / 2},
	}
	for name, c := range map[string]struct {
		now  time.Time
		want api.Today
	}{
		"at midnight":   {midnight, api.Today{Submitters: 2, Units: 8, Accepted: 7, CPUSeconds: 3.5}},
		"elsewhere":     {midnight.Add(23 * time.Hour).In(time.FixedZone("", 5*3600)), api.Today{Submitters: 2, Units: 8, Accepted: 7, CPUSeconds: 3.5}},
		"a moment ago":  {midnight.Add(-time.Nanosecond), api.Today{Submitters: 1, Units: 100, Accepted: 90, CPUSeconds: 3600}},
		"a day later":   {midnight.Add(24 * time.Hour), api.Today{}},
		"ere it began":  {midnight.Add(-48 * time.Hour), api.Today{}},
		"in the future": {midnight.Add(1000 * time.Hour), api.Today{}},
	} {
		if got := todayOf(account, c.now); got != c.want {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
}
