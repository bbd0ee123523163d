package wasm_test

// Hand-assembled modules, small enough to read.

// section is a section of a module.
func section(id byte, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	return append(append([]byte{id}, leb(uint64(len(all)))...), all...)
}

// leb is an unsigned LEB128 number.
func leb(v uint64) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// list is a count and the things counted.
func list(items ...[]byte) []byte {
	b := leb(uint64(len(items)))
	for _, i := range items {
		b = append(b, i...)
	}
	return b
}

// text is a name.
func text(s string) []byte { return append(leb(uint64(len(s))), s...) }

// body is a function's code: locals are given as they are encoded.
func body(locals []byte, code ...byte) []byte {
	b := append(append(append([]byte{}, locals...), code...), 0x0b)
	return append(leb(uint64(len(b))), b...)
}

var noLocals = []byte{0}

func assemble(sections ...[]byte) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		m = append(m, s...)
	}
	return m
}

// commandModule is a module whose _start is the given code, with a memory of one page.
func commandModule(code ...byte) []byte {
	return assemble(
		section(1, list([]byte{0x60, 0, 0})),
		section(3, list([]byte{0})),
		section(5, list([]byte{0, 1})),
		section(7, list(append(text("_start"), 0, 0), append(text("memory"), 2, 0))),
		section(10, list(body(noLocals, code...))),
	)
}
