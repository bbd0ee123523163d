package node

import (
	"log/slog"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/store"
)

// A pause outlasts a restart for as long as it was told to last, and no longer: not where the clock
// was put back meanwhile, nor where it was wrong when the pause was told.
func TestAPauseIsRecalled(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		pause time.Duration // 0: until told otherwise
		later time.Duration // the clock, when the node begins again
		left  time.Duration // of the pause; 0: it is over
	}{
		"soon":               {hour, 10 * time.Minute, 50 * time.Minute},
		"when it is over":    {hour, 2 * hour, 0},
		"the clock put back": {hour, -48 * hour, hour},
		"without an end":     {0, 1000 * hour, 1 << 62},
	} {
		s, err := store.Open(t.TempDir(), store.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		told := time.Now()
		d := donation{paused: true}
		if c.pause > 0 {
			d.until = told.Add(c.pause)
		}
		n := &Node{store: s, log: slog.New(slog.DiscardHandler)}
		if err := n.rememberPause(d); err != nil {
			t.Fatal(err)
		}
		again := &Node{store: s, log: slog.New(slog.DiscardHandler)}
		now := told.Add(c.later)
		if err := again.recallPause(now); err != nil {
			t.Fatal(err)
		}
		left := again.donate.until.Sub(now)
		switch {
		case again.donate.paused != (c.left > 0), again.donate.until.IsZero() != (c.pause == 0):
			t.Errorf("%s: %+v", name, again.donate)
		case c.left > 0 && c.pause > 0 && (left > c.left || left < c.left-time.Minute):
			t.Errorf("%s: %s of it are left, not %s", name, left, c.left)
		}
		s.Close()
	}
}
