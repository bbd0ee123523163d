// Command shoal is a volunteer compute grid without a coordinator: submit jobs, lend cores,
// see how it goes. This folder is its mouth: flags in, words and exit codes out. Each file
// is one command, but for
//
//	main.go, root.go   the way in: streams, signals, global flags, errors, near misses
//	ui.go, ui_*.go     every word said to a person; tables.go and format.go lay out what is counted
//	screen.go          where words appear: one live line on a terminal, plain lines elsewhere
//	node.go            the node that a command talks to: the home's, or one of its own
//	inputs.go          flags that describe a job, turned into a submission
//	deliver.go         answers to stdout or, in folder.go, to files
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/wasm"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole program: arguments and streams in, exit code out.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == wasm.ChildArg {
		return wasm.ChildMain(args[1:])
	}
	ctx, stop := interruptible(context.Background())
	defer stop()
	return newProgram(stdin, stdout, stderr, openNode).run(ctx, args)
}

// The two ways in which a person or the system ends a command.
var (
	errInterrupted = &api.Error{Code: api.CodeInterrupted, Message: "interrupted"}
	errTerminated  = &api.Error{Code: api.CodeInterrupted, Message: "terminated"}
)

// interruptible is a context that the first Ctrl-C or SIGTERM ends; the second Ctrl-C ends
// the process at once.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	// Caught, SIGPIPE becomes an error of the write to a pipe that nobody reads: a node
	// inside this process then still ends in order.
	caught := make(chan os.Signal, 4)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-caught:
				switch {
				case s == syscall.SIGPIPE:
				case ctx.Err() != nil:
					os.Exit(api.CodeInterrupted)
				case s == os.Interrupt:
					cancel(errInterrupted)
				default:
					cancel(errTerminated)
				}
			}
		}
	}()
	return ctx, func() {
		signal.Stop(caught)
		close(done)
		cancel(nil)
	}
}

// interrupted reports whether err is because a person or the system ended the command, or
// stopped reading what it writes.
func interrupted(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, errTerminated) || errors.Is(err, syscall.EPIPE)
}
