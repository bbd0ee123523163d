package jail

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Limit applies what macOS offers without cgo: limits of resources and background priority.
// RLIMIT_DATA and RLIMIT_AS are not dependable here. None of this was run by the authors.
func Limit(p Plan) []Lock {
	var l locks
	if p.Idle {
		const darwinProcess, background = 4, 0x1000 // PRIO_DARWIN_PROCESS, PRIO_DARWIN_BG
		l.add(Priority, unix.Setpriority(darwinProcess, 0, background))
	}
	l.add(Rlimits, setRlimits(p))
	return l
}

// Shut has nothing to close the process in with: sandbox_init needs cgo.
func Shut(Plan) []Lock {
	var l locks
	none := errors.New("macOS offers no such thing to a program without cgo")
	l.add(NoPrivileges, none)
	l.add(SystemCalls, none)
	return l
}

func setRlimits(p Plan) error {
	for _, r := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, p.FileSize},
		{unix.RLIMIT_NOFILE, p.Files},
		{unix.RLIMIT_CPU, uint64(p.CPU/time.Second) + 1},
	} {
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: r.limit, Max: r.limit}); err != nil {
			return fmt.Errorf("set limit %d: %w", r.resource, err)
		}
	}
	return nil
}
