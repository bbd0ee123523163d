package jail_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shoalgrid/shoal/wasm/jail"
)

// TestMain makes the test binary the prisoner where it is asked to be one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "__prisoner" {
		prisoner(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// escape is one attempt, made by native code that has got out of its sandbox.
type escape struct {
	Name string
	Err  string // "" is success
}

// account is what a prisoner tells.
type account struct {
	Locks   []jail.Lock
	Escapes []escape
	Works   []escape // what it must still be able to do
	Policy  int      // scheduling
	Nice    int
	Score   string
}

// prisoner goes to jail and tries everything.
func prisoner(plan string) {
	var p jail.Plan
	if err := json.Unmarshal([]byte(plan), &p); err != nil {
		panic(err)
	}
	data, err := os.Open("/proc/self/exe") // an open file, as an input would be
	if err != nil {
		panic(err)
	}
	var a account
	a.Locks = append(a.Locks, jail.Limit(p)...)
	score, _ := os.ReadFile("/proc/self/oom_score_adj")
	a.Score = strings.TrimSpace(string(score))
	if attr, err := unix.SchedGetAttr(0, 0); err == nil {
		a.Policy, a.Nice = int(attr.Policy), int(attr.Nice)
	}
	a.Locks = append(a.Locks, jail.Shut(p)...)
	try := func(name string, do func() error) {
		e := escape{Name: name}
		if err := do(); err != nil {
			e.Err = err.Error()
		}
		a.Escapes = append(a.Escapes, e)
	}
	for _, e := range escapes(p) {
		try(e.name, e.do)
	}
	made := a.Escapes
	a.Escapes = nil
	try("compute and collect garbage", func() error {
		done := make(chan int)
		for range 50 {
			go func() { runtime.LockOSThread(); done <- len(make([]byte, 1<<20)) }()
		}
		for range 50 {
			<-done
		}
		runtime.GC()
		return nil
	})
	try("read an open file", func() error { _, err := data.ReadAt(make([]byte, 100), 100); return err })
	if p.WriteDir != "" {
		try("write into its folder", func() error {
			dir := filepath.Join(p.WriteDir, "sub")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			f, err := os.CreateTemp(dir, "x")
			if err != nil {
				return err
			}
			if _, err := f.WriteString("text"); err != nil {
				return err
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return err
			}
			return os.Rename(f.Name(), filepath.Join(dir, "y"))
		})
	}
	a.Works, a.Escapes = a.Escapes, made
	json.NewEncoder(os.Stdout).Encode(a)
}

func errno(_, _ uintptr, e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

type attempt struct {
	name string
	do   func() error
}

func escapes(p jail.Plan) []attempt {
	all := []attempt{
		{"read a file", func() error { _, err := os.ReadFile("/etc/passwd"); return err }},
		{"list a folder", func() error { _, err := os.ReadDir("/"); return err }},
		{"write a file", func() error { return os.WriteFile("/tmp/escaped", nil, 0o600) }},
		{"delete a file", func() error { return os.Remove(os.Args[0]) }},
		{"TCP", func() error { _, err := net.DialTimeout("tcp", "127.0.0.1:1", time.Second); return err }},
		{"UDP", func() error { _, err := net.Dial("udp", "127.0.0.1:53"); return err }},
		{"listen", func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err }},
		{"Unix socket", func() error { _, err := net.Dial("unix", "/run/nobody-is-here"); return err }},
		{"exec", func() error { return unix.Exec("/bin/true", []string{"true"}, nil) }},
		{"start a process", func() error { return exec.Command("/bin/true").Run() }},
		{"fork", func() error { return errno(unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)) }},
		{"kill the parent", func() error { return unix.Kill(os.Getppid(), 0) }},
		{"signal the parent's threads", func() error { return unix.Tgkill(os.Getppid(), os.Getppid(), 0) }},
		{"ptrace", func() error {
			return errno(unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(os.Getppid()), 0))
		}},
		{"read the parent's memory", func() error {
			local, remote := []unix.Iovec{{Base: new(byte), Len: 1}}, []unix.RemoteIovec{{Base: 4096, Len: 1}}
			_, err := unix.ProcessVMReadv(os.Getppid(), local, remote, 0)
			return err
		}},
		{"new namespaces", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
		{"mount", func() error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") }},
		{"become root", func() error { return unix.Setuid(0) }},
		{"raise a limit", func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4096, Max: 4096}) }},
		{"raise a limit by prlimit", func() error {
			return errno(unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CPU, 0, 0, 0, 0))
		}},
		{"keys", func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); return err }},
		{"BPF", func() error { return errno(unix.RawSyscall(unix.SYS_BPF, 0, 0, 0)) }},
		{"io_uring", func() error { return errno(unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)) }},
		{"another process's pidfd", func() error { _, err := unix.PidfdOpen(os.Getppid(), 0); return err }},
		{"shared memory", func() error { _, err := unix.MemfdCreate("x", 0); return err }},
		{"time", func() error { return unix.Settimeofday(&unix.Timeval{}) }},
	}
	if !p.Executing {
		all = append(all,
			attempt{"map executable memory", func() error {
				_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
				return err
			}},
			attempt{"make memory executable", func() error {
				// Without memory Mprotect succeeds, which is an escape that is none: that much must work.
				b, _ := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
				return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
			}})
	}
	return all
}

