package node

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/metrics"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/wasm"
)

// TestNothingIsLeftOutOfTheMetrics holds every state, outcome, verb and way of donating that
// there is to a series of its own.
func TestNothingIsLeftOutOfTheMetrics(t *testing.T) {
	var c counts
	for o := jobs.OK; o.Valid(); o++ {
		c.ran(wasm.Report{Outcome: o, Fuel: 2}, nil, false)
	}
	c.ran(wasm.Report{}, errors.New("gone"), false)
	c.ran(wasm.Report{}, errors.New("ended"), true)
	for v := protocol.Verb(1); v.Known(); v++ {
		c.asked(v)
	}
	c.asked(protocol.Verb(200))
	r := metrics.Reading{Jobs: metrics.Counts{}, Units: metrics.Counts{}, Inputs: metrics.Counts{}, Kept: metrics.Counts{}, Runs: c.runs, Kills: c.kills, Requests: c.requests, Fuel: c.fuel}
	for s := scheduler.Open; s <= scheduler.Disputed; s++ {
		r.Kept[s.String()]++
	}
	for _, state := range []string{api.JobOpen, api.JobDone, api.JobFailed, api.JobCancelled, api.JobExpired} {
		measureJob(&r, &api.Job{State: state, Units: api.Units{Open: 1, Running: 1, Sealed: 1, Agreed: 1, Failed: 1, Stuck: 1, Disputed: 1}, Inputs: api.Inputs{Total: 4, Done: 3, Failed: 1}})
	}
	for _, r.Donating = range []string{api.DonatingOn, api.DonatingPaused, api.DonatingFinishing, api.DonatingOff} {
		w := httptest.NewRecorder()
		metrics.New(func() metrics.Reading { return r }).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		text := w.Body.String()
		if !strings.Contains(text, fmt.Sprintf("shoal_donating{state=%q} 1\n", r.Donating)) {
			t.Errorf("donating %s makes no series", r.Donating)
		}
		for line := range strings.Lines(text) {
			counted := strings.Contains(line, "{") && strings.HasPrefix(line, "shoal_") && !strings.HasPrefix(line, "shoal_donating")
			if counted && strings.HasSuffix(line, " 0\n") {
				t.Errorf("nothing is counted as %s", line)
			}
		}
		for name, of := range map[string]metrics.Counts{"shoal_sandbox_runs_total{outcome": c.runs, "shoal_keeper_requests_total{verb": c.requests, "shoal_keeper_units{state": r.Kept} {
			if got := strings.Count(text, name); got != len(of) {
				t.Errorf("%s: %d series for %d values", name, got, len(of))
			}
		}
	}
}
