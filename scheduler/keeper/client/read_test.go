package client

import (
	"testing"

	"github.com/shoalgrid/shoal/scheduler"
)

func told(state scheduler.State, held bool, free uint8) *scheduler.Summary {
	b := byte(state)
	if held {
		b |= scheduler.HeldFlag
	}
	return &scheduler.Summary{Units: []byte{b, free}}
}

func TestMergeTakesMajorities(t *testing.T) {
	agreed, open := told(scheduler.Agreed, true, 0), told(scheduler.Open, false, 3)
	for _, c := range []struct {
		name string
		sums []*scheduler.Summary
		want scheduler.UnitSummary
	}{
		{"one says decided, two do not", []*scheduler.Summary{agreed, open, open}, scheduler.UnitSummary{State: scheduler.Open, Free: 3}},
		{"two of three say decided", []*scheduler.Summary{agreed, agreed, open}, scheduler.UnitSummary{State: scheduler.Agreed, Held: true}},
		{"who says nothing new does not count", []*scheduler.Summary{nil, agreed, nil}, scheduler.UnitSummary{State: scheduler.Agreed, Held: true}},
		{"progress that one has seen", []*scheduler.Summary{told(scheduler.Sealed, false, 2), told(scheduler.Running, false, 2), open}, scheduler.UnitSummary{State: scheduler.Sealed, Free: 2}},
		{"a replica is free when most say so", []*scheduler.Summary{told(scheduler.Open, false, 1), told(scheduler.Open, false, 2), told(scheduler.Open, false, 3)}, scheduler.UnitSummary{State: scheduler.Open, Free: 3}},
	} {
		if got := merge(c.sums).Unit(0); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if merge([]*scheduler.Summary{nil, nil}) != nil {
		t.Error("a summary of nothing")
	}
}

// A keeper that lies about how much there is, or how much is done, is one of several.
func TestMergeHoldsAgainstOneWhoLies(t *testing.T) {
	honest := func() *scheduler.Summary {
		return &scheduler.Summary{Units: []byte{byte(scheduler.Open), 3, byte(scheduler.Open), 3}, Done: 2, Failed: 1, Executions: 4}
	}
	for _, lie := range []*scheduler.Summary{
		{Units: make([]byte, 4096), Done: 1 << 60, Failed: 1 << 60, Stuck: 1 << 60, Executions: 1 << 60},
		{Units: []byte{byte(scheduler.Open), 3, byte(scheduler.Open), 3}, Done: 1 << 60, Failed: 1 << 60, Stuck: 1 << 60, Executions: 1 << 60},
		{},
	} {
		for at := range 3 {
			sums := []*scheduler.Summary{honest(), honest(), honest()}
			sums[at] = lie
			got := merge(sums)
			if got.Len() != 2 || got.Unit(1).Free != 3 || got.Done != 2 || got.Failed != 1 || got.Stuck != 0 || got.Executions != 4 {
				t.Errorf("with %d units told by one: %+v", lie.Len(), got)
			}
		}
	}
}
