// Package lockless is for tests: it is a kernel that lacks one of the jail's locks, to the
// programs that are started through it. Made a command of its own (a test binary that is
// asked to be one will do), it can stand in SHOAL_EXEC_PREFIX.
package lockless

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main runs the program and arguments in args in place of this process, with a kernel that
// knows no seccomp(2). It returns only when that failed, with an exit code.
func Main(args []string) int {
	if err := start(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func start(args []string) error {
	if len(args) == 0 {
		return errors.New("no program to start without seccomp")
	}
	runtime.LockOSThread() // the filter holds the thread that goes on as the program
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SECCOMP, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	if err := syscall.Exec(args[0], args, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	return nil
}
