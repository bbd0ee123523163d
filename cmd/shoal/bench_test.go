//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// bench is a folder with the binary and the guests that benchmarks of the command run.
type bench struct {
	b          *testing.B
	dir, shoal string
}

func newBench(b *testing.B) *bench {
	x := &bench{b, b.TempDir(), gridtest.Build(b)}
	for name, body := range guests() {
		if err := os.WriteFile(filepath.Join(x.dir, name), body, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

// goGuest builds a program in Go that echoes its input: 2.6 MB of WebAssembly.
func (x *bench) goGuest() string {
	x.b.Helper()
	src := filepath.Join(x.dir, "echo.go")
	code := "package main\n\nimport (\n\t\"io\"\n\t\"os\"\n)\n\nfunc main() { io.Copy(os.Stdout, os.Stdin) }\n"
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		x.b.Fatal(err)
	}
	out := filepath.Join(x.dir, "echogo.wasm")
	cmd := exec.Command("go", "build", "-o", out, src)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		x.b.Fatalf("%v\n%s", err, said)
	}
	return out
}

func numbers(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintln(&s, i+1)
	}
	return s.String()
}

// use is what a command and all its children used.
type use struct{ wall, cpu time.Duration }

func (x *bench) time(stdin string, words ...string) use {
	x.b.Helper()
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &before); err != nil {
		x.b.Fatal(err)
	}
	began := time.Now()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	if _, err := cmd.Output(); err != nil {
		x.b.Fatalf("%v: %v\n%s", words, err, said.String())
	}
	wall := time.Since(began)
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &after); err != nil {
		x.b.Fatal(err)
	}
	spent := func(r syscall.Rusage) time.Duration { return time.Duration(r.Utime.Nano() + r.Stime.Nano()) }
	return use{wall, spent(after) - spent(before)}
}

func (x *bench) run(inputs int, guest, home string) use {
	return x.time(numbers(inputs), x.shoal, "run", guest, "--lines", "-", "--local", "--new", "-q", "--home", filepath.Join(x.dir, home))
}

// wazero builds wazero's own command line from the module that is linked anyway.
func (x *bench) wazero() string {
	exe := filepath.Join(x.dir, "wazero")
	if said, err := exec.Command("go", "build", "-o", exe, "github.com/tetratelabs/wazero/cmd/wazero").CombinedOutput(); err != nil {
		x.b.Skipf("wazero's command cannot be built: %v\n%s", err, said)
	}
	return exe
}

// BenchmarkRun is CPU for each of 1,000 trivial inputs, children included, beside what a person
// would type otherwise on one machine. Ratios are within this run.
func BenchmarkRun(b *testing.B) {
	const inputs = 1000
	x := newBench(b)
	echo := filepath.Join(x.dir, "echo.wasm")
	x.run(1, echo, "home") // compiled once
	for b.Loop() {
		u := x.run(inputs, echo, "home")
		b.ReportMetric(float64(u.cpu.Microseconds())/inputs, "cpu-µs/input")
		b.ReportMetric(inputs/u.wall.Seconds(), "inputs/s")
		mine := u.cpu
		u = x.time(numbers(inputs), "xargs", "-P2", "-I{}", "sh", "-c", "echo {} | "+x.wazero()+" run "+echo)
		b.ReportMetric(float64(u.cpu.Microseconds())/inputs, "xargs-wazero-cpu-µs/input")
		b.ReportMetric(float64(u.cpu)/float64(mine), "xargs÷shoal")
		if p, err := exec.LookPath("parallel"); err == nil {
			u = x.time(numbers(inputs), p, "--will-cite", "-j2", "--pipe", "-N1", x.wazero()+" run "+echo)
			b.ReportMetric(float64(u.cpu.Microseconds())/inputs, "parallel-wazero-cpu-µs/input")
			b.ReportMetric(float64(u.cpu)/float64(mine), "parallel÷shoal")
		}
	}
}

// BenchmarkRunGo is the same with a Go program of 2.6 MB, compiled before.
func BenchmarkRunGo(b *testing.B) {
	const inputs = 500
	x := newBench(b)
	guest := x.goGuest()
	x.run(1, guest, "home")
	for b.Loop() {
		u := x.run(inputs, guest, "home")
		b.ReportMetric(float64(u.cpu.Microseconds())/inputs, "cpu-µs/input")
	}
}

// BenchmarkOneInput is one trivial input from the command to its answer.
func BenchmarkOneInput(b *testing.B) {
	x := newBench(b)
	echo := filepath.Join(x.dir, "echo.wasm")
	for b.Loop() {
		u := x.run(1, echo, "home")
		b.ReportMetric(float64(u.wall.Milliseconds()), "wall-ms")
		b.ReportMetric(float64(u.cpu.Milliseconds()), "cpu-ms")
	}
}

// BenchmarkFlat runs 10,000 trivial inputs after 1,000 and prints how much more memory and how
// many more files the ten times as many left or needed.
func BenchmarkFlat(b *testing.B) {
	x := newBench(b)
	echo := filepath.Join(x.dir, "echo.wasm")
	for b.Loop() {
		small, files := x.peak(1000, echo)
		large, more := x.peak(10000, echo)
		b.ReportMetric(float64(small>>20), "MiB-1k")
		b.ReportMetric(float64(large>>20), "MiB-10k")
		b.ReportMetric(float64(more-files), "files-more")
	}
}

// peak runs inputs in a home and gives the largest resident set of any one process, and the
// number of files in the home afterwards.
func (x *bench) peak(inputs int, guest string) (rss int64, files int) {
	home := filepath.Join(x.dir, fmt.Sprint("flat", inputs))
	cmd := exec.Command(x.shoal, "run", guest, "--lines", "-", "--local", "-q", "--home", home)
	cmd.Stdin = strings.NewReader(numbers(inputs))
	if _, err := cmd.Output(); err != nil {
		x.b.Fatal(err)
	}
	rss = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	err := filepath.WalkDir(home, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil {
		x.b.Fatal(err)
	}
	return rss, files
}
