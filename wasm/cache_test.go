package wasm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/wasm"
)

// filesBelow lists the regular files below a folder.
func filesBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Whatever happens to a cache entry, the program runs, and the entry is good again.
func TestBadCacheEntryIsRebuilt(t *testing.T) {
	p := module(t, leaving(false))
	dir := filepath.Join(t.TempDir(), "cache")
	check := func(t *testing.T) {
		t.Helper()
		g, err := sandboxIn(t, dir).Start(t.Context(), wasm.Spec{Program: p})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if r, _ := run(t, g, wasm.Input{}); r.Reason != "" {
			t.Errorf("%v: %s", r.Outcome, r.Reason)
		}
	}
	check(t)
	good := filesBelow(t, dir)
	if len(good) != 3 {
		t.Fatalf("an entry is a manifest, the module and the code; here are %v", good)
	}
	for name, harm := range map[string]func(path string) error{
		"flipped": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"truncated": func(path string) error { return os.Truncate(path, 10) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"deleted":   os.Remove,
		"joined by another": func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "other"), []byte("x"), 0o600)
		},
	} {
		for _, path := range good {
			t.Run(name+" "+filepath.Base(path), func(t *testing.T) {
				if err := harm(path); err != nil {
					t.Fatal(err)
				}
				check(t)
				if now := filesBelow(t, dir); strings.Join(now, " ") != strings.Join(good, " ") {
					t.Errorf("the cache has %v, had %v", now, good)
				}
			})
		}
	}
}

// Another build, or another sandbox on the same folder, uses what is there.
func TestCacheIsShared(t *testing.T) {
	p := module(t, command{}.assemble())
	dir := filepath.Join(t.TempDir(), "cache")
	var before []string
	for i := range 2 {
		g, err := sandboxIn(t, dir).Start(t.Context(), wasm.Spec{Program: p})
		if err != nil {
			t.Fatal(err)
		}
		g.Close()
		var now []string
		for _, path := range filesBelow(t, dir) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(path) != "entry.json" { // its time says when it was used
				now = append(now, path+info.ModTime().String())
			}
		}
		if i > 0 && strings.Join(now, " ") != strings.Join(before, " ") {
			t.Errorf("compiled again: %v, before %v", now, before)
		}
		before = now
	}
}
