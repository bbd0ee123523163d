// Package child is the inside of the sandbox's children: the one place where programs of
// strangers run. There are three kinds of child.
//
//	compile   prepares and compiles a program into a folder
//	run       loads a compiled program, locks itself in, and runs one input after another,
//	          each in a fresh instance and a fixed world
//	probe     locks itself in and tells how that went
//
// A child does one thing at a time: a computing guest cannot be interrupted from within, so
// whatever watches it does that from outside.
package child

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/shoalgrid/shoal/wasm/jail"
	"github.com/shoalgrid/shoal/wasm/link"
)

// Main is all of a child. It returns the exit code.
func Main(args []string) int {
	kind := ""
	if len(args) == 1 {
		kind = args[0]
	}
	var err error
	switch kind {
	case link.CompileChild:
		err = compileMain(os.Stdin, os.Stdout)
	case link.RunChild:
		err = runMain()
	case link.ProbeChild:
		err = probeMain(os.Stdout)
	default:
		err = fmt.Errorf("the sandbox starts its children itself: there is no %q", args)
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

// probeMain is a probe child.
func probeMain(out io.Writer) error {
	locks := jail.Limit(runPlan(link.Setup{Memory: 1 << 30, CPU: time.Minute, Idle: true}))
	locks = append(locks, jail.Shut(jail.Plan{})...)
	return json.NewEncoder(out).Encode(locks)
}

// Room that children need for themselves.
const (
	ownFiles   = 32
	ownMemory  = 384 << 20 // the Go runtime, and a guest's stack while it is copied to grow
	ownCPUTime = time.Minute
	// codeMemory is what a byte of a program takes at most, decoded and compiled.
	codeMemory = 12
	// compiledSize is how many bytes of compiled code a compile child may write.
	compiledSize = 512 << 20
)

// compilePlan is what a compile child needs.
func compilePlan(req link.CompileRequest) jail.Plan {
	return jail.Plan{
		Memory: req.Memory, CPU: req.CPU, Files: ownFiles, FileSize: compiledSize,
		WriteDir: req.Dir, Idle: req.Idle, Executing: true,
	}
}

// runPlan is what a run child needs. Its CPU limit is only a backstop behind the watch of
// the parent, which retires a child that has used an input's worth.
func runPlan(s link.Setup) jail.Plan {
	program := uint64(0)
	if info, err := os.Stat(s.Program); err == nil {
		program = uint64(info.Size())
	}
	return jail.Plan{
		Memory: s.Memory + ownMemory + codeMemory*program, CPU: 2*s.CPU + ownCPUTime,
		Files: ownFiles + uint64(len(s.Data)), Idle: s.Idle,
	}
}
