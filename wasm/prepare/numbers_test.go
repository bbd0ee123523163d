package prepare

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// These are what every engine on every machine must come to. A change of the tables or of the generator changes them;
// a change of the rewriter must not, unless it changes Version.
const (
	numbersDigest = "8a6ef46828214ffc5fafbe71555a99878c2cefa0637d34e7474f26a540f769b9"
	lazyPrograms  = "7e2688adf364294b5e7b23f73b3e6b2da4eb38766c938d95fb13f474908bb9a1"
	eagerPrograms = "d83b742091285c53aaa2c94501595d3ee40ce9e1f001ff63e93c278ebe9dafe4"
)

// asHere gives the rewrite that a machine of this architecture runs.
func asHere(n NaN) Options { return Options{NaN: n, LowerRemainders: runtime.GOARCH == "arm64"} }

// numeric lists the instructions that make a number of numbers, with each of their first and last lanes.
func numeric() (all []instr) {
	for o := range table {
		t := &table[o]
		if len(t.in) == 0 || len(t.out) == 0 || !t.known {
			continue
		}
		switch t.imm {
		case immNone:
			all = append(all, instr{op: opcode(o)})
		case immLane:
			all = append(all, instr{op: opcode(o)}, instr{op: opcode(o), num: int64(t.lanes) - 1})
		case immShuffle:
			all = append(all, instr{op: opcode(o), raw: []byte{0, 17, 2, 19, 4, 21, 31, 1, 16, 3, 9, 8, 30, 15, 7, 28}})
		}
	}
	return all
}

// numbersModule exports one function for each instruction, in order. They take and give the bits of their operands as
// integers, vectors as two.
func numbersModule(ops []instr) []byte {
	m := &module{exports: []exportEntry{}}
	code := appendU32(nil, uint32(len(ops)))
	for i, op := range ops {
		t := &table[op.op]
		var params []byte
		var body []byte
		for _, v := range []byte(t.in) {
			get := func(as valType) {
				body = appendU32(append(body, opLocalGet), uint32(len(params)))
				params = append(params, byte(as))
			}
			switch valType(v) {
			case f32:
				get(i32)
				body = append(body, 0xbe)
			case f64:
				get(i64)
				body = append(body, 0xbf)
			case v128:
				get(i64)
				body = appendOp(body, vectorOps+0x12)
				get(i64)
				body = append(appendOp(body, vectorOps+0x1e), 1)
			default:
				get(valType(v))
			}
		}
		body = appendInstr(body, &op)
		results := types([]byte{byte(i64)})
		switch valType(t.out[0]) {
		case i32:
			body = append(body, opI64ExtendU)
		case f32:
			body = append(body, 0xbc, opI64ExtendU)
		case f64:
			body = append(body, 0xbd)
		case v128:
			local := uint32(len(params))
			body = append(appendOp(appendU32(append(body, opLocalTee), local), vectorOps+0x1d), 0)
			body = append(appendOp(appendU32(append(body, opLocalGet), local), vectorOps+0x1d), 1)
			results += results
		}
		body = append(append(appendGroups([]valType{v128}), body...), opEnd)
		code = append(appendU32(code, uint32(len(body))), body...)
		m.types = append(m.types, funcType{types(params), results})
		m.funcs = append(m.funcs, uint32(i))
		m.exports = append(m.exports, exportEntry{fmt.Sprint(i), kindFunc, uint32(i)})
	}
	return assemblePlain(m, code)
}

// operands gives the operands that a type is tried with.
func operands(t valType) (all [][]uint64) {
	one := func(v uint64) { all = append(all, []uint64{v}) }
	switch t {
	case i32:
		for _, v := range oddI64 {
			one(uint64(uint32(v)))
		}
	case i64:
		for _, v := range oddI64 {
			one(v)
		}
	case f32:
		for _, v := range oddF32 {
			one(uint64(v))
		}
	case f64:
		for _, v := range oddF64 {
			one(v)
		}
	case v128:
		for i, v := range oddF64 {
			all = append(all, []uint64{v, oddF64[(i+7)%len(oddF64)]})
			all = append(all, []uint64{uint64(oddF32[i])<<32 | uint64(oddF32[(i+5)%len(oddF32)]), uint64(oddF32[(i+9)%len(oddF32)])<<32 | uint64(oddF32[(i+2)%len(oddF32)])})
		}
	}
	return all
}

