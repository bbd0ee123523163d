package wasm_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/wasm/jail"
)

// A sandbox that cannot be locked refuses, unless it was told not to.
func TestWeakSandboxRefuses(t *testing.T) {
	s, err := wasm.New(wasm.Options{CacheDir: filepath.Join(shared.dir, "cache"), Prefix: prefix()})
	if err != nil {
		t.Fatal(err)
	}
	locks, err := s.Locks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range locks {
		if l.Missing != "" {
			t.Logf("missing: %s: %s", l.Name, l.Missing)
		}
	}
	g, err := s.Start(t.Context(), wasm.Spec{Program: module(t, command{}.assemble())})
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
