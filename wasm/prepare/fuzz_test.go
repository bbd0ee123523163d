package prepare

import (
	"errors"
	"strings"
	"testing"
)

// everyOptions is each rewrite there is.
var everyOptions = []Options{{}, {NaN: Eager}, {LowerRemainders: true}, {NaN: Eager, LowerRemainders: true}}

// checkModule checks what holds for any bytes: they are refused with a place and a reason, or what becomes of them is a
// valid module, as wazero has it, and always the same. Wazero does not see the original: a few bytes of a name section
// make it allocate 60 GB, and opcodes in long form confuse it.
func checkModule(t testing.TB, original []byte) {
	t.Helper()
	for _, o := range everyOptions {
		prepared, err := Module(original, o)
		if err != nil {
			if r := (*Refused)(nil); !errors.As(err, &r) || r.Offset < 0 || r.Offset > len(original) || r.Reason == "" {
				t.Fatalf("refused without place or reason: %v", err)
			}
			return
		}
		if err := valid(prepared); err != nil && !wazeroLimit(err) {
			t.Fatalf("%+v: prepared module is not valid: %v", o, err)
		}
		again, err := Module(original, o)
		if err != nil || string(again) != string(prepared) {
			t.Fatalf("%+v: prepared twice, with different outcomes", o)
		}
	}
}

// wazeroLimit tells whether wazero refuses a valid module for a limit of its own.
func wazeroLimit(err error) bool {
	return strings.Contains(err.Error(), "limit") || strings.Contains(err.Error(), "has an empty module name")
}

// TestSameModulesAsWazero holds the validator against wazero's, over every binary of the WebAssembly test suite, which
// has thousands of invalid ones.
func TestSameModulesAsWazero(t *testing.T) {
	accepted, refused, stricter := 0, 0, 0
	for name, wasm := range specModules(t) {
		_, ours := Module(wasm, Options{})
		theirs := valid(wasm)
		if ours != nil && theirs == nil && strings.Contains(ours.Error(), "reads a mutable global") {
			stricter++ // the suite says they are invalid; wazero finds it when it instantiates them
		} else if (ours == nil) != (theirs == nil) {
			t.Errorf("%s: %v, wazero: %v", name, ours, theirs)
		}
		if ours == nil {
			accepted++
		} else {
			refused++
		}
	}
	t.Logf("%d modules accepted, %d refused, %d of them by us alone", accepted, refused, stricter)
}

func FuzzModule(f *testing.F) {
	for _, wasm := range specModules(f) {
		if len(wasm) < 1<<10 {
			f.Add(wasm)
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) { checkModule(t, wasm) })
}

func FuzzPrograms(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomBytes(seed, 300))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) < 1<<12 {
			checkPrograms(t, src)
		}
	})
}
