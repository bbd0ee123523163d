package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/shoalgrid/shoal/wasm/admit"
	"github.com/shoalgrid/shoal/wasm/jail"
)

// compileRequest is what a compile child is told.
type compileRequest struct {
	Program string `json:"program"` // path of the original module
	Profile uint8  `json:"profile"`
	Dir     string `json:"dir"` // folder to write into
	Idle    bool   `json:"idle"`
	// What it may cost. A program beyond this is refused, and that is remembered.
	CPU    time.Duration `json:"cpu"`
	Memory uint64        `json:"memory"`
}

// compileReply is what it answers.
type compileReply struct {
	Refused string `json:"refused,omitempty"`
	Error   string `json:"error,omitempty"`
}

// compileMain is a compile child: request in, files written, reply out.
func compileMain(in io.Reader, out io.Writer) error {
	var req compileRequest
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("read what to compile: %w", err)
	}
	var reply compileReply
	var refused *Refused
	switch err := compileFile(req); {
	case errors.As(err, &refused):
		reply.Refused = refused.Reason
	case err != nil:
		reply.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(reply)
}

func compileFile(req compileRequest) error {
	plan := compilePlan(req)
	jail.Limit(plan) // what does not hold, the run child will tell
	binary, err := os.ReadFile(req.Program)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	jail.Shut(plan)
	if req.Profile >= profileMetered {
		if binary, err = prepared(binary, req.Dir); err != nil {
			return err
		}
	}
	cache, err := wazero.NewCompilationCacheWithDir(req.Dir)
	if err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	ctx := context.Background()
	engine := wazero.NewRuntimeWithConfig(ctx, engineConfig(cache, false))
	_, err = engine.CompileModule(ctx, binary)
	var file *fs.PathError
	if errors.As(err, &file) {
		return fmt.Errorf("write the compiled program: %w", err)
	}
	if err != nil {
		return &Refused{Reason: "not valid WebAssembly: " + err.Error()}
	}
	return nil
}

// compiled finds the program's cache entry or has it made.
func (s *Sandbox) compiled(ctx context.Context, spec Spec) (entry, error) {
	key := cacheKey(spec.Program.Digest, spec.Profile)
	unlock, err := s.cache.lock(ctx, key)
	if err != nil {
		return entry{}, err
	}
	defer unlock()
	e, ok := s.cache.find(key)
	if !ok {
		if e, err = s.build(ctx, key, spec); err != nil {
			return entry{}, err
		}
	}
	if e.Refused != "" {
		return entry{}, &Refused{Reason: e.Refused}
	}
	return e, nil
}

// build admits and compiles a program, and remembers either way.
func (s *Sandbox) build(ctx context.Context, key string, spec Spec) (entry, error) {
	summary, err := s.admit(spec.Program.Path)
	if err != nil {
		return entry{}, err // cheap enough to find out again
	}
	dir, err := s.cache.scratch()
	if err != nil {
		return entry{}, err
	}
	defer os.RemoveAll(dir) // nothing is there any more when all went well
	e := entry{Memory: summary.Memory}
	err = s.compile(ctx, compileRequest{Program: spec.Program.Path, Profile: spec.Profile, Dir: dir, Idle: spec.Idle,
		CPU: s.compileCPU, Memory: s.compileMemory})
	var refused *Refused
	if errors.As(err, &refused) {
		e.Refused = refused.Reason
	} else if err != nil {
		return entry{}, fmt.Errorf("compile: %w", err)
	}
	return s.cache.add(key, dir, e)
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
func (s *Sandbox) compile(ctx context.Context, req compileRequest) error {
	ctx, cancel := context.WithTimeoutCause(ctx, compileWall, errors.New("took too long on this busy machine"))
	defer cancel()
	text, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode what to compile: %w", err)
	}
	var stdout, crash head
	cmd := s.command(ctx, compileChild)
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
	var reply compileReply
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
