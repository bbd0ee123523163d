package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/wasm/jail"
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
	cmd := s.command(ctx, probeChild)
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

// probeMain is a probe child.
func probeMain(out io.Writer) error {
	locks := jail.Limit(runPlan(setup{Limits: Limits{}.withDefaults(), Idle: true}))
	locks = append(locks, jail.Shut(jail.Plan{})...)
	return json.NewEncoder(out).Encode(locks)
}

// What a compilation may cost.
const (
	compileCPU    = 60 * time.Second
	compileMemory = 1 << 30
	compiledSize  = 512 << 20       // bytes of compiled code
	compileWall   = 5 * time.Minute // on a host so busy that it says nothing about the program
)

// Room that children need for themselves.
const (
	ownFiles   = 32
	ownMemory  = 384 << 20 // the Go runtime, and a guest's stack while it is copied to grow
	ownCPUTime = time.Minute
	// codeMemory is what a byte of a program takes at most, decoded and compiled.
	codeMemory = 12
)

// compilePlan is what a compile child needs.
func compilePlan(req compileRequest) jail.Plan {
	return jail.Plan{Memory: req.Memory, CPU: req.CPU, Files: ownFiles, FileSize: compiledSize,
		WriteDir: req.Dir, Idle: req.Idle, Executing: true}
}

// runPlan is what a run child needs. Its CPU limit is only a backstop behind the watch of
// the parent, which retires a child that has used an input's worth.
func runPlan(s setup) jail.Plan {
	program := uint64(0)
	if info, err := os.Stat(s.Program); err == nil {
		program = uint64(info.Size())
	}
	return jail.Plan{Memory: s.Limits.Memory + ownMemory + codeMemory*program, CPU: 2*s.Limits.CPU + ownCPUTime,
		Files: ownFiles + uint64(len(s.Data)), Idle: s.Idle}
}
