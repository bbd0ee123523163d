package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/verify"
	"github.com/shoalgrid/shoal/internal/words"
)

// writeEvidence writes the evidence of a job into a file, whole or not at all. A file that is
// there is replaced only if it is evidence of the same job.
func (p *program) writeEvidence(ctx context.Context, s *session, j *api.Job, name string) (err error) {
	job := j.Job
	if err := replaceable(job, name); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(name), partPrefix)
	if err != nil {
		return unwritableEvidence(name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	err = s.Evidence(ctx, job, part)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err := os.Chmod(part.Name(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), name); err != nil {
		return err
	}
	p.ui.evidence(name, j.Final)
	return nil
}

// replaceable refuses a file that is not evidence of the job.
func replaceable(job, name string) error {
	info, err := os.Stat(name)
	switch {
	case name == "-", err == nil && !info.Mode().IsRegular(): // stdout has the answers
		return usage("name a file with --evidence FILE: it is written whole or not at all", "evidence %s is no regular file", name)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unwritableEvidence(name, err)
	}
	f, err := os.Open(name)
	if err != nil {
		return unwritableEvidence(name, err)
	}
	defer f.Close()
	if id, err := verify.JobOf(f); err != nil || id.String() != job {
		return usage("name a new file with --evidence FILE", "%s is there, and is not evidence of job %s", name, words.Short(job))
	}
	return nil
}

func unwritableEvidence(name string, err error) error {
	return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("evidence %s: %s", name, unwrapPath(err)), Hint: "name a file that can be written with --evidence FILE"}
}