// jailed runs a prisoner, as root or as somebody else.
func jailed(t *testing.T, p jail.Plan, uid uint32) account {
	t.Helper()
	dir, err := os.MkdirTemp("", "shoal-jail-") //nolint:usetesting // t.TempDir is for its owner's eyes only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if p.WriteDir != "" {
		p.WriteDir = filepath.Join(dir, "mine")
		if err := errors.Join(os.Mkdir(p.WriteDir, 0o700), os.Chown(p.WriteDir, int(uid), int(uid))); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "prisoner")
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	plan, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "__prisoner", string(plan))
	cmd.Env, cmd.Dir, cmd.Stderr = []string{}, "/", os.Stderr
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("prisoner: %v: %s", err, out)
	}
	var a account
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNothingGetsOut(t *testing.T) {
	if os.Getenv("SHOAL_EXEC_PREFIX") != "" {
		t.Skip("qemu knows neither Landlock nor seccomp")
	}
	uids := []uint32{uint32(os.Getuid())}
	if os.Getuid() == 0 {
		uids = append(uids, 65534)
	}
	run := jail.Plan{Memory: 1 << 30, CPU: time.Minute, Files: 64, Idle: true}
	compile := jail.Plan{Memory: 1 << 30, CPU: time.Minute, Files: 64, FileSize: 1 << 20, WriteDir: "yes", Executing: true}
	for _, uid := range uids {
		for name, plan := range map[string]jail.Plan{"run": run, "compile": compile} {
			t.Run(fmt.Sprintf("%s as %d", name, uid), func(t *testing.T) {
				a := jailed(t, plan, uid)
				for _, l := range a.Locks {
					if l.Missing != "" {
						t.Logf("lock %q does not hold: %s", l.Name, l.Missing)
					}
				}
				if missing := jail.Missing(a.Locks); len(missing) > 0 {
					t.Skipf("this system lacks essential locks: %v", missing)
				}
				landlocked := slices.ContainsFunc(a.Locks, func(l jail.Lock) bool { return l.Name == jail.Files && l.Missing == "" })
				for _, e := range a.Escapes {
					t.Logf("%s: %s", e.Name, e.Err)
					if e.Err == "" && (landlocked || plan.WriteDir == "") {
						t.Errorf("escaped: %s", e.Name)
					}
				}
				for _, w := range a.Works {
					if w.Err != "" {
						t.Errorf("cannot %s: %s", w.Name, w.Err)
					}
				}
				if plan.Idle && (a.Policy != unix.SCHED_IDLE || a.Score != "1000") {
					t.Errorf("scheduling policy %d, nice %d, OOM score %s", a.Policy, a.Nice, a.Score)
				}
			})
		}
	}
}
