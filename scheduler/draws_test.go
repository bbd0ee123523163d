package scheduler

import (
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// A secret is drawn for what is open to claims and comes next, not for what is far, nor for what
// is done.
func TestDrawsDue(t *testing.T) {
	const units = 5*jobs.DrawUnits + 3
	for _, c := range []struct {
		name          string
		donors        int
		done, running int // units, in order
		want          []uint16
	}{
		{"nobody has begun", 60, 0, 0, []uint16{0}},
		{"the first half is taken", 60, 0, 65, []uint16{0, 1}},
		{"the first draw is done", 60, 128, 40, []uint16{1, 2}},
		{"in the middle", 60, 130, 60, []uint16{1, 2}},
		{"a large crowd sees more at once", 600, 0, 0, []uint16{0, 1, 2}},
		{"the end, which is short", 60, 4 * 128, 2*jobs.DrawUnits - 125, []uint16{4, 5}},
		{"all is done", 60, units, 0, nil},
	} {
		s := Summary{Units: make([]byte, 2*units), Lottery: &Lottery{Donors: uint32(c.donors)}}
		for n := range min(units, c.done+c.running) {
			s.Units[2*n] = byte(Running)
			if n < c.done {
				s.Units[2*n] = byte(Agreed) | HeldFlag
			}
		}
		if got := s.DrawsDue(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
		if s.Lottery = nil; s.DrawsDue() != nil {
			t.Errorf("%s: drawn where there is no lot", c.name)
		}
	}
}