// tuples calls f with every combination of operands of the types.
func tuples(t types, given []uint64, f func([]uint64)) {
	if len(t) == 0 {
		f(given)
		return
	}
	all := operands(valType(t[0]))
	for i, o := range all {
		if len(t) == 3 && i%4 != 0 {
			continue // of three, a few do
		}
		tuples(t[1:], append(slices.Clip(given), o...), f)
	}
}

// digestNumbers runs every instruction on every tuple of operands and hashes what comes out.
func digestNumbers(t testing.TB, e engine, o Options) string {
	ctx := context.Background()
	ops := numeric()
	r := e.runtime(ctx)
	defer r.Close(ctx)
	m, err := r.InstantiateWithConfig(ctx, mustPrepare(t, numbersModule(ops), o), wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	h, n := sha256.New(), 0
	for i, op := range ops {
		f := m.ExportedFunction(fmt.Sprint(i))
		tuples(table[op.op].in, nil, func(args []uint64) {
			arm(m, budget)
			results, err := f.Call(ctx, args...)
			fmt.Fprintf(h, "%x.%d %x %s %x %d\n", op.op, op.num, args, trapKind(m, err), results, fuelLeft(m))
			n++
		})
	}
	t.Logf("%s %+v: %d evaluations of %d instructions", e.name, o, n, len(ops))
	return fmt.Sprintf("%x", h.Sum(nil))
}

// digestPrograms runs generated programs and hashes what they come to: results but for the bits of NaNs, fuel, memory.
func digestPrograms(t testing.TB, e engine, o Options) string {
	h := sha256.New()
	for seed := range uint64(100) {
		prepared := mustPrepare(t, generate(randomBytes(1000+seed, 500), true), o)
		for _, c := range callAll(t, e, prepared, littleFuel) {
			fmt.Fprintf(h, "%d %s %d %x\n", seed, c.ended, c.fuel, c.memory)
			if o.NaN == Eager {
				writeResults(h, c)
			}
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func writeResults(h hash.Hash, c called) {
	for i, typ := range c.types {
		if i < len(c.results) && typ == 0x7f {
			fmt.Fprintf(h, "%x\n", uint32(c.results[i]))
		}
	}
}

// TestSameEverywhere holds compiler and interpreter, lazy and eager, against the same digests on every architecture.
func TestSameEverywhere(t *testing.T) {
	for _, e := range []engine{compiler, interpreter} {
		for n, wantPrograms := range []string{Lazy: lazyPrograms, Eager: eagerPrograms} {
			numbers, programs := digestNumbers(t, e, asHere(NaN(n))), digestPrograms(t, e, asHere(NaN(n)))
			t.Logf("%s %s, NaN %d: numbers %s, programs %s", runtime.GOARCH, e.name, n, numbers, programs)
			if numbers != numbersDigest || programs != wantPrograms {
				t.Errorf("%s %s, NaN %d: the digests are not the ones of every other machine", runtime.GOARCH, e.name, n)
			}
		}
	}
}

// TestArm64 runs TestSameEverywhere on an emulated arm64, where there is an emulator.
func TestArm64(t *testing.T) {
	qemu, err := exec.LookPath("qemu-aarch64")
	if err != nil {
		t.Skip("qemu-aarch64 is not installed (Debian: qemu-user): nothing runs on arm64 here")
	}
	if testing.Short() {
		t.Skip("building and emulating takes a minute")
	}
	binary := filepath.Join(t.TempDir(), "prepare.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building for arm64: %v\n%s", err, said)
	}
	said, err := exec.Command(qemu, binary, "-test.v", "-test.run", "^(TestSameEverywhere|TestRecursion)$").CombinedOutput()
	for line := range strings.SplitSeq(string(said), "\n") {
		if strings.Contains(line, "arm64") || strings.Contains(line, "frames") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Fatalf("on arm64: %v\n%s", err, said)
	}
}
