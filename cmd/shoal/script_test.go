package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/wasm/jail/lockless"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg { // of a node in the test's own process
		os.Exit(wasm.ChildMain(os.Args[2:]))
	}
	testscript.Main(m, map[string]func(){"shoal": main, "lockless": func() { os.Exit(lockless.Main(os.Args[1:])) }})
}

// TestScripts runs shoal as people do: real processes, real nodes, real guests.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flip},
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHOAL_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "binary"), []byte("a\x00b\x1b[2J"), 0o644); err != nil {
				return err
			}
			for name, module := range guests() {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), module, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// exits N COMMAND... runs a command that must end with exit code N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d\n%s", got, want, ts.ReadFile("stderr"))
	}
}

// flip FILE flips a bit of the byte in the middle of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	name := ts.MkAbs(args[0])
	text, err := os.ReadFile(name)
	ts.Check(err)
	text[len(text)/2] ^= 4
	ts.Check(os.WriteFile(name, text, 0o644))
}
