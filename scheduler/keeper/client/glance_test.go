package client

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// five keepers, one of which may have let the shard go; it counts lookups and questions.
type five struct {
	lookups int
	asked   map[jobs.NodeID]int
	gone    jobs.NodeID
}

func (f *five) Self() jobs.NodeID { return jobs.NodeID{99} }

func (f *five) Nearest(context.Context, [32]byte, int) ([]jobs.NodeID, error) {
	f.lookups++
	var set []jobs.NodeID
	for i := range byte(scheduler.Keepers) {
		set = append(set, jobs.NodeID{i + 1})
	}
	return set, nil
}

func (f *five) Call(_ context.Context, to jobs.NodeID, _ []byte) ([]byte, error) {
	f.asked[to]++
	if to == f.gone {
		return protocol.EncodeAnswer(nil, protocol.Refuse(protocol.Unknown, "that shard is not kept here")), nil
	}
	return protocol.EncodeAnswer(&protocol.SummaryAnswer{Summary: told(scheduler.Open, false, 3)}, nil), nil
}

type keepsNothing struct{}

func (keepsNothing) Handle(context.Context, jobs.NodeID, []byte) []byte { return nil }
func (keepsNothing) Local(protocol.ShardRef) bool                       { return false }

// A glance is one question, to another keeper each time, and makes no lookup although peers come and
// go; one that the shard has left says so, and is not asked again before a lookup.
func TestGlance(t *testing.T) {
	f := &five{asked: map[jobs.NodeID]int{}}
	c := New("test", f, keepsNothing{})
	const glances = 200
	for range glances {
		if s, err := c.Glance(t.Context(), protocol.ShardRef{}); err != nil || s.Unit(0).Free != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
		c.ForgetAll()
	}
	total := 0
	for _, n := range f.asked {
		total += n
	}
	if f.lookups != 1 || total != glances || len(f.asked) != scheduler.Keepers {
		t.Errorf("%d lookups and %d questions to %d keepers, want 1, %d and %d", f.lookups, total, len(f.asked), glances, scheduler.Keepers)
	}
	f.gone = jobs.NodeID{1}
	var refused *protocol.Refusal
	for err := error(nil); refused == nil; _, err = c.Glance(t.Context(), protocol.ShardRef{}) {
		errors.As(err, &refused)
	}
	if set, err := c.Keepers(t.Context(), protocol.ShardRef{}); err != nil || f.lookups < 2 || !slices.Contains(set, f.gone) {
		t.Errorf("%d lookups after a refusal: %v, %v", f.lookups, set, err)
	}
}
