package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/wasm/jail"
	"github.com/shoalgrid/shoal/wasm/link"
)

// Lock is one of the locks that hold a child, and why it does not where it does not.
type Lock = jail.Lock

// WeakError is the refusal to run guests without the essential locks. Options.AllowWeak
// turns it into a warning.
type WeakError struct {
	Missing []Lock
}

// Error implements error.
func (e *WeakError) Error() string {
	var why []string
	for _, l := range e.Missing {
		why = append(why, fmt.Sprintf("%s (%s)", l.Name, l.Missing))
	}
	return "the sandbox cannot be locked here, it lacks: " + strings.Join(why, "; ")
}

// acceptable judges the locks that a child came up with.
func (s *Sandbox) acceptable(locks []Lock) error {
	missing := jail.Missing(locks)
	if len(missing) == 0 {
		return nil
	}
	weak := &WeakError{missing}
	if !s.opts.AllowWeak {
		return weak
	}
	s.warnWeak.Do(func() { s.opts.Logger.Warn("running guests all the same", "cause", weak) })
	return nil
}

// Locks starts a child that only locks itself in, and returns how every lock turned out.
func (s *Sandbox) Locks(ctx context.Context) ([]Lock, error) {
	var stdout, crash head
	cmd := s.command(ctx, link.ProbeChild)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(nil), &stdout, &crash
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("try the sandbox's locks: %w: %s", err, crash.text())
	}
	var locks []Lock
	if err := json.Unmarshal(stdout.kept, &locks); err != nil {
		return nil, fmt.Errorf("read how the sandbox's locks turned out: %w", err)
	}
	return locks, nil
}
