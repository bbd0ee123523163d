package child

import (
	"errors"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/files"
)

// ending is how a guest ended, before memory refused to it is taken into account.
type ending struct {
	outcome jobs.Outcome
	exit    uint32
	reason  string
	fuel    uint64
}

// endingOf says what the error of an instantiation, or of a call, means.
func endingOf(err error) ending {
	var exit *sys.ExitError
	var crash runtime.Error
	switch {
	case err == nil:
		return ending{outcome: jobs.OK}
	case errors.As(err, &exit):
		if exit.ExitCode() == 0 {
			return ending{outcome: jobs.OK}
		}
		return ending{outcome: jobs.Exit, exit: exit.ExitCode()}
	case errors.Is(err, errOutputLimit):
		return ending{outcome: jobs.OutputLimit, reason: errOutputLimit.Error()}
	case errors.Is(err, ErrHostMemory):
		return ending{outcome: jobs.GaveUp, reason: ErrHostMemory.Error()}
	case errors.Is(err, files.ErrHost):
		return ending{outcome: jobs.GaveUp, reason: firstLine(err)}
	case errors.As(err, &crash):
		// Arguments that make a WASI function fail in Go do so everywhere.
		return ending{outcome: jobs.Trap, reason: "called a WASI function wrongly: " + crash.Error()}
	}
	reason := trapReason(err)
	if strings.HasPrefix(reason, stackOverflow) {
		return ending{outcome: jobs.GaveUp, reason: "recursion deeper than this host's stack: " + reason}
	}
	return ending{outcome: jobs.Trap, reason: reason}
}

// stackOverflow is how wazero names a stack that grew too deep: how deep that is depends on
// the machine, so it is no result.
const stackOverflow = "stack overflow"

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// trapReason is what happened and in which function, without the rest of the trace.
func trapReason(err error) string {
	what, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n\t")
	if _, after, ok := strings.Cut(what, " failed: "); ok { // start function[…] failed: …
		what = after
	}
	what = strings.TrimPrefix(what, "wasm error: ")
	where, _, _ := strings.Cut(trace, "\n")
	if where, _, _ = strings.Cut(where, "("); where == "" {
		return what
	}
	return what + " in " + strings.TrimPrefix(where, ".")
}
