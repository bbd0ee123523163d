package prepare

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// small makes a module of functions without locals, all exported as a, b, …, with a memory and a mutable i32 global.
func small(types []funcType, bodies ...[]byte) *module {
	m := &module{types: types, memories: []limits{{min: 1, max: 3, bounded: true}},
		tables: []tableType{{funcref, limits{min: 1}}}, globals: []globalType{{i32, true}}, inits: []constExpr{{opI32Const, 0, opEnd}}}
	for i := range bodies {
		m.funcs = append(m.funcs, uint32(i%len(types)))
		m.exports = append(m.exports, exportEntry{string(rune('a' + i)), kindFunc, uint32(i)})
	}
	m.exports = append(m.exports, exportEntry{"memory", kindMemory, 0})
	return m
}

func encode(m *module, bodies ...[]byte) []byte {
	code := appendU32(nil, uint32(len(bodies)))
	for _, b := range bodies {
		b = append(append([]byte{0}, b...), opEnd)
		code = append(appendU32(code, uint32(len(b))), b...)
	}
	return assemblePlain(m, code)
}

// TestFuel counts by hand.
func TestFuel(t *testing.T) {
	void := []funcType{{}}
	tests := []struct {
		name string
		body []byte
		fuel uint64
	}{
		{"nothing", nil, 0},
		{"structure is free", []byte{opBlock, 0x40, opNop, opLoop, 0x40, opEnd, opEnd}, 0},
		{"constant and drop", []byte{opI32Const, 1, opDrop}, 2},
		{"the arm that runs", []byte{opI32Const, 1, opIf, 0x40, opI32Const, 1, opDrop, opElse, opReturn, opEnd}, 4},
		{"the other arm", []byte{opI32Const, 0, opIf, 0x40, opI32Const, 1, opDrop, opElse, opReturn, opEnd}, 3},
		{"no arm", []byte{opI32Const, 0, opIf, 0x40, opReturn, opEnd}, 2},
		{"what a branch skips", []byte{opBlock, 0x40, opBr, 0, opI32Const, 1, opDrop, opEnd, opI32Const, 1, opDrop}, 3},
		{"a branch not taken", []byte{opI32Const, 0, opBrIf, 0, opI32Const, 1, opDrop}, 4},
		{"ten times round", []byte{opLoop, 0x40, opGlobalGet, 0, opI32Const, 1, 0x6a, opGlobalSet, 0,
			opGlobalGet, 0, opI32Const, 10, 0x49, opBrIf, 0, opEnd}, 80},
		{"fill by length", append(append([]byte{opI32Const, 0, opI32Const, 0, opI32Const}, appendSigned(nil, 800)...), opBulk, 11, 0), 4 + 100},
		{"grow by pages", []byte{opI32Const, 2, opMemoryGrow, 0, opDrop}, 3 + 2*fuelPerPage},
		{"grow that fails", []byte{opI32Const, 9, opMemoryGrow, 0, opDrop}, 3 + 9*fuelPerPage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			original := encode(small(void, nil), test.body)
			for _, e := range []engine{compiler, interpreter} {
				for _, o := range everyOptions {
					got := callAll(t, e, mustPrepare(t, original, o), budget)
					if got[0].ended != "returned" || got[0].fuel != test.fuel {
						t.Errorf("%s %+v: %s with %d fuel, %d wanted", e.name, o, got[0].ended, got[0].fuel, test.fuel)
					}
				}
			}
		})
	}
}

// TestOutOfFuel gives programs all kinds of budgets: both engines must end at the same point, with the same memory.
func TestOutOfFuel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(40) {
		prepared := mustPrepare(t, generate(randomBytes(seed, 400), true), Options{})
		for _, fuel := range []uint64{0, 1, 2, 3, 7, 15, 40, 100, 333, 1000} {
			ours := callAll(t, compiler, prepared, max(fuel, 1))
			theirs := callAll(t, interpreter, prepared, max(fuel, 1))
			if where := disagree(ours, theirs, false); where != "" {
				t.Fatalf("seed %d, %d fuel: engines differ in %s:\n%+v\n%+v", seed, fuel, where, ours, theirs)
			}
			for _, c := range ours {
				seen[c.ended]++
				if c.ended == "out of fuel" && c.fuel != max(fuel, 1) {
					t.Fatalf("seed %d: out of fuel after %d of %d", seed, c.fuel, fuel)
				}
			}
		}
	}
	if seen["out of fuel"] == 0 || seen["returned"] == 0 {
		t.Errorf("the programs do not try both ends: %v", seen)
	}
}

