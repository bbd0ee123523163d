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
	all map[string]api.Submitting
}

// tell changes what is said of a submission. One without a tag is not told of.
func (s *steps) tell(tag string, change func(*api.Submitting)) {
	if tag == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]api.Submitting{}
	}
	now := s.all[tag]
	now.Tag = tag
	change(&now)
	s.all[tag] = now
}

// at is the next step of a submission.
func (s *steps) at(tag, step string) {
	s.tell(tag, func(x *api.Submitting) { x.Step = step })
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
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b api.Submitting) int { return cmp.Compare(a.Tag, b.Tag) })
	return list, nil
}
