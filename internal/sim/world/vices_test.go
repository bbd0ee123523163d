package world

import (
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
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

// Where only liars do harm nobody honest loses its standing, whatever a submitter does with its own job.
func TestTheHonestKeepTheirStanding(t *testing.T) {
	for _, v := range viceNames[altering:] {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			holds(t, Options{Seed: 1, Nodes: 8, Liars: 1, Units: 40, Vice: v, Calm: true})
		})
	}
}

// A keeper that says at every question that all has changed makes nobody ask without a pause (it was
// 80 questions a second of one collector).
func TestWhoInventsMakesNobodyRestless(t *testing.T) {
	r := holds(t, Options{Seed: 91000005, Nodes: 9, Liars: 2, Vice: viceNames[inventing]})
	if a := r.Messages / int(r.Took/time.Second); r.Vices[viceNames[inventing]] == 0 || a > 40 {
		t.Errorf("%d messages a second, from all together", a)
	}
}

// That is seen: who is convicted is shut out for ever, who is silent for an hour.
func TestShutOut(t *testing.T) {
	id, now, date := jobs.NodeID{1}, time.Unix(1<<31, 0), strand.Epoch().Unix()
	for name, c := range map[string]struct {
		learnt      scheduler.Dealings
		calm, faint bool
	}{
		"nothing":           {},
		"said two things":   {scheduler.Dealings{Convicted: []jobs.NodeID{id}}, true, true},
		"was silent, twice": {scheduler.Dealings{Silent: []jobs.NodeID{id, id}}, true, false},
	} {
		roll := scheduler.NewRoll()
		roll.Meet(now, id)
		roll.Learn(now, c.learnt)
		record := roll.Changed(now, date)[0].Record
		for calm, want := range map[bool]bool{true: c.calm, false: c.faint} {
			if got := newWorld(Options{Nodes: 2, Calm: calm}).shutOut(id, record); got != want {
				t.Errorf("%s, calm %v: shut out %v", name, calm, got)
			}
		}
	}
}
