package wasm_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/wasm/jail"
)

// On this machine, whatever it has, strangers' guests start if all essential locks hold, and
// only then.
func TestStrangersAreLockedIn(t *testing.T) {
	s := strictSandbox(t, prefix())
	locks, err := s.Locks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range locks {
		if l.Missing != "" {
			t.Logf("missing: %s: %s", l.Name, l.Missing)
		}
	}
	g, err := s.Start(t.Context(), wasm.Spec{Program: module(t, command{}.assemble()), Idle: true})
	var weak *wasm.WeakError
	switch {
	case err == nil:
		defer g.Close()
		if missing := jail.Missing(locks); len(missing) > 0 {
			t.Errorf("started without %v", missing)
		}
	case !errors.As(err, &weak):
		t.Error(err)
	case len(jail.Missing(locks)) == 0:
		t.Errorf("refused with all locks: %v", err)
	}
	if runtime.GOOS == "linux" && len(locks) < 5 {
		t.Errorf("only %d locks are known: %v", len(locks), locks)
	}
}

func strictSandbox(t *testing.T, prefix []string) *wasm.Sandbox {
	t.Helper()
	s, err := wasm.New(wasm.Options{CacheDir: filepath.Join(shared.dir, "cache"), Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// On a kernel without seccomp strangers' guests are refused, until it is said that they may
// run; one's own run.
func TestMissingLock(t *testing.T) {
	if runtime.GOOS != "linux" || len(prefix()) > 0 {
		t.Skip("only Linux has a lock to take away, and qemu has none")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := strictSandbox(t, []string{self, locklessArg})
	missing := func(err error) {
		t.Helper()
		var weak *wasm.WeakError
		if !errors.As(err, &weak) || len(weak.Missing) != 1 || weak.Missing[0].Name != jail.SystemCalls || weak.Missing[0].Holds() {
			t.Errorf("%v, want seccomp to be missing", err)
		}
	}
	missing(s.Locked(t.Context()))
	start := func(idle bool) error {
		g, err := s.Start(t.Context(), wasm.Spec{Program: module(t, command{}.assemble()), Idle: idle})
		if err != nil {
			return err
		}
		defer g.Close()
		if r, _ := run(t, g, wasm.Input{}); r.Outcome != jobs.OK {
			t.Errorf("%v: %s", r.Outcome, r.Reason)
		}
		return nil
	}
	missing(start(true))
	if err := start(false); err != nil {
		t.Errorf("an own program: %v", err)
	}
	s.AllowWeak(true)
	if err := start(true); err != nil {
		t.Errorf("where it is allowed: %v", err)
	}
}
