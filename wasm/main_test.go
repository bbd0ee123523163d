package wasm_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/wasm/jail/lockless"
)

// locklessArg makes the test binary a prefix of commands to which the kernel lacks a lock.
const locklessArg = "__lockless"

// TestMain makes the test binary the sandbox's child where it is asked to be one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg {
		os.Exit(wasm.ChildMain(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == locklessArg {
		os.Exit(lockless.Main(os.Args[2:]))
	}
	if len(os.Args) > 3 && os.Args[1] == "__doomed" {
		doomedParent()
		return
	}
	dir, err := os.MkdirTemp("", "shoal-wasm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = &fixtures{dir: dir, guests: make(map[string]func() (string, error))}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// shared is set once, before any test runs.
var shared *fixtures

// fixtures are what tests share because it costs seconds to make: guests built from
// testdata/guests, and one cache of compiled programs.
type fixtures struct {
	dir    string
	mu     sync.Mutex
	guests map[string]func() (string, error)
}

// goGuest builds testdata/guests/NAME once and returns the path of the module.
func goGuest(t testing.TB, name string) string {
	t.Helper()
	shared.mu.Lock()
	build, ok := shared.guests[name]
	if !ok {
		build = sync.OnceValues(func() (string, error) {
			out := filepath.Join(shared.dir, name+".wasm")
			cmd := exec.Command("go", "build", "-o", out, "./testdata/guests/"+name)
			cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
			text, err := cmd.CombinedOutput()
			if err != nil {
				return "", fmt.Errorf("build guest %s: %w\n%s", name, err, text)
			}
			return out, nil
		})
		shared.guests[name] = build
	}
	shared.mu.Unlock()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program names the module in a file.
func program(t testing.TB, path string) wasm.Program {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return wasm.Program{Path: path, Digest: jobs.Sum(b)}
}

// module writes a module to a file and names it.
func module(t testing.TB, b []byte) wasm.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return program(t, path)
}

// sandbox is a sandbox with the cache that all tests share.
func sandbox(t testing.TB) *wasm.Sandbox {
	t.Helper()
	return sandboxIn(t, filepath.Join(shared.dir, "cache"))
}

// prefix is what children are started through: the emulator, where the test itself is
// emulated.
func prefix() []string { return strings.Fields(os.Getenv("SHOAL_EXEC_PREFIX")) }

// sandboxIn is a sandbox with its cache in a folder.
func sandboxIn(t testing.TB, dir string) *wasm.Sandbox {
	t.Helper()
	s, err := wasm.New(wasm.Options{CacheDir: dir, AllowWeak: true, Prefix: prefix()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a guest that is closed with the test.
func start(t testing.TB, spec wasm.Spec) *wasm.Guest {
	t.Helper()
	g, err := sandbox(t).Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// run runs one input and fails the test when there is no report.
func run(t testing.TB, g *wasm.Guest, in wasm.Input) (wasm.Report, string) {
	t.Helper()
	var out bytes.Buffer
	report, err := g.Run(context.Background(), in, &out)
	if err != nil {
		t.Fatal(err)
	}
	return report, out.String()
}
