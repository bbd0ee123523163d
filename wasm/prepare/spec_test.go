package prepare

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// specCommand is one line of a script of the WebAssembly test suite, as wast2json writes it.
type specCommand struct {
	Type       string
	Line       int
	Name, As   string
	Filename   string
	ModuleType string `json:"module_type"`
	Action     struct {
		Type, Field, Module string
		Args                []specValue
	}
	Expected []specValue
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// outcome is what one command came to.
type outcome struct {
	line    int
	ended   string // how: "returned", a trap, "refused", …
	results []uint64
	types   []api.ValueType
	lanes   []string
	fuel    uint64
}

// world runs scripts on one engine, with or without preparing the modules first.
type world struct {
	engine
	options *Options // nil: run the originals
	dir     string

	runtime wazero.Runtime
	named   map[string]api.Module
	last    api.Module
	all     []api.Module
	refused map[string]error // modules that could not be prepared
}

func specDir(t testing.TB) string {
	return filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest")
}

func specScripts(t testing.TB) []string {
	scripts, err := filepath.Glob(filepath.Join(specDir(t), "v2", "testdata", "*.json"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no test scripts: %v", err)
	}
	return scripts
}

func (w *world) play(t *testing.T, script string) []outcome {
	ctx := context.Background()
	var s struct{ Commands []specCommand }
	if err := json.Unmarshal(readFile(t, script), &s); err != nil {
		t.Fatal(err)
	}
	w.dir = filepath.Dir(script)
	w.runtime, w.named, w.last, w.all = w.engine.runtime(ctx), map[string]api.Module{}, nil, nil
	defer w.runtime.Close(ctx)
	spectest := readFile(t, specDir(t), "testdata", "spectest.wasm")
	if _, err := w.runtime.InstantiateWithConfig(ctx, spectest, wazero.NewModuleConfig()); err != nil {
		t.Fatal(err)
	}
	var outcomes []outcome
	for i, c := range s.Commands {
		as := ""
		if i+1 < len(s.Commands) && s.Commands[i+1].Type == "register" {
			as = s.Commands[i+1].As
		}
		o := w.do(t, c, as)
		o.line = c.Line
		outcomes = append(outcomes, o)
	}
	return outcomes
}

func (w *world) do(t *testing.T, c specCommand, as string) outcome {
	switch c.Type {
	case "module":
		m, ended := w.instantiate(t, c.Filename, as)
		if w.last = m; c.Name != "" {
			w.named[c.Name] = m
		}
		return outcome{ended: ended}
	case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
		if c.ModuleType == "text" {
			return outcome{}
		}
		_, ended := w.instantiate(t, c.Filename, "")
		return outcome{ended: ended}
	case "register":
		return outcome{}
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		return w.act(t, c)
	}
	t.Fatalf("unknown command %q", c.Type)
	return outcome{}
}

// instantiate gives nil and the reason if it cannot. What is not WebAssembly at all "fails", whoever says so.
func (w *world) instantiate(t *testing.T, file, as string) (api.Module, string) {
	ctx := context.Background()
	wasm := readFile(t, w.dir, file)
	if w.options != nil {
		prepared, err := Module(wasm, *w.options)
		if err != nil {
			w.refused[file] = err
			return nil, "failed"
		}
		wasm = prepared
	}
	m, err := w.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName(as))
	if err != nil {
		return nil, "failed"
	}
	w.all = append(w.all, m)
	if w.options != nil {
		w.arm()
		if start := m.ExportedFunction(StartFunction); start != nil {
			if _, err := start.Call(ctx); err != nil {
				m.Close(ctx)
				w.all = w.all[:len(w.all)-1]
				return nil, "failed"
			}
		}
	}
	return m, "returned"
}

// arm gives fuel to every instance: some call one another.
func (w *world) arm() {
	for _, m := range w.all {
		arm(m, budget)
	}
}

func (w *world) act(t *testing.T, c specCommand) outcome {
	m := w.last
	if c.Action.Module != "" {
		m = w.named[c.Action.Module]
	}
	if m == nil {
		return outcome{ended: "no module"}
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		return outcome{ended: "returned", results: []uint64{g.Get()}, types: []api.ValueType{g.Type()}}
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.bits(t)...)
	}
	var lanes []string
	for _, e := range c.Expected {
		lanes = append(lanes, e.LaneType)
	}
	if w.options != nil {
		w.arm()
	}
	f := m.ExportedFunction(c.Action.Field)
	results, err := f.Call(context.Background(), args...)
	o := outcome{ended: trapKind(m, err), results: slices.Clone(results), types: f.Definition().ResultTypes(), lanes: lanes}
	if w.options != nil {
		for _, m := range w.all {
			o.fuel += budget - fuelLeft(m)
		}
	}
	return o
}

