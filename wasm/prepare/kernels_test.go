package prepare

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// kernel is a small program that spends its time on one thing.
type kernel struct {
	name string
	wasm []byte
}

// kernels reads the prebuilt kernels and checks that they are what testdata/kernels/build.sh made.
func kernels(t testing.TB) []kernel {
	t.Helper()
	dir := filepath.Join("testdata", "kernels")
	sums, err := os.Open(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	var all []kernel
	for lines := bufio.NewScanner(sums); lines.Scan(); {
		want, file, _ := strings.Cut(lines.Text(), "  ")
		wasm := readFile(t, dir, file)
		if got := sha256.Sum256(wasm); hex.EncodeToString(got[:]) != want {
			t.Fatalf("%s is not the module that was built", file)
		}
		all = append(all, kernel{name: strings.TrimSuffix(file, ".wasm"), wasm: wasm})
	}
	return all
}

// program is a WASI command, compiled and ready to run.
type program struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

func compile(t testing.TB, e engine, wasm []byte) program {
	t.Helper()
	ctx := context.Background()
	p := program{runtime: e.runtime(ctx)}
	t.Cleanup(func() { p.runtime.Close(ctx) })
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.module, err = p.runtime.CompileModule(ctx, wasm); err != nil {
		t.Fatal(err)
	}
	return p
}

// ran is what running a program gave.
type ran struct {
	stdout string
	ended  string
	fuel   uint64
	cpu    time.Duration
}

// run runs a program once; with fuel if it is a prepared one, and fuel is not 0.
func (p program) run(t testing.TB, fuel uint64) ran {
	t.Helper()
	ctx := context.Background()
	var stdout bytes.Buffer
	m, err := p.runtime.InstantiateModule(ctx, p.module,
		wazero.NewModuleConfig().WithName("").WithStartFunctions().WithStdout(&stdout).WithStderr(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(ctx)
	if fuel != 0 {
		arm(m, fuel)
	}
	before := cpuTime()
	_, err = m.ExportedFunction("_start").Call(ctx)
	r := ran{cpu: cpuTime() - before, stdout: stdout.String(), ended: trapKind(m, err)}
	if fuel != 0 {
		r.fuel = FuelUsed(fuel, fuelLeft(m))
	}
	return r
}

func mustPrepare(t testing.TB, wasm []byte, o Options) []byte {
	t.Helper()
	prepared, err := Module(wasm, o)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func geomean(ratios []float64) float64 {
	sum := 0.0
	for _, r := range ratios {
		sum += math.Log(r)
	}
	return math.Exp(sum / float64(len(ratios)))
}

func median(ds []float64) float64 {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// BenchmarkKernels prints, for each kernel, processor time prepared ÷ plain and prepared ÷ native, medians of rounds
// in which they take turns, and the geometric means.
func BenchmarkKernels(b *testing.B) {
	const rounds = 5
	var toPlain, toNative []float64
	for _, k := range kernels(b) {
		plain, prepared := compile(b, compiler, k.wasm), compile(b, compiler, mustPrepare(b, k.wasm, Options{}))
		native := buildNative(b, k.name)
		var p, n []float64
		var last time.Duration
		for range rounds {
			was, is := plain.run(b, 0), prepared.run(b, budget)
			if was.stdout != is.stdout {
				b.Fatalf("%s: %q plain, %q prepared", k.name, was.stdout, is.stdout)
			}
			last = is.cpu
			p = append(p, is.cpu.Seconds()/was.cpu.Seconds())
			if native != "" {
				n = append(n, is.cpu.Seconds()/runNative(b, native).Seconds())
			}
		}
		line := fmt.Sprintf("%-12s %4d ms  prepared/plain %.2f", k.name, last.Milliseconds(), median(p))
		toPlain = append(toPlain, median(p))
		if native != "" {
			line += fmt.Sprintf("  prepared/native %.2f", median(n))
			toNative = append(toNative, median(n))
		}
		b.Log(line)
	}
	b.ReportMetric(geomean(toPlain), "prepared/plain")
	if len(toNative) > 0 {
		b.ReportMetric(geomean(toNative), "prepared/native")
	} else {
		b.Log("native: clang-16 is not installed")
	}
	b.ReportMetric(0, "ns/op")
}

// buildNative gives the kernel as a program of this machine, or "" without clang.
func buildNative(b *testing.B, name string) string {
	clang, err := exec.LookPath("clang-16")
	if err != nil {
		return ""
	}
	out := filepath.Join(b.TempDir(), name)
	if said, err := exec.Command(clang, "-O2", "-o", out, filepath.Join("testdata", "kernels", name+".c"), "-lm").CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", name, err, said)
	}
	return out
}

func runNative(b *testing.B, path string) time.Duration {
	before := childrenTime()
	if err := exec.Command(path).Run(); err != nil {
		b.Fatal(err)
	}
	return childrenTime() - before
}

// BenchmarkPrepare prints how much processor time preparing a Go program takes, without anything else.
func BenchmarkPrepare(b *testing.B) {
	guest := goGuest(b)
	before := cpuTime()
	for range b.N {
		mustPrepare(b, guest, Options{})
	}
	cpu := cpuTime() - before
	b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(len(guest))/1e6, "MB")
	b.ReportMetric(float64(len(mustPrepare(b, guest, Options{})))/float64(len(guest)), "size-ratio")
}

// BenchmarkGuest prints processor time prepared ÷ plain for a Go program, and the same for compiling it.
func BenchmarkGuest(b *testing.B) {
	guest := goGuest(b)
	prepared := mustPrepare(b, guest, Options{})
	var programs [2]program
	var compiling [2]time.Duration
	for i, wasm := range [][]byte{guest, prepared} {
		before := cpuTime()
		programs[i] = compile(b, compiler, wasm)
		compiling[i] = cpuTime() - before
	}
	var ratios []float64
	for range 9 {
		was, is := programs[0].run(b, 0), programs[1].run(b, budget)
		ratios = append(ratios, is.cpu.Seconds()/was.cpu.Seconds())
	}
	b.ReportMetric(median(ratios), "prepared/plain")
	b.ReportMetric(compiling[1].Seconds()/compiling[0].Seconds(), "compile-prepared/plain")
	b.ReportMetric(0, "ns/op")
}
