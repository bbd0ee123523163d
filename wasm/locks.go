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

// WeakError is the refusal to run strangers' guests without the essential locks.
// Options.AllowWeak turns it into a warning, which is all that one's own guests get.
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

// AllowWeak changes what Options.AllowWeak said: guests that are started from now on.
func (s *Sandbox) AllowWeak(allow bool) { s.allowWeak.Store(allow) }

// Locked is nil where strangers' guests are held by every essential lock, and a *WeakError
// where one is missing. It starts a child to find out.
func (s *Sandbox) Locked(ctx context.Context) error {
	locks, err := s.Locks(ctx)
	if err != nil {
		return err
	}
	return weakness(locks)
}

// weakness is nil or a *WeakError.
func weakness(locks []Lock) error {
	if missing := jail.Missing(locks); len(missing) > 0 {
		return &WeakError{missing}
	}
	return nil
}

// acceptable judges the locks that a child for a stranger's guest, or for an own one, came
// up with.
func (s *Sandbox) acceptable(locks []Lock, strangers bool) error {
	weak := weakness(locks)
	if weak == nil || strangers && !s.allowWeak.Load() {
		return weak
	}
	s.warnWeak.Do(func() { s.opts.Logger.Warn("running guests all the same", "cause", weak) })
	return nil
}

// Locks starts a child that only locks itself in, and returns how every lock turned out: its
// name, whether it is essential, and why it is missing where it does not hold.
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