// TestTableGrowth: how far a table grows does not depend on the host.
func TestTableGrowth(t *testing.T) {
	grow := func(address byte, by int64) []byte {
		b := appendSigned([]byte{opI32Const, address, opRefNull, byte(funcref), opI32Const}, by)
		return append(appendU32(appendOp(b, opTableGrow), 0), 0x36, 2, 0)
	}
	for _, test := range []struct {
		name   string
		limits limits
		want   [3]uint32 // what growing to the limit, by one more, and by nothing gives
	}{
		{"without a maximum", limits{min: 1}, [3]uint32{1, ^uint32(0), MaxTable}},
		{"with a large one", limits{min: 1, max: 1 << 31, bounded: true}, [3]uint32{1, ^uint32(0), MaxTable}},
		{"with a small one", limits{min: 1, max: 7, bounded: true}, [3]uint32{^uint32(0), 1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := small([]funcType{{}}, nil)
			m.tables[0].limits = test.limits
			body := append(append(grow(0, MaxTable-1), grow(4, 1)...), grow(8, 0)...)
			for _, e := range []engine{compiler, interpreter} {
				got := callAll(t, e, mustPrepare(t, encode(m, body), Options{}), budget)[0]
				for i, want := range test.want {
					if old := binary.LittleEndian.Uint32(got.memory[4*i:]); got.ended != "returned" || old != want {
						t.Errorf("%s, step %d: %s with %d, want %d", e.name, i, got.ended, int32(old), int32(want))
					}
				}
			}
		})
	}
}

// TestEndless runs what never ends: fuel ends it, whatever shape it has.
func TestEndless(t *testing.T) {
	void := []funcType{{}}
	double := func(callee byte) []byte { return []byte{opCall, callee, opCall, callee} }
	tree := [][]byte{}
	for i := range 40 { // 2^40 calls, without a loop or a cycle
		tree = append(tree, double(byte(i+1)))
	}
	tree = append(tree, nil)
	fill := append([]byte{opI32Const, 0, opI32Const, 0, opI32Const}, append(appendSigned(nil, 1<<16), opBulk, 11, 0)...)
	tests := map[string][][]byte{
		"loop":            {{opLoop, 0x40, opBr, 0, opEnd}},
		"conditional":     {{opLoop, 0x40, opI32Const, 1, opBrIf, 0, opEnd}},
		"branch table":    {{opLoop, 0x40, opI32Const, 5, opBrTable, 1, 1, 0, opEnd}},
		"nested":          {{opLoop, 0x40, opLoop, 0x40, opBr, 1, opEnd, opEnd}},
		"from within":     {{opLoop, 0x40, opBlock, 0x40, opI32Const, 1, opIf, 0x40, opBr, 2, opEnd, opEnd, opEnd}},
		"with an operand": {{opI32Const, 0, opLoop, 1, opBr, 0, opEnd, opDrop}},
		"calls":           tree,
		"bulk":            {repeat(3000, func(b []byte, _ uint32) []byte { return append(b, fill...) })},
	}
	for name, bodies := range tests {
		t.Run(name, func(t *testing.T) {
			m := small(void, bodies...)
			m.types = append(m.types, funcType{"\x7f", "\x7f"})
			prepared := mustPrepare(t, encode(m, bodies...), Options{})
			for _, e := range []engine{compiler, interpreter} {
				if got := callAll(t, e, prepared, 1<<20)[0]; got.ended != "out of fuel" || got.fuel != 1<<20 {
					t.Errorf("%s: %s after %d", e.name, got.ended, got.fuel)
				}
			}
		})
	}
}

