package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// lookAtSteps is between two looks at how far a submission is.
const lookAtSteps = 200 * time.Millisecond

// submit submits, and shows meanwhile what is being done.
func (p *program) submit(ctx context.Context, s *session, sub api.Submission, lines *lines) (*api.Submitted, error) {
	sub.Tag = rand.Text()
	shown := startProgress(p.ui)
	defer shown.stop()
	side, end := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for pause(side, lookAtSteps) {
			list, err := s.Submitting(side)
			if err != nil {
				continue // what is shown grows old; the submission itself will say what is wrong
			}
			for i := range list {
				if list[i].Tag == sub.Tag {
					shown.tell(submitPhase(&list[i]))
				}
			}
		}
	}()
	defer func() { end(); <-watched }()
	return s.Submit(ctx, sub, lines.reader())
}
