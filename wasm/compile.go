package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shoalgrid/shoal/wasm/admit"
	"github.com/shoalgrid/shoal/wasm/cache"
	"github.com/shoalgrid/shoal/wasm/child"
	"github.com/shoalgrid/shoal/wasm/link"
)

// What a compilation may cost. A program beyond this is refused, and that is remembered.
const (
	compileCPU    = 60 * time.Second
	compileMemory = 1 << 30
	compileWall   = 5 * time.Minute // on a host so busy that it says nothing about the program
)

// compiled finds the program's cache entry or has it made.
func (s *Sandbox) compiled(ctx context.Context, spec Spec) (cache.Entry, error) {
	key := cacheKey(spec)
	unlock, err := s.cache.Lock(ctx, key)
	if err != nil {
		return cache.Entry{}, err
	}
	defer unlock()
	e, ok := s.cache.Find(key)
	if !ok {
		if e, err = s.build(ctx, key, spec); err != nil {
			return cache.Entry{}, err
		}
	}
	if e.Refused != "" {
		return cache.Entry{}, &Refused{Reason: e.Refused}
	}
	return e, nil
}

// build admits and compiles a program, and remembers either way.
func (s *Sandbox) build(ctx context.Context, key string, spec Spec) (cache.Entry, error) {
	summary, err := s.admit(spec.Program.Path)
	if err != nil {
		return cache.Entry{}, err // cheap enough to find out again
	}
	dir, err := s.cache.Scratch()
	if err != nil {
		return cache.Entry{}, err
	}
	defer os.RemoveAll(dir) // nothing is there any more when all went well
	e := cache.Entry{Memory: summary.Memory}
	err = s.compile(ctx, link.CompileRequest{
		Program: spec.Program.Path, Profile: spec.Profile, Dir: dir, Idle: spec.Idle,
		CPU: s.compileCPU, Memory: s.compileMemory,
	})
	if refused, ok := errors.AsType[*Refused](err); ok {
		e.Refused = refused.Reason
		err = emptyFolder(dir)
	}
	if err != nil {
		return cache.Entry{}, fmt.Errorf("compile: %w", err)
	}
	return s.cache.Add(key, dir, e)
}

// emptyFolder removes what is in a folder: half a compilation is of no use.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) admit(path string) (admit.Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return admit.Summary{}, fmt.Errorf("read the program: %w", err)
	}
	defer f.Close()
	return admit.Scan(f)
}

// compile runs a compile child to its end.
func (s *Sandbox) compile(ctx context.Context, req link.CompileRequest) error {
	ctx, cancel := context.WithTimeoutCause(ctx, compileWall, errors.New("took too long on this busy machine"))
	defer cancel()
	text, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode what to compile: %w", err)
	}
	var stdout, crash head
	cmd := s.command(ctx, link.CompileChild)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &stdout, &crash
	err = cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if used >= req.CPU || outOfMemory(crash.text()) {
			return &Refused{Reason: "too costly to compile"}
		}
		return fmt.Errorf("compile child: %w: %s", err, crash.text())
	}
	var reply link.CompileReply
	if err := json.Unmarshal(stdout.kept, &reply); err != nil {
		return fmt.Errorf("read the compile child's reply: %w", err)
	}
	switch {
	case reply.Refused != "":
		return &Refused{Reason: reply.Refused}
	case reply.Error != "":
		return errors.New(reply.Error)
	}
	return nil
}

// cacheKey names everything that the compiled code depends on.
func cacheKey(spec Spec) string {
	return cache.Key(spec.Program.Digest, []byte{spec.Profile}, []byte(child.Machine()))
}
