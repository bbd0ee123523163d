package node

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/shoalgrid/shoal/internal/api"
)

// steps is how far submissions are that are under way. There are as many as requests.
type steps struct {
	mu  sync.Mutex
	all map[string]step
}

// step is what is said of one, and how much the node had sent when it began to be placed.
type step struct {
	api.Submitting
	before uint64
}

// tell changes what is said of a submission. One without a tag is not told of.
func (s *steps) tell(tag string, change func(*api.Submitting)) {
	if tag == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]step{}
	}
	now := s.all[tag]
	now.Tag = tag
	change(&now.Submitting)
	s.all[tag] = now
}

// at is the next step of a submission.
func (s *steps) at(tag, step string) {
	s.tell(tag, func(x *api.Submitting) { x.Step = step })
}

// placing is the step in which a submission is sent, after what the node had sent before.
func (s *steps) placing(tag string, before uint64, change func(*api.Submitting)) {
	s.tell(tag, change)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.all[tag]; ok {
		now.Step, now.before = api.StepPlacing, before
		s.all[tag] = now
	}
}

// over ends what is said of a submission.
func (s *steps) over(tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, tag)
}

// Submitting lists the submissions that are under way.
func (n *Node) Submitting(context.Context) ([]api.Submitting, error) {
	n.steps.mu.Lock()
	defer n.steps.mu.Unlock()
	list := []api.Submitting{}
	for _, s := range n.steps.all {
		if s.Step == api.StepPlacing {
			s.Sent = n.sent.Load() - s.before
		}
		list = append(list, s.Submitting)
	}
	slices.SortFunc(list, func(a, b api.Submitting) int { return cmp.Compare(a.Tag, b.Tag) })
	return list, nil
}
