package main

// Jobs as people name them: by an id, or the beginning of one.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// atHome calls do with the node that runs in the home, or with what the home alone can tell. refs
// are the jobs that it is about.
func (p *program) atHome(ctx context.Context, refs []string, do func(*session) error) (err error) {
	s, err := p.runningOrHome(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return about(ctx, s, refs, do)
}

// passing is a node that leaves soon, and so keeps nothing for others.
func passing(o *nodeOptions) { o.Passing = true }

// alone is a node whose network comes up only when a job is offered.
func alone(o *nodeOptions) { o.Alone = true }

// atNode calls do with the node that runs in the home, or with one of this command's own that ends
// with it. Its context ends with the node.
func (p *program) atNode(ctx context.Context, flags *nodeFlags, as func(*nodeOptions), do func(context.Context, *session, *nodeOptions) error) (err error) {
	o, err := p.nodeOptions(flags.settings())
	if err != nil {
		return err
	}
	as(&o)
	s, ctx, err := p.runningOrOwn(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return do(ctx, s, &o)
}

// jobAtHome is atHome for one job, of which it takes a reading.
func (p *program) jobAtHome(ctx context.Context, ref string, do func(*session, *api.Job) error) error {
	return p.atHome(ctx, []string{ref}, func(s *session) error {
		j, err := s.Job(ctx, ref)
		if err != nil {
			return err
		}
		return do(s, j)
	})
}

// about calls do, and where a job that it is about is not known gives the one that may have been
// meant as a hint.
func about(ctx context.Context, s *session, refs []string, do func(*session) error) error {
	var err error
	for _, ref := range refs {
		if err = checkRef(ref); err != nil {
			break
		}
	}
	if err == nil {
		err = do(s)
	}
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeNotFound && e.Code != api.CodeNoNode {
		return err
	}
	if near := nearJob(ctx, s, refs); near != "" {
		return &api.Error{Code: e.Code, Message: err.Error(), Hint: "did you mean: " + near}
	}
	return err
}

// checkRef refuses what cannot be a job id, or the beginning of one.
func checkRef(ref string) error {
	if ref == "" {
		return usage("shoal status lists the jobs known here", "an empty job id")
	}
	for _, r := range ref {
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return &api.Error{Code: api.CodeNotFound, Message: "no job " + oneLine(ref) + ": ids have the letters a to z and digits 2 to 7"}
		}
	}
	return nil
}

// minNear is how much of an id must be there to tell what was meant.
const minNear = 4

// nearJob is a known job whose id begins almost as one of the refs does that no job has, or "".
func nearJob(ctx context.Context, s *session, refs []string) string {
	known := knownJobs(ctx, s)
	for _, ref := range refs {
		best, least := "", min(3, 1+len(ref)/minNear)
		for _, j := range known {
			for n := len(ref) - 1; n <= len(ref)+1 && len(ref) >= minNear; n++ {
				d := distance(j.id[:min(n, len(j.id))], ref)
				if strings.HasPrefix(j.id, ref) {
					d, best, least = 0, "", 0 // it is known: something else was not found
				}
				if d < least {
					best, least = fmt.Sprintf("%s (%s)", words.Short(j.id), j.label), d
				}
			}
		}
		if best != "" {
			return best
		}
	}
	return ""
}

// knownJob is a job that a person may mean, with words to tell it by.
type knownJob struct{ id, label string }

// knownJobs are the home's own jobs and, where a node runs, those of others that it has heard of;
// none where there is nobody to ask.
func knownJobs(ctx context.Context, s *session) []knownJob {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	status, err := s.Status(ctx)
	if err != nil {
		return nil
	}
	var known []knownJob
	for i := range status.Jobs {
		j := &status.Jobs[i]
		known = append(known, knownJob{j.Job, oneLine(j.Name) + ", " + j.State + ", " + ago(j.Created)})
	}
	for _, o := range status.Offered {
		known = append(known, knownJob{o.Job, oneLine(o.Name) + ", of " + who(o.SubmitterName, o.Submitter)})
	}
	return known
}
