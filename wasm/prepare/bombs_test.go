package prepare

import (
	"runtime"
	"slices"
	"testing"
)

// TestBombs gives modules that claim or nest far more than they are long. Preparing them, or refusing to, takes memory
// in proportion to their length only.
func TestBombs(t *testing.T) {
	const claimed = "\xff\xff\xff\xff\x0f" // 2^32-1
	void := []funcType{{}}
	one := func(body []byte) []byte { return encode(small(void, nil), body) }
	nested := func(o byte, n int) []byte {
		return one(slices.Concat(slices.Repeat([]byte{o, 0x40}, n), slices.Repeat([]byte{opEnd}, n)))
	}
	manyLocals := func(functions int) []byte {
		m := small(void, slices.Repeat([][]byte{nil}, 1)...)
		body := append(append([]byte{1}, appendU32(nil, maxLocals)...), byte(f64), opEnd)
		code := appendU32(nil, uint32(functions))
		m.funcs = nil
		for range functions {
			m.funcs = append(m.funcs, 0)
			code = append(appendU32(code, uint32(len(body))), body...)
		}
		return assemblePlain(m, code)
	}
	section := func(id byte, content string) []byte { return appendSection([]byte(magic), id, []byte(content)) }
	table := append([]byte{opBlock, 0x40, opI32Const, 0, opBrTable}, appendU32(nil, 1_000_000)...)
	table = append(append(table, make([]byte, 1_000_001)...), opEnd)
	tests := []struct {
		name    string
		wasm    []byte
		refused bool
	}{
		{"claimed types", section(sectionType, claimed), true},
		{"claimed parameters", section(sectionType, "\x01\x60"+claimed), true},
		{"claimed imports", section(sectionImport, claimed), true},
		{"claimed functions", section(sectionFunction, claimed), true},
		{"claimed exports", section(sectionExport, claimed), true},
		{"claimed elements", section(sectionElement, claimed), true},
		{"claimed data", section(sectionData, claimed), true},
		{"claimed data count", section(sectionDataCount, claimed), true},
		{"claimed bodies", section(sectionCode, claimed), true},
		{"claimed names", section(sectionCustom, "\x04name\x01\x05"+claimed), false},
		{"claimed locals", slices.Concat(section(sectionType, "\x01\x60\x00\x00"), appendSection(nil, sectionFunction, []byte{1, 0}),
			appendSection(nil, sectionCode, []byte("\x01\x08\x01"+claimed+"\x7f\x0b"))), true},
		{"claimed labels", one(append([]byte{opI32Const, 0, opBrTable}, claimed...)), true},
		{"locals of many functions", manyLocals(10_000), false},
		{"nested blocks", nested(opBlock, 200_000), false},
		{"nested loops", nested(opLoop, 200_000), false},
		{"branch table", one(table), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Module(test.wasm, Options{})
			runtime.ReadMemStats(&after)
			if refused := err != nil; refused != test.refused {
				t.Errorf("refused: %v", err)
			}
			took := after.TotalAlloc - before.TotalAlloc
			if limit := uint64(1<<20 + 200*len(test.wasm)); took > limit {
				t.Errorf("%d bytes of module took %d bytes of memory, of at most %d", len(test.wasm), took, limit)
			}
			t.Logf("%d bytes, %d allocated: %v", len(test.wasm), took, err)
		})
	}
}
