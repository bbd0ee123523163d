package wasm

import (
	"fmt"
	"os"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// ChildArg is the first argument of a process that is a sandbox child. A program that uses
// this package must hand over to ChildMain before it does anything else:
//
//	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg {
//		os.Exit(wasm.ChildMain(os.Args[2:]))
//	}
const ChildArg = "__guest"

// The kinds of child.
const (
	compileChild = "compile"
	runChild     = "run"
	probeChild   = "probe"
)

// setup is what a run child is told once.
type setup struct {
	Program string                 `json:"program"` // path of the module to run
	Profile uint8                  `json:"profile"`
	Cache   string                 `json:"cache"` // folder of its cache entry
	Files   map[string]jobs.Digest `json:"files"` // what must be in there
	Limits  Limits                 `json:"limits"`
	Seed    uint64                 `json:"seed"`
	Data    []File                 `json:"data"`
	Idle    bool                   `json:"idle"`
	// Interpret has the program interpreted, which needs no cache.
	Interpret bool `json:"interpret"`
}

// readiness is what a run child says when it has loaded the program.
type readiness struct {
	CPU   time.Duration `json:"cpu"` // used so far
	Locks []Lock        `json:"locks"`
}

// failure is why a run child cannot run the program.
type failure struct {
	Cache  bool   `json:"cache"` // the cache entry is to blame: build it again
	Reason string `json:"reason"`
}

// ChildMain is all of a sandbox child. It returns the exit code.
func ChildMain(args []string) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == compileChild:
		err = compileMain(os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == runChild:
		err = runMain()
	case len(args) == 1 && args[0] == probeChild:
		err = probeMain(os.Stdout)
	default:
		err = fmt.Errorf("%s is not for people: the sandbox starts itself with it", ChildArg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// die ends a child that cannot go on safely; the parent reads why and starts another.
func die(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
