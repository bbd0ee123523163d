package scheduler

import (
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// TestAssigned: a worker that knows only some of a shard's keepers is not assigned by a majority
// of those.
func TestAssigned(t *testing.T) {
	hold := jobs.Hold{Unit: 3, Replica: 1}
	nodes := make([]jobs.NodeID, 5)
	for i := range nodes {
		nodes[i][0] = byte(i + 1)
	}
	grant := func(author, set int, h jobs.Hold) *jobs.Record {
		return &jobs.Record{Author: nodes[author], Kind: jobs.KindGrant, Body: &jobs.Grant{Set: nodes[:set], Holds: []jobs.Hold{h}}}
	}
	for _, c := range []struct {
		name   string
		grants []*jobs.Record
		want   bool
	}{
		{"none", nil, false},
		{"three of five", []*jobs.Record{grant(0, 5, hold), grant(1, 5, hold), grant(4, 5, hold)}, true},
		{"two of five, all that the worker knew", []*jobs.Record{grant(0, 5, hold), grant(1, 5, hold)}, false},
		{"one of five thrice", []*jobs.Record{grant(0, 5, hold), grant(0, 5, hold), grant(0, 5, hold)}, false},
		{"three of five, one for another replica", []*jobs.Record{grant(0, 5, hold), grant(1, 5, hold), grant(2, 5, jobs.Hold{Unit: 3})}, false},
		{"two of the three that one of them knows", []*jobs.Record{grant(0, 5, hold), grant(1, 3, hold)}, true},
	} {
		if got := Assigned(c.grants, hold); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
