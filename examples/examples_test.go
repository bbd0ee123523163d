package examples

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// TestMain is also the child in which the sandbox runs guests.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasm.ChildArg {
		os.Exit(wasm.ChildMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// build makes the example a WASI program, as its README says.
func build(t *testing.T, name string) wasm.Program {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.Command("go", "build", "-o", out, "./"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, text)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm.Program{Path: out, Digest: jobs.BlobOf(module).Digest}
}

// run runs the program in the sandbox on every input, as the grid would, and returns the
// outputs in the order of the inputs.
func run(t *testing.T, program wasm.Program, inputs []string) [][]byte {
	t.Helper()
	sandbox, err := wasm.New(wasm.Options{CacheDir: t.TempDir(), AllowWeak: true})
	if err != nil {
		t.Fatal(err)
	}
	outputs := make([][]byte, len(inputs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		guest, err := sandbox.Start(t.Context(), wasm.Spec{Program: program})
		if err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			defer guest.Close()
			for i := range next {
				if err := runOne(t.Context(), guest, i, inputs[i], &outputs[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range inputs {
		next <- i
	}
	close(next)
	workers.Wait()
	return outputs
}

func runOne(ctx context.Context, guest *wasm.Guest, i int, stdin string, output *[]byte) error {
	var out bytes.Buffer
	report, err := guest.Run(ctx, wasm.Input{Number: uint64(i), Stdin: strings.NewReader(stdin)}, &out)
	if err != nil {
		return fmt.Errorf("input %d: %w", i, err)
	}
	if report.Outcome != jobs.OK {
		return fmt.Errorf("input %d: %v: %s\n%s", i, report.Outcome, report.Reason, report.Stderr)
	}
	*output = out.Bytes()
	return nil
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The whole range is near a minute of CPU; every number of the list, their neighbours and
// some primes between do. (The test in ./mersenne goes through all, without a sandbox.)
func TestMersenne(t *testing.T) {
	program := build(t, "mersenne")
	exponents := map[int]bool{4: true, 11: true, 23: true, 1277: true, 2111: true, 4493: true}
	want := read(t, "mersenne/expected.txt")
	for line := range strings.Lines(want) {
		var p int
		if _, err := fmt.Sscan(line, &p); err != nil {
			t.Fatal(err)
		}
		exponents[p] = true
		exponents[p+1] = true
	}
	var inputs []string
	for _, p := range slices.Sorted(maps.Keys(exponents)) {
		inputs = append(inputs, fmt.Sprint(p))
	}
	if got := string(bytes.Join(run(t, program, inputs), nil)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMandelbrot(t *testing.T) {
	program := build(t, "mandelbrot")
	var inputs []string
	for i := range 48 {
		inputs = append(inputs, fmt.Sprint(i))
	}
	tiles, out := t.TempDir(), filepath.Join(t.TempDir(), "out.png")
	for i, tile := range run(t, program, inputs) {
		if err := os.WriteFile(filepath.Join(tiles, fmt.Sprint(i, ".out")), tile, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := exec.Command("go", "run", "./mandelbrot/join", "-o", out, tiles).CombinedOutput(); err != nil {
		t.Fatalf("join: %v\n%s", err, text)
	}
	got, want := decode(t, out), decode(t, "mandelbrot/expected.png")
	if got.Bounds() != want.Bounds() {
		t.Fatalf("picture of %v, want %v", got.Bounds(), want.Bounds())
	}
	differ := 0
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if !near(got, want, x, y) {
				differ++
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d points differ from expected.png", differ)
	}
}

func decode(t *testing.T, name string) image.Image {
	t.Helper()
	picture, err := png.Decode(strings.NewReader(read(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// near allows one step of 255: the cosine of the palette is not exact on every machine.
func near(a, b image.Image, x, y int) bool {
	r, g, bl, _ := a.At(x, y).RGBA()
	r2, g2, bl2, _ := b.At(x, y).RGBA()
	for _, d := range []int{int(r) - int(r2), int(g) - int(g2), int(bl) - int(bl2)} {
		if max(d, -d) > 0x101 {
			return false
		}
	}
	return true
}

func TestWordfreq(t *testing.T) {
	text := read(t, "wordfreq/text.txt")
	sum := map[string]int{}
	for _, out := range run(t, build(t, "wordfreq"), strings.Split(strings.TrimSuffix(text, "\n"), "\n")) {
		for line := range strings.Lines(string(out)) {
			var word string
			var n int
			if _, err := fmt.Sscan(line, &word, &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			sum[word] += n
		}
	}
	var got strings.Builder
	for _, word := range slices.Sorted(maps.Keys(sum)) {
		fmt.Fprintln(&got, word, sum[word])
	}
	if want := read(t, "wordfreq/expected.txt"); got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
	if want := unixCount(t, text); got.String() != want {
		t.Errorf("got:\n%s\ntr, sort and uniq:\n%s", got.String(), want)
	}
}

// unixCount counts words the old way.
func unixCount(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `tr -cs A-Za-z '\n' | tr A-Z a-z | sed '/^$/d' | sort | uniq -c | awk '{print $2, $1}'`)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no tr, sort and uniq here to compare with: %v", err)
	}
	return string(out)
}
