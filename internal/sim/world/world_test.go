package world

import (
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestOne(t *testing.T) {
	seed, _ := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	liars, _ := strconv.Atoi(os.Getenv("LIARS"))
	count, _ := strconv.Atoi(os.Getenv("COUNT"))
	for range max(count, 1) {
		o := Options{Seed: seed, Nodes: 12, Liars: liars, Calm: os.Getenv("CALM") != "", Fast: os.Getenv("FAST") != ""}
		if os.Getenv("DEBUG") != "" {
			o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		if count == 0 {
			o.Story = os.Stderr
		}
		began := time.Now()
		r := Run(o)
		t.Logf("seed %d: %d/%d wrong %d lies %d faults %d exec %d %+v msgs %d steps %d took %s trace %s in %s", r.Seed, r.Accepted, r.Units, r.Wrong, r.Lies, r.Faults, r.Executions, r.Causes, r.Messages, r.Steps, r.Took, r.Trace[:12], time.Since(began))
		for _, b := range r.Broken {
			t.Errorf("seed %d: %s: %s", seed, b.Invariant, b.What)
		}
		seed++
	}
}
