//go:build unix

package wasm_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// BenchmarkInput is the price of one trivial input in a warm child, all in: cpu-us/op is
// the CPU time of the child, to which that of this process comes.
func BenchmarkInput(b *testing.B) {
	for _, c := range []struct {
		name    string
		program func(testing.TB) wasm.Program
		args    []string
		file    *wasm.File
	}{
		{"empty", func(t testing.TB) wasm.Program { return module(t, command{}.assemble()) }, nil, nil},
		{"c", cProgram, []string{"/in/hello"}, &wasm.File{Name: "hello", Path: "doc.go"}},
		{"go", func(t testing.TB) wasm.Program { return program(t, goGuest(t, "tool")) }, []string{"upper"}, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := start(b, wasm.Spec{Program: c.program(b), Profile: wasm.DefaultProfile})
			var guest time.Duration
			began := ownCPU(b)
			for b.Loop() {
				r, err := g.Run(b.Context(), wasm.Input{Args: c.args, Stdin: strings.NewReader("hello"), File: c.file}, io.Discard)
				if err != nil || r.Outcome != jobs.OK {
					b.Fatal(r, err)
				}
				guest += r.CPU
			}
			b.ReportMetric(float64(guest.Microseconds())/float64(b.N), "child-us/op")
			b.ReportMetric(float64((ownCPU(b)-began).Microseconds())/float64(b.N), "parent-us/op")
		})
	}
}

// cProgram is a cat in C that comes with wazero.
func cProgram(t testing.TB) wasm.Program {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return program(t, filepath.Join(strings.TrimSpace(string(dir)), "imports", "wasi_snapshot_preview1", "example", "testdata", "zig-cc", "cat.wasm"))
}

// ownCPU is the CPU time that the test's own process has used.
func ownCPU(t testing.TB) time.Duration {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkStart is the time from nothing to the first answer, with the program compiled
// before ("warm") or not ("cold").
func BenchmarkStart(b *testing.B) {
	programs := map[string]wasm.Program{
		"empty": module(b, command{}.assemble()),
		"go":    program(b, goGuest(b, "tool")),
	}
	for name, p := range programs {
		for _, state := range []string{"cold", "warm"} {
			b.Run(name+"/"+state, func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "cache")
				s := sandboxIn(b, dir)
				once := func() {
					g, err := s.Start(b.Context(), wasm.Spec{Program: p, Profile: wasm.DefaultProfile})
					if err != nil {
						b.Fatal(err)
					}
					defer g.Close()
					if _, err := g.Run(b.Context(), wasm.Input{Args: []string{"nothing"}}, io.Discard); err != nil {
						b.Fatal(err)
					}
				}
				if state == "warm" {
					once()
				}
				for b.Loop() {
					once()
					if state == "cold" {
						entries, err := filepath.Glob(filepath.Join(dir, "*", "entry.json"))
						if err != nil {
							b.Fatal(err)
						}
						for _, e := range entries {
							os.RemoveAll(filepath.Dir(e))
						}
					}
				}
			})
		}
	}
}
