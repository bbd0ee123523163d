//go:build amd64 || arm64

package jail

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccomp leaves the process, in all its threads, with the system calls that it needs. All
// others fail as if not permitted.
func seccomp(p Plan) error {
	f := newFilter()
	for _, nr := range always() {
		f.allow(nr)
	}
	f.allowWith(unix.SYS_CLONE, 0, hasBits, unix.CLONE_THREAD)   // threads, no processes
	f.allowWith(unix.SYS_TGKILL, 0, equals, uint32(os.Getpid())) // itself
	f.allowWith(unix.SYS_PRCTL, 0, equals, unix.PR_SET_VMA)      // names its memory
	f.refuse(unix.SYS_CLONE3, unix.ENOSYS)                       // its flags cannot be seen from here: so libc uses clone
	if p.Executing {
		f.allow(unix.SYS_MMAP)
		f.allow(unix.SYS_MPROTECT)
	} else {
		f.allowWith(unix.SYS_MMAP, 2, lacksBits, unix.PROT_EXEC)
		f.allowWith(unix.SYS_MPROTECT, 2, lacksBits, unix.PROT_EXEC)
	}
	if p.WriteDir != "" {
		for _, nr := range writing() {
			f.allow(nr)
		}
	}
	program := f.program()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	stuck, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	switch {
	case errno != 0:
		return fmt.Errorf("install the filter: %w", errno)
	case stuck != 0:
		return fmt.Errorf("install the filter: thread %d has another", stuck)
	}
	return nil
}

// always are the system calls that a Go process needs to compute, and to talk over the
// streams that it has. None of them opens, connects, starts or signals anything.
func always() []uint32 {
	return []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_RECVMSG, unix.SYS_PREAD64, unix.SYS_FUTEX, unix.SYS_MADVISE, unix.SYS_CLOCK_GETTIME,
		unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_FCNTL, unix.SYS_LSEEK, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_BRK, unix.SYS_MINCORE,
		unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY, unix.SYS_RESTART_SYSCALL,
		unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETRANDOM, unix.SYS_GETRUSAGE,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2,
		unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	}
}

// writing are the further calls of a process that may write into one folder: which that is,
// Landlock says.
func writing() []uint32 {
	return []uint32{
		unix.SYS_OPENAT, unix.SYS_NEWFSTATAT, unix.SYS_GETDENTS64, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_FSYNC,
	}
}

// filter is a BPF program over struct seccomp_data, under construction.
type filter struct{ code []unix.SockFilter }

// The places of things in struct seccomp_data. The low half of an argument comes first on
// both machines; all that is compared is in it.
const (
	numberOffset   = 0
	archOffset     = 4
	argumentOffset = 16
)

const (
	loadWord  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equals    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	hasBits   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	atLeast   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	lacksBits = 1 << 15 // hasBits the other way round: not a BPF code
	give      = unix.BPF_RET | unix.BPF_K
)

const notPermitted = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)

// newFilter begins with what makes numbers mean what they seem to: calls of another
// machine's interface end the process, those of x32 are refused.
func newFilter() *filter {
	arch, x32 := uint32(unix.AUDIT_ARCH_X86_64), uint32(1<<30)
	if runtime.GOARCH == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
	return &filter{[]unix.SockFilter{
		{Code: loadWord, K: archOffset},
		{Code: equals, K: arch, Jt: 1},
		{Code: give, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: loadWord, K: numberOffset},
		{Code: atLeast, K: x32, Jf: 1},
		{Code: give, K: notPermitted},
	}}
}

func (f *filter) add(s ...unix.SockFilter) { f.code = append(f.code, s...) }

// allow lets a call through.
func (f *filter) allow(nr uint32) {
	f.add(unix.SockFilter{Code: equals, K: nr, Jf: 1}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW})
}

// refuse gives a call an error of its own.
func (f *filter) refuse(nr uint32, errno unix.Errno) {
	f.add(unix.SockFilter{Code: equals, K: nr, Jf: 1}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
}

// allowWith lets a call through when one of its arguments compares to value.
func (f *filter) allowWith(nr, argument uint32, comparison uint16, value uint32) {
	test := unix.SockFilter{Code: comparison, K: value, Jf: 1}
	if comparison == lacksBits {
		test = unix.SockFilter{Code: hasBits, K: value, Jt: 1}
	}
	f.add(
		unix.SockFilter{Code: equals, K: nr, Jf: 4},
		unix.SockFilter{Code: loadWord, K: argumentOffset + 8*argument},
		test,
		unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: give, K: notPermitted},
	)
}

// program is the finished filter: what nothing has let through is not permitted.
func (f *filter) program() []unix.SockFilter {
	return append(f.code, unix.SockFilter{Code: give, K: notPermitted})
}
