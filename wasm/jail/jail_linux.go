package jail

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limit applies what can hold from the start: limits of resources and priority. It also
// closes files that an ancestor has left open by mistake.
func Limit(p Plan) []Lock {
	var l locks
	closeStrays()
	l.add(OOMScore, os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)) // before Shut makes /proc/self root's
	if p.Idle {
		l.add(Priority, eachThread(idle))
	}
	l.add(Rlimits, setRlimits(p))
	return l
}

// Shut closes the process in, in all its threads, for good.
func Shut(p Plan) []Lock {
	var l locks
	l.add(NoPrivileges, allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0))
	l.add(NotInspected, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	l.add(Files, landlock(p.WriteDir))
	l.add(SystemCalls, seccomp(p))
	return l
}

// closeStrays closes the files beyond the standard ones that are not meant to be closed on
// exec: this process does not know them, so they were inherited.
func closeStrays() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // without /proc there is no telling; seccomp still stands
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

func setRlimits(p Plan) error {
	seconds := uint64(p.CPU/time.Second) + 1
	for _, r := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_MEMLOCK, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
		{unix.RLIMIT_FSIZE, p.FileSize},
		{unix.RLIMIT_NOFILE, p.Files},
		{unix.RLIMIT_DATA, p.Memory},
		// The Go runtime takes no notice of the soft limit's signal; at the hard one the
		// kernel kills.
		{unix.RLIMIT_CPU, seconds},
	} {
		if r.resource == unix.RLIMIT_DATA && raceDetector {
			continue
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(r.resource, &now); err != nil {
			return fmt.Errorf("read limit %d: %w", r.resource, err)
		}
		limit := min(r.limit, now.Max) // what an ordinary user could not raise again
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("set limit %d: %w", r.resource, err)
		}
	}
	return nil
}

// eachThread does something to every thread of the process, also to those that come while
// it is at it. Threads that come later inherit from these.
func eachThread(do func(tid int) error) error {
	var done []string
	for again := true; again; {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		again = false
		for _, e := range entries {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || slices.Contains(done, e.Name()) {
				continue
			}
			if err := do(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done, again = append(done, e.Name()), true
		}
	}
	return nil
}

// idle makes a thread run only when nothing else wants to, also where the scheduling class
// for that is not to be had, and read only when nobody else reads.
func idle(tid int) error {
	niced := unix.Setpriority(unix.PRIO_PROCESS, tid, 19)
	classed := unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 19}, 0)
	const whoProcess, classIdle, classShift = 1, 3, 13
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(tid), classIdle<<classShift); errno != 0 {
		return fmt.Errorf("set the I/O priority: %w", errno)
	}
	if niced != nil {
		return fmt.Errorf("set the priority: %w", niced)
	}
	if classed != nil {
		return fmt.Errorf("set the scheduling class: %w", classed)
	}
	return nil
}

// allThreads makes a system call in every thread. In a build with cgo, which is for tests
// with the race detector, it can only be made in this one.
func allThreads(trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0)
	if errno == unix.ENOTSUP {
		_, _, errno = unix.RawSyscall6(trap, a1, a2, a3, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