// bits gives a value as wazero takes it: two words for a vector, one for anything else.
func (v specValue) bits(t *testing.T) []uint64 {
	if v.Type != "v128" {
		if v.Value == nil || v.Value == "null" {
			return []uint64{0}
		}
		n := number(t, v.Value.(string))
		if v.Type == "externref" {
			n++ // 0 is null to wazero
		}
		return []uint64{n}
	}
	words := make([]uint64, 2)
	lanes := v.Value.([]any)
	width := 128 / len(lanes)
	for i, l := range lanes {
		words[i*width/64] |= number(t, l.(string)) << (i * width % 64)
	}
	return words
}

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Types that wazero's API does not name.
const (
	typeFuncref = api.ValueType(0x70)
	typeVector  = api.ValueType(0x7b)
)

// same tells whether two outcomes agree, but for the bits of NaNs when those do not count.
func same(a, b outcome, nanBits bool) bool {
	if a.ended != b.ended || len(a.results) != len(b.results) {
		return false
	}
	pos := 0
	for i, typ := range a.types {
		if i >= len(a.results) {
			break
		}
		lane, words := "", 1
		switch typ {
		case api.ValueTypeF32:
			lane = "f32"
		case api.ValueTypeF64:
			lane = "f64"
		case api.ValueTypeI32:
			lane = "i32" // the upper half of the word is junk
		case typeFuncref: // an address
			pos++
			continue
		case typeVector:
			words = 2
			if i < len(a.lanes) {
				lane = a.lanes[i]
			}
		}
		for ; words > 0; words, pos = words-1, pos+1 {
			if !sameWord(a.results[pos], b.results[pos], lane, typ != typeVector, nanBits) {
				return false
			}
		}
	}
	return true
}

func sameWord(a, b uint64, lane string, scalar, nanBits bool) bool {
	if scalar && (lane == "i32" || lane == "f32") {
		a, b = a&math.MaxUint32, b&math.MaxUint32
	}
	switch {
	case a == b:
		return true
	case nanBits:
		return false
	case lane == "f64":
		return math.IsNaN(math.Float64frombits(a)) && math.IsNaN(math.Float64frombits(b))
	case lane == "f32":
		return sameF32(uint32(a), uint32(b)) && sameF32(uint32(a>>32), uint32(b>>32))
	}
	return false
}

func sameF32(a, b uint32) bool {
	x, y := math.Float32frombits(a), math.Float32frombits(b)
	return a == b || x != x && y != y
}

// TestSpecSuite plays the WebAssembly test suite with the originals and with prepared modules: whatever the original
// returns, traps with, or fails to validate as, the prepared module does too, on either engine, and both engines count
// the same fuel.
func TestSpecSuite(t *testing.T) {
	worlds := []*world{
		{engine: compiler, options: &Options{}},
		{engine: interpreter, options: &Options{}},
		{engine: compiler, options: &Options{NaN: Eager, LowerRemainders: true}},
		{engine: interpreter, options: &Options{NaN: Eager, LowerRemainders: true}},
	}
	if testing.Short() {
		worlds = worlds[:1]
	}
	var commands, nans, refused int
	for _, script := range specScripts(t) {
		name := strings.TrimSuffix(filepath.Base(script), ".json")
		plain := (&world{engine: compiler}).play(t, script)
		var fuel []outcome
		for i, w := range worlds {
			w.refused = map[string]error{}
			got := w.play(t, script)
			if i == 0 {
				fuel = got
			}
			for j := range got {
				if !same(plain[j], got[j], false) {
					t.Errorf("%s:%d, %s, %+v:\noriginal %+v\nprepared %+v\nrefused %v", name, got[j].line, w.name, *w.options, plain[j], got[j], w.refused)
				}
				if !same(plain[j], got[j], true) {
					nans++
				}
				if got[j].fuel != fuel[j].fuel && !strings.Contains(got[j].ended, "stack overflow") {
					t.Errorf("%s:%d, %s, %+v: fuel %d, with the first %d", name, got[j].line, w.name, *w.options, got[j].fuel, fuel[j].fuel)
				}
				if i == 0 && got[j].ended != "" {
					commands++
				}
			}
			refused += len(w.refused)
			for _, file := range slices.Sorted(maps.Keys(w.refused)) {
				if i == 0 { // the others refuse the same
					t.Logf("refused: %s: %v", file, w.refused[file])
				}
			}
		}
	}
	t.Logf("%d commands, on %d engines and options; %d results differ in NaN bits; %d modules refused, each of them invalid", commands, len(worlds), nans, refused/len(worlds))
}

// valid tells whether wazero takes a module.
func valid(wasm []byte) error {
	ctx := context.Background()
	r := interpreter.runtime(ctx)
	defer r.Close(ctx)
	m, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return fmt.Errorf("wazero: %w", err)
	}
	return m.Close(ctx)
}

// specModules gives every binary of the test suite, valid or not.
func specModules(t testing.TB) map[string][]byte {
	files, err := filepath.Glob(filepath.Join(specDir(t), "v2", "testdata", "*.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	modules := make(map[string][]byte, len(files))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		modules[filepath.Base(f)] = b
	}
	return modules
}
