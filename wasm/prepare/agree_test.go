package prepare

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// called is what a call of an exported function came to.
type called struct {
	ended   string
	results []uint64
	types   []api.ValueType
	fuel    uint64
	memory  []byte // afterwards, unless it trapped
}

// callAll calls each of the functions a, b, … of a module with odd arguments, one after another in one instance.
func callAll(t testing.TB, e engine, wasm []byte, fuel uint64) []called {
	t.Helper()
	ctx := context.Background()
	r := e.runtime(ctx)
	defer r.Close(ctx)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatalf("%s: %v\n%x", e.name, err, wasm)
	}
	var all []called
	for name := 'a'; m.ExportedFunction(string(name)) != nil; name++ {
		f := m.ExportedFunction(string(name))
		if fuel > 0 {
			arm(m, fuel)
		}
		results, err := f.Call(ctx, oddArguments(f.Definition().ParamTypes())...)
		c := called{ended: trapKind(m, err), results: slices.Clone(results), types: f.Definition().ResultTypes()}
		if fuel > 0 {
			c.fuel = FuelUsed(fuel, fuelLeft(m))
		}
		if err != nil {
			return append(all, c)
		}
		c.memory, _ = m.Memory().Read(0, 64)
		c.memory = slices.Clone(c.memory)
		all = append(all, c)
	}
	return all
}

func oddArguments(params []api.ValueType) (args []uint64) {
	for i, p := range params {
		switch p {
		case api.ValueTypeF32:
			args = append(args, uint64(oddF32[i%len(oddF32)]))
		case api.ValueTypeI32:
			args = append(args, uint64(uint32(oddI64[i%len(oddI64)])))
		case typeVector:
			args = append(args, oddF64[(i+3)%len(oddF64)], oddF64[i%len(oddF64)])
		default:
			args = append(args, oddF64[i%len(oddF64)])
		}
	}
	return args
}

// disagree says where two runs of the same module differ. Memory must be the same to the bit.
func disagree(a, b []called, nanBits bool) string {
	if len(a) != len(b) {
		return "number of calls"
	}
	for i := range a {
		x := outcome{ended: a[i].ended, results: a[i].results, types: a[i].types, lanes: slices.Repeat([]string{"i8"}, len(a[i].types))}
		y := outcome{ended: b[i].ended, results: b[i].results}
		switch {
		case !same(x, y, nanBits):
			return "result"
		case a[i].fuel != b[i].fuel:
			return "fuel"
		case !bytes.Equal(a[i].memory, b[i].memory):
			return "memory"
		}
	}
	return ""
}

// littleFuel lets generated programs that do not end run for a moment, and no recursion go so deep that the
// interpreter, which has 2,000 frames, ends it first.
const littleFuel = 1500

// checkPrograms makes programs of bytes and checks everything that is promised about them.
func checkPrograms(t testing.TB, src []byte) {
	t.Helper()
	for _, floats := range []bool{false, true} {
		original := generate(src, floats)
		if err := valid(original); err != nil {
			t.Fatalf("the generator made a module that is not valid: %v\n%x", err, original)
		}
		for _, o := range []Options{{}, {NaN: Eager}, {LowerRemainders: true}} {
			prepared := mustPrepare(t, original, o)
			if err := valid(prepared); err != nil {
				t.Fatalf("%+v: %v\n%x", o, err, original)
			}
			ours := callAll(t, compiler, prepared, littleFuel)
			theirs := callAll(t, interpreter, prepared, littleFuel)
			if where := disagree(ours, theirs, o.NaN == Eager); where != "" {
				t.Fatalf("%+v: compiler and interpreter differ in %s:\n%+v\n%+v\n%x", o, where, ours, theirs, original)
			}
			last := ours[len(ours)-1].ended
			if floats || last == "out of fuel" || last == "stack overflow" {
				continue
			}
			plain := callAll(t, compiler, original, 0)
			for i := range ours {
				ours[i].fuel = 0
			}
			if where := disagree(ours, plain, true); where != "" {
				t.Fatalf("%+v: prepared and original differ in %s:\n%+v\n%+v\n%x", o, where, ours, plain, original)
			}
		}
	}
}

// TestPrograms checks many generated programs.
func TestPrograms(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 30
	}
	for seed := range n {
		checkPrograms(t, randomBytes(uint64(seed), 400))
	}
}

func randomBytes(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
