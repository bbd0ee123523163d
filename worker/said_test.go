package worker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// What a worker told of a unit, and has seen done, it never contradicts when the unit opens again and
// it runs it once more: neither a stranger's nor its own.
func TestWhatWasSaidIsNotContradicted(t *testing.T) {
	for _, own := range []bool{false, true} {
		loop := strand.NewLoop(1)
		defer loop.Stop()
		m := loop.Machine(0, 0)
		keepers := &releases{loop: loop, back: map[jobs.Hold]time.Duration{}}
		w := &Worker{cfg: Config{Keepers: keepers, Disk: pairs{}, Logger: slog.New(slog.DiscardHandler)}, rt: m, tasks: map[taskKey]*task{}, ctx: t.Context()}
		ref := protocol.ShardRef{Job: jobs.JobID{1}}
		told, other := jobs.Digest{1}, jobs.Digest{2}
		if err := w.forget(t.Context(), []*result{{Ref: ref, Own: own, Tuples: told}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			unit uint16
			says jobs.Digest
			kept bool
		}{{0, told, true}, {0, other, false}, {1, other, true}} {
			one := &task{info: &jobInfo{own: own}, ref: ref, hold: jobs.Hold{Unit: c.unit}, ctx: t.Context(), cancel: func(error) {}}
			if kept := len(w.consistent([]*outcome{{task: one, tuples: c.says}})) == 1; kept != c.kept {
				t.Errorf("own %v, unit %d, %x: told %v, not %v", own, c.unit, c.says[:1], kept, c.kept)
			}
		}
	}
}