// TestStart runs a start function, as the host does: after it has given fuel.
func TestStart(t *testing.T) {
	ctx := context.Background()
	m := small([]funcType{{}}, nil)
	m.start, m.hasStart = 0, true
	original := encode(m, []byte{opI32Const, 8, opI32Const, 42, 0x36, 2, 0})
	r := compiler.runtime(ctx)
	defer r.Close(ctx)
	instance, err := r.InstantiateWithConfig(ctx, mustPrepare(t, original, Options{}), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := instance.Memory().ReadUint32Le(8); v != 0 {
		t.Fatal("the start function ran before it had fuel")
	}
	arm(instance, 100)
	if _, err := instance.ExportedFunction(StartFunction).Call(ctx); err != nil {
		t.Fatal(err)
	}
	if v, _ := instance.Memory().ReadUint32Le(8); v != 42 {
		t.Errorf("the start function left %d", v)
	}
	if used := FuelUsed(100, fuelLeft(instance)); used != 3 {
		t.Errorf("the start function took %d fuel", used)
	}
}

// TestNoFuelByDefault: a host that forgets to give fuel gets nothing done, rather than everything for free.
func TestNoFuelByDefault(t *testing.T) {
	original := encode(small([]funcType{{}}, nil), []byte{opLoop, 0x40, opBr, 0, opEnd})
	got := callAll(t, compiler, mustPrepare(t, original, Options{}), 0)
	if got[0].ended != "out of fuel" {
		t.Errorf("a loop without fuel: %s", got[0].ended)
	}
}

// TestOutOfReach tries to get at what the rewriter adds: an original names it, in each way there is, and is refused.
func TestOutOfReach(t *testing.T) {
	void := []funcType{{}}
	export := func(name string, kind byte, index uint32) func(*module) {
		return func(m *module) { m.exports = append(m.exports, exportEntry{name, kind, index}) }
	}
	nothing := func(*module) {}
	tests := []struct {
		name   string
		change func(*module)
		body   []byte
		reason string
	}{
		{"sets the fuel", nothing, []byte{opI64Const, 1, opGlobalSet, 1}, "global 1 of 1"},
		{"reads the stack", nothing, []byte{opGlobalGet, 2, opDrop}, "global 2 of 1"},
		{"exports the fuel", export("x", kindGlobal, 1), nil, "global 1 of 1"},
		{"starts a global from it", func(m *module) { m.inits[0] = constExpr{opGlobalGet, 1, opEnd} }, nil, "imported global 1 of 0"},
		{"takes the fuel's name", export(FuelGlobal, kindGlobal, 0), nil, "reserved"},
		{"takes the start's name", export(StartFunction, kindFunc, 0), nil, "reserved"},
		{"uses an added type", nothing, []byte{opBlock, 1, opEnd}, "type 1 of 1"},
		{"uses an added local", nothing, []byte{opLocalGet, 0, opDrop}, "local 0 of 0"},
		{"leaves the body's block", nothing, []byte{opBr, 1}, "label 1 of 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := small(void, nil)
			test.change(m)
			_, err := Module(encode(m, test.body), Options{})
			if r := (*Refused)(nil); !errors.As(err, &r) || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("%v, not refused for %q", err, test.reason)
			}
		})
	}
}

// TestShortestForm: an opcode may be written longer than need be, which wazero reads as two instructions; what is
// prepared of it is what the short one gives.
func TestShortestForm(t *testing.T) {
	add := func(op ...byte) []byte { // v128.const, v128.const, the operation, and its lowest bits stored
		b := []byte{opI32Const, 0}
		for range 2 {
			b = append(appendOp(b, opV128Const), "0123456789abcdef"...)
		}
		return append(append(append(b, opVector), op...), opVector, 0x0b, 0, 0)
	}
	m := small([]funcType{{}}, nil)
	short, long := encode(m, add(0x6e)), encode(m, add(0xee, 0)) // i8x16.add
	a, b := mustPrepare(t, short, Options{}), mustPrepare(t, long, Options{})
	if string(a) != string(b) {
		t.Error("the two forms of one module are prepared differently")
	}
	if got := callAll(t, compiler, b, budget); got[0].memory[0] != '0'*2 {
		t.Errorf("memory %x", got[0].memory[:16])
	}
}

// TestExhausted tells the ends of a run apart.
func TestExhausted(t *testing.T) {
	negative := ^uint64(0)
	tests := []struct {
		fuel, stack uint64
		want        Exhaustion
	}{{1, 1, Nothing}, {0, 0, Nothing}, {negative, 1, OutOfFuel}, {1, negative, OutOfStack}, {negative, negative, OutOfStack}}
	for _, test := range tests {
		if got := Exhausted(test.fuel, test.stack); got != test.want {
			t.Errorf("fuel %d, stack %d: %d, want %d", int64(test.fuel), int64(test.stack), got, test.want)
		}
	}
	if got := []uint64{FuelUsed(10, 3), FuelUsed(10, negative), FuelUsed(10, 0)}; !reflect.DeepEqual(got, []uint64{7, 10, 10}) {
		t.Errorf("fuel used: %d", got)
	}
}

// TestGoGuest runs a Go program: same output, same fuel, both engines, both kinds of NaN.
func TestGoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("the interpreter takes a while")
	}
	guest := goGuest(t)
	var first ran
	for _, e := range []engine{compiler, interpreter} {
		for _, n := range []NaN{Lazy, Eager} {
			got := compile(t, e, mustPrepare(t, guest, asHere(n))).run(t, budget)
			got.cpu = 0
			if first.ended == "" {
				first = got
				t.Logf("%d fuel, %s\n%s", got.fuel, got.ended, got.stdout)
			}
			if got != first {
				t.Errorf("%s, NaN %d: %+v, first was %+v", e.name, n, got, first)
			}
		}
	}
}
