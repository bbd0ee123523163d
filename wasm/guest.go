package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/shoalgrid/shoal/wasm/cache"
	"github.com/shoalgrid/shoal/wasm/link"
)

// Guest runs one program on one input after another. When its child has died, of a limit
// or otherwise, the next Run starts another. Run is for one caller at a time; the other
// methods may be called meanwhile.
type Guest struct {
	sandbox *Sandbox
	spec    Spec

	turn sync.Mutex // held while an input runs

	mu     sync.Mutex
	child  *process // nil before the first and after a dead one
	paused bool
	closed bool
}

// ErrClosed is the error of a Guest that is used after Close.
var ErrClosed = errors.New("guest is closed")

// Run runs one input in a fresh instance and writes its output to stdout as it comes. A
// guest that reached a limit of this host is reported as jobs.GaveUp. An error means that
// there is nothing to report: ctx ended, a child could not be started, stdin or stdout
// failed. The end of ctx kills the guest, but cannot end a Read of stdin or a Write to
// stdout that blocks.
func (g *Guest) Run(ctx context.Context, in Input, stdout io.Writer) (Report, error) {
	g.turn.Lock()
	defer g.turn.Unlock()
	c, err := g.warm(ctx)
	if err != nil {
		return Report{}, err
	}
	report, err := c.run(ctx, g.spec.Limits, in, stdout)
	if err != nil || !c.reusable(g.spec.Limits) {
		g.retire(c)
	}
	return report, err
}

// warm returns the child that has the program loaded, or starts one.
func (g *Guest) warm(ctx context.Context) (*process, error) {
	g.mu.Lock()
	c, closed := g.child, g.closed
	g.mu.Unlock()
	switch {
	case closed:
		return nil, ErrClosed
	case c != nil && !c.dead():
		return c, nil
	case c != nil: // it died while nothing ran
		g.retire(c)
	}
	c, err := g.sandbox.start(ctx, g.spec)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		c.end()
		return nil, ErrClosed
	}
	if g.paused {
		if err := c.suspend(); err != nil {
			c.end()
			return nil, err
		}
	}
	g.child = c
	return c, nil
}

// retire ends a child that should run no more inputs.
func (g *Guest) retire(c *process) {
	g.mu.Lock()
	if g.child == c {
		g.child = nil
	}
	g.mu.Unlock()
	c.end()
}

// Pause stops the guest within milliseconds, wherever it is, until Resume.
func (g *Guest) Pause() error { return g.pause(true) }

// Resume lets a paused guest go on.
func (g *Guest) Resume() error { return g.pause(false) }

func (g *Guest) pause(on bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = on
	switch {
	case g.closed:
		return ErrClosed
	case g.child == nil || g.child.dead():
		return nil
	case on:
		return g.child.suspend()
	}
	return g.child.proceed()
}

// Close kills the guest, also in the middle of an input, and waits until it is gone.
func (g *Guest) Close() error {
	g.mu.Lock()
	c := g.child
	g.child, g.closed = nil, true
	g.mu.Unlock()
	if c != nil {
		c.end()
	}
	return nil
}

// startTries is how often a program is loaded before a bad cache entry counts as an error:
// two guests that find the same one bad may each delete what the other has just made.
const startTries = 3

// start starts a child with the program loaded, and tries again with a fresh cache entry
// when the one there turns out to be bad.
func (s *Sandbox) start(ctx context.Context, spec Spec) (*process, error) {
	for try := 1; ; try++ {
		e, err := s.compiled(ctx, spec)
		if err != nil {
			return nil, err
		}
		if e.Memory > spec.Limits.Memory {
			return nil, &Refused{Reason: fmt.Sprintf("starts with %d MiB of memory; the limit is %d MiB", e.Memory>>20, spec.Limits.Memory>>20)}
		}
		c, err := s.spawn(ctx, spec, e)
		var bad *badCacheError
		if err == nil || try == startTries || !errors.As(err, &bad) {
			return c, err
		}
		s.opts.Logger.Warn("compiling a program again", "program", spec.Program.Digest.String(), "cause", bad.reason)
		if err := s.cache.Drop(cacheKey(spec)); err != nil {
			return nil, err
		}
	}
}

// badCacheError is a cache entry that a run child could not use.
type badCacheError struct{ reason string }

func (e *badCacheError) Error() string { return "load the compiled program: " + e.reason }

// spawn starts a run child and waits until it is ready.
func (s *Sandbox) spawn(ctx context.Context, spec Spec, e cache.Entry) (*process, error) {
	key := cacheKey(spec)
	program := filepath.Join(s.cache.Path(key), link.PreparedName)
	data := make([]link.File, len(spec.Data))
	for i, d := range spec.Data {
		data[i] = link.File(d)
	}
	l := spec.Limits
	text, err := json.Marshal(link.Setup{
		Program: program, Profile: spec.Profile, Interpret: spec.interpret, Cache: s.cache.Path(key), Files: e.Files, Data: data,
		Seed: spec.Seed, Memory: l.Memory, Output: l.Output, Fuel: l.Fuel, CPU: l.CPU, Idle: spec.Idle,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the setup: %w", err)
	}
	c, err := s.launch()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	if err := c.prepare(text); err != nil {
		c.end()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	if err := s.acceptable(c.locks, spec.Idle); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}
