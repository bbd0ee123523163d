package world

import (
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// Every vice on the menu is really committed, and every promise holds all the same.
func TestEveryViceIsCommitted(t *testing.T) {
	for _, name := range Vices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			level, liars, committed := jobs.Standard, 2, 0
			switch name {
			case viceNames[misjudging]:
				level = jobs.Strong // elsewhere nobody asks a submitter for its last word
			case viceNames[sniping]:
				liars = 4 // they must come to the same unit
			}
			for seed := range uint64(6) {
				r := holds(t, Options{Seed: seed, Nodes: 8, Liars: liars, Units: 6, Vice: name, Level: level})
				committed += r.Vices[name]
				if committed > 0 && seed > 0 {
					t.Logf("%d times", committed)
					return
				}
			}
			t.Errorf("committed %d times", committed)
		})
	}
}
