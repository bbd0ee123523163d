package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoalgrid/shoal/wasm/cache"
	"github.com/shoalgrid/shoal/wasm/child"
	"github.com/shoalgrid/shoal/wasm/files"
)

// ChildArg is the first argument of a process that is a sandbox child. A program that uses
// this package must hand over to ChildMain before it does anything else:
//
//	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg {
//		os.Exit(wasm.ChildMain(os.Args[2:]))
//	}
const ChildArg = "__guest"

// ChildMain is all of a sandbox child. It returns the exit code.
func ChildMain(args []string) int { return child.Main(args) }

// Engine is how guests are executed here: "compiler", or "interpreter" where wazero
// compiles for no such machine.
func Engine() string { return child.Engine() }

// Options are what a Sandbox needs to know about its host.
type Options struct {
	CacheDir  string       // where compiled programs are kept; only this user may write there
	Prefix    []string     // words before the child's command, as in SHOAL_EXEC_PREFIX
	Exe       string       // the binary that calls ChildMain; default os.Executable
	AllowWeak bool         // run strangers' guests also where an essential lock is missing
	Logger    *slog.Logger // default: says nothing
}

// Sandbox starts guests.
type Sandbox struct {
	opts  Options
	cache *cache.Cache
	empty string // a folder with nothing in it: where children are

	compileCPU    time.Duration
	compileMemory uint64

	allowWeak atomic.Bool
	warnWeak  sync.Once
}

// New prepares the cache folder.
func New(opts Options) (*Sandbox, error) {
	if opts.CacheDir == "" {
		return nil, errors.New("sandbox: no folder for compiled programs")
	}
	if opts.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the own binary: %w", err)
		}
		opts.Exe = exe
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(opts.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("find the cache of compiled programs: %w", err)
	}
	compiled, err := cache.Open(dir, cache.DefaultLimit)
	if err != nil {
		return nil, err
	}
	empty := filepath.Join(dir, "empty")
	if err := os.MkdirAll(empty, 0o500); err != nil {
		return nil, fmt.Errorf("make an empty folder for guests: %w", err)
	}
	s := &Sandbox{opts: opts, cache: compiled, empty: empty, compileCPU: compileCPU, compileMemory: compileMemory}
	s.allowWeak.Store(opts.AllowWeak)
	return s, nil
}

// Start returns a guest for the spec's program: a warm child that has it loaded. The error
// is a *Refused when the program will not be taken.
func (s *Sandbox) Start(ctx context.Context, spec Spec) (*Guest, error) {
	if spec.Profile > MaxProfile {
		return nil, fmt.Errorf("sandbox: profile %d is newer than this build", spec.Profile)
	}
	spec.Limits = spec.Limits.withDefaults()
	if spec.Limits.Memory > MaxMemory {
		return nil, &Refused{Reason: fmt.Sprintf("asks for %d MiB of memory; at most %d MiB are given", spec.Limits.Memory>>20, MaxMemory>>20)}
	}
	spec, err := placed(spec)
	if err != nil {
		return nil, err
	}
	g := &Guest{sandbox: s, spec: spec}
	if _, err := g.warm(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// placed is the spec with absolute paths, since a child is in another folder, and with
// names checked.
func placed(spec Spec) (Spec, error) {
	var err error
	if spec.Program.Path, err = filepath.Abs(spec.Program.Path); err != nil {
		return spec, fmt.Errorf("find the program: %w", err)
	}
	if len(spec.Data) > maxData {
		return spec, fmt.Errorf("sandbox: %d data files; at most %d are possible", len(spec.Data), maxData)
	}
	data := make([]File, len(spec.Data))
	for i, d := range spec.Data {
		if !files.ValidName(d.Name) {
			return spec, fmt.Errorf("sandbox: %q cannot be the name of a data file", d.Name)
		}
		path, err := filepath.Abs(d.Path)
		if err != nil {
			return spec, fmt.Errorf("find data file %s: %w", d.Name, err)
		}
		data[i] = File{Name: d.Name, Path: path}
	}
	spec.Data = data
	return spec, nil
}

// maxData is how many data files a guest can be shown: each takes a file descriptor.
const maxData = 256

// command is a child of the given kind, about to start.
func (s *Sandbox) command(ctx context.Context, kind string) *exec.Cmd {
	words := append(append([]string{}, s.opts.Prefix...), s.opts.Exe, ChildArg, kind)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	// One thread computes. More would only spin while there is nothing to do.
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = s.empty
	cmd.WaitDelay = time.Second
	confine(cmd)
	return cmd
}

// head keeps the beginning of what is written to it: where a crash says why.
type head struct{ kept []byte }

const headKept = 16 << 10

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), headKept-len(h.kept))]...)
	return len(p), nil
}

// text is the first lines in one.
func (h *head) text() string {
	lines := bytes.SplitN(bytes.TrimSpace(h.kept), []byte("\n"), 4)
	return string(bytes.Join(lines[:min(len(lines), 3)], []byte("; ")))
}

// outOfMemory recognises the last words of a Go process that got no more memory.
func outOfMemory(crash string) bool {
	return strings.Contains(crash, "out of memory") || strings.Contains(crash, "cannot allocate memory")
}
