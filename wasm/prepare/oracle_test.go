package prepare

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// countEach meters a module in the plainest way there is: it takes fuel before each single instruction, from a global.
// It is what the rewriter's counts are held against.
func countEach(t testing.TB, original []byte) []byte {
	t.Helper()
	m := readModule(original)
	checkBodies(m, Options{})
	code := appendU32(nil, uint32(len(m.bodies)))
	for i, b := range m.bodies {
		d := decoder{reader: reader{section: "code", all: original[:b.end], pos: b.start}}
		var l locals
		l.read(m.funcType(uint32(m.importedFuncs+i)).params, &d.reader)
		length := uint32(l.count())
		body := l.appendDeclared(nil, []valType{i32})
		for !d.done() {
			d.next()
			if bulk(d.op) {
				body = takeLength(body, m, d.op, length)
			}
			if fuelOf(d.op) > 0 {
				body = appendSigned(append(appendU32(append(body, opGlobalGet), m.fuelGlobal()), opI64Const), 1)
				body = appendU32(append(body, opI64Sub, opGlobalSet), m.fuelGlobal())
			}
			body = appendInstr(body, &d.instr)
		}
		code = append(appendU32(code, uint32(len(body))), body...)
	}
	return assemble(m, code)
}

// takeLength takes what a bulk operation costs for the length on the stack.
func takeLength(b []byte, m *module, o opcode, local uint32) []byte {
	b = appendU32(append(appendU32(append(b, opLocalTee), local), opGlobalGet), m.fuelGlobal())
	b = append(appendU32(append(b, opLocalGet), local), opI64ExtendU, opI64Const)
	if o == opMemoryGrow {
		b = append(b, 10, opI64Shl)
	} else {
		b = append(b, 3, opI64ShrU)
	}
	return appendU32(append(b, opI64Sub, opGlobalSet), m.fuelGlobal())
}

// goGuest builds the Go program of testdata/guest.
func goGuest(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-o", out, filepath.Join("testdata", "guest", "main.go"))
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the guest: %v\n%s", err, said)
	}
	return readFile(t, out)
}

// TestFuelIsTheNumberOfInstructions holds the fuel of whole programs against a count of each single instruction.
func TestFuelIsTheNumberOfInstructions(t *testing.T) {
	if testing.Short() {
		t.Skip("counting each instruction takes seconds")
	}
	programs := append(kernels(t), kernel{"go", goGuest(t)})
	for _, k := range programs {
		t.Run(k.name, func(t *testing.T) {
			want := compile(t, compiler, countEach(t, k.wasm)).run(t, budget)
			for _, o := range []Options{{}, {NaN: Eager, LowerRemainders: true}} {
				got := compile(t, compiler, mustPrepare(t, k.wasm, o)).run(t, budget)
				if got.fuel != want.fuel || got.ended != want.ended {
					t.Errorf("%+v: %d fuel, %s; counted singly %d, %s", o, got.fuel, got.ended, want.fuel, want.ended)
				}
			}
			t.Logf("%d instructions", want.fuel)
		})
	}
}
