package host

import (
	"context"
	"time"
)

// clocks are one look at a system's clocks.
type clocks struct {
	boot  time.Duration // since boot, suspended time included
	awake time.Duration // without it
	wall  time.Time
}

// clockSlack is the least difference between two clocks that means something: adjusting a
// clock slowly moves it by less in the seconds between two looks.
const clockSlack = 500 * time.Millisecond

// timekeeper finds, by comparing clocks, when the machine was suspended or its wall clock set.
type timekeeper struct {
	read func() (clocks, error)
	last clocks
	told Clock
}

func (t *timekeeper) look(context.Context) (Clock, error) {
	now, err := t.read()
	if err != nil {
		return Clock{}, err
	}
	if last := t.last; !last.wall.IsZero() {
		passed := now.boot - last.boot
		if slept := passed - (now.awake - last.awake); slept > clockSlack {
			t.told.Sleeps++
			t.told.Slept += slept
			t.told.Woke = now.wall
		}
		if set := now.wall.Sub(last.wall) - passed; set.Abs() > clockSlack {
			t.told.Jumps++
			t.told.LastSet = set
		}
	}
	t.last = now
	return t.told, nil
}
