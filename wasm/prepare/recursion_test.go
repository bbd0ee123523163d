package prepare

import (
	"context"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
)

// recursion is a way of calling oneself: what the function does before, around and after the call. It takes and gives an
// i32. A global counts the frames.
type recursion struct {
	name   string
	locals []valType
	before []byte
	after  []byte
	call   []byte
	frames uint64 // how deep it goes before it is out of stack, on every machine
}

// repeat writes f(0), f(1), … f(n-1).
func repeat(n int, f func(b []byte, i uint32) []byte) (b []byte) {
	for i := range n {
		b = f(b, uint32(i))
	}
	return b
}

func recursions() []recursion {
	self := []byte{opCall, 0}
	many := make([]valType, 200)
	for i := range many {
		many[i] = i64
	}
	vectors := make([]valType, 60)
	for i := range vectors {
		vectors[i] = v128
	}
	load := func(o opcode, local opcode) func([]byte, uint32) []byte { // each local a value of its own
		return func(b []byte, i uint32) []byte {
			b = appendU32(append(appendOp(append(b, opI32Const, 0), o), 0), i*8)
			return appendU32(append(b, byte(local)), i+1)
		}
	}
	store := func(o opcode) func([]byte, uint32) []byte {
		return func(b []byte, i uint32) []byte {
			b = appendU32(append(b, opI32Const, 0, opLocalGet), i+1)
			return appendU32(append(appendOp(b, o), 0), i*8)
		}
	}
	// A choice for each local, live across the call: every one of them comes from two sides.
	choice := func(b []byte, i uint32) []byte {
		b = append(b, opLocalGet, 0, opIf, 0x40)
		b = load(0x29, opLocalSet)(b, i)
		return append(b, opEnd)
	}
	loop := func(b []byte, i uint32) []byte {
		b = load(0x29, opLocalSet)(append(b, opLoop, 0x40), i)
		return append(b, opLocalGet, 0, 0x45, opBrIf, 0, opEnd)
	}
	// Choices within choices: where they end, half of the locals has two values each time.
	var nested []byte
	for i := range uint32(8) {
		nested = append(nested, opLocalGet, 0, opIf, 0x40)
		for k := range uint32(4) {
			nested = load(0x29, opLocalSet)(nested, (i*3+k)%40)
		}
	}
	nested = append(nested, slices.Repeat([]byte{opEnd}, 8)...)
	operands := repeat(100, func(b []byte, i uint32) []byte { return append(b, opLocalGet, 0, opI32Const, byte(i%64), 0x6a) })
	sums := repeat(100, func(b []byte, _ uint32) []byte { return append(b, 0x6a) })
	return []recursion{
		{name: "plain", call: self, frames: 246723},
		{name: "indirect", call: append([]byte{opI32Const, 0}, opCallIndirect, 0, 0), frames: 246723},
		{name: "locals", locals: many, before: repeat(200, load(0x29, opLocalSet)), call: self, after: repeat(200, store(0x37)), frames: 10034},
		{name: "vectors", locals: vectors, before: repeat(60, load(vectorOps, opLocalSet)), call: self, after: repeat(60, store(vectorOps+0x0b)), frames: 15887},
		{name: "operands", before: operands, call: append([]byte{opLocalGet, 0}, self...), after: sums, frames: 36157},
		{name: "choices", locals: many, before: repeat(200, choice), call: self, after: repeat(200, store(0x37)), frames: 8097},
		{name: "nested", locals: many[:40], before: nested, call: self, after: repeat(40, store(0x37)), frames: 25890},
		{name: "loops", locals: many[:100], before: repeat(100, loop), call: self, after: repeat(100, store(0x37)), frames: 15650},
	}
}

func (s recursion) module() []byte {
	body := appendGroups(s.locals)
	body = append(body, opGlobalGet, 0, opI64Const, 1, opI64Add, opGlobalSet, 0)
	body = append(body, s.before...)
	if s.name != "operands" {
		body = append(body, opLocalGet, 0)
	}
	body = append(append(append(body, s.call...), s.after...), opEnd)
	code := append(appendU32([]byte{1}, uint32(len(body))), body...)
	m := &module{
		types: []funcType{{"\x7f", "\x7f"}}, funcs: []uint32{0}, memories: []limits{{min: 1}},
		tables: []tableType{{funcref, limits{min: 1}}}, globals: []globalType{{i64, true}}, inits: []constExpr{{opI64Const, 0, opEnd}},
		elems:   []elemSegment{{offset: constExpr{opI32Const, 0, opEnd}, typ: funcref, funcs: []uint32{0}}},
		exports: []exportEntry{{"recurse", kindFunc, 0}, {"frames", kindGlobal, 0}},
	}
	return assemblePlain(m, code)
}

// TestRecursion calls ever deeper: it ends at the same call on every machine, and by what the rewriter counts, not by
// what the engine has.
func TestRecursion(t *testing.T) {
	ctx := context.Background()
	for _, s := range recursions() {
		t.Run(s.name, func(t *testing.T) {
			r := compiler.runtime(ctx)
			defer r.Close(ctx)
			m, err := r.InstantiateWithConfig(ctx, mustPrepare(t, s.module(), asHere(Lazy)), wazero.NewModuleConfig())
			if err != nil {
				t.Fatal(err)
			}
			for _, argument := range []uint64{1, 7} {
				before := m.ExportedGlobal("frames").Get()
				arm(m, budget)
				_, err := m.ExportedFunction("recurse").Call(ctx, argument)
				frames := m.ExportedGlobal("frames").Get() - before
				t.Logf("%s: %d frames", s.name, frames)
				if Exhausted(fuelLeft(m), stackLeft(m)) != OutOfStack || err == nil {
					t.Fatalf("after %d frames: %v, stack %d: not what the rewriter counts", frames, err, int64(stackLeft(m)))
				}
				if frames != s.frames {
					t.Errorf("%d frames, elsewhere %d", frames, s.frames)
				}
				if used := FuelUsed(budget, fuelLeft(m)); s.name == "plain" && used != 6*frames {
					t.Errorf("%d fuel for %d frames of 6 instructions", used, frames)
				}
			}
		})
	}
}
