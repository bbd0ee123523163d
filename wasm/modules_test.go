package wasm_test

import (
	"bytes"

	"github.com/shoalgrid/shoal/wasm"
)

// Hand-assembled modules, small enough to read.

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// section is a section of a module.
func section(id byte, content ...[]byte) []byte {
	all := join(content...)
	return join([]byte{id}, leb(uint64(len(all))), all)
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
func list(items ...[]byte) []byte { return join(leb(uint64(len(items))), join(items...)) }

// text is a name.
func text(s string) []byte { return join(leb(uint64(len(s))), []byte(s)) }

// Some instructions, and the types i32, i64.
const (
	unreachable = 0x00
	block       = 0x02
	loop        = 0x03
	ifElse      = 0x04
	end         = 0x0b
	br          = 0x0c
	brIf        = 0x0d
	call        = 0x10
	drop        = 0x1a
	localGet    = 0x20
	localSet    = 0x21
	localTee    = 0x22
	globalGet   = 0x23
	globalSet   = 0x24
	i32Load     = 0x28
	i64Load     = 0x29
	i32Store    = 0x36
	memoryGrow  = 0x40
	noResult    = 0x40
	i32Const    = 0x41
	i32Eqz      = 0x45
	i32Eq       = 0x46
	i32LtU      = 0x49
	i64Eqz      = 0x50
	i32Add      = 0x6a
	i32         = 0x7f
	i64         = 0x7e
	refNull     = 0xd0
	funcRef     = 0x70
	bulk        = 0xfc
)

// constant is an i32.const.
func constant(v int32) []byte {
	b := []byte{i32Const}
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// command is a module to be assembled: a _start, and what it needs.
type command struct {
	imports []imported // functions of WASI, numbered from 0
	locals  int        // of type i32
	code    []byte     // of _start
	pages   int        // of memory; 0 is 1
	data    string     // at address 0
	table   int        // elements; 0 is no table
	metered bool       // to be run in the default profile, not as it is
	starts  bool       // code is the module's start function, and _start does nothing
}

type imported struct {
	name    string
	params  []byte
	results []byte
}

// The functions of WASI that the modules use.
var (
	procExit     = imported{"proc_exit", []byte{i32}, nil}
	fdWrite      = imported{"fd_write", []byte{i32, i32, i32, i32}, []byte{i32}}
	fdRenumber   = imported{"fd_renumber", []byte{i32, i32}, []byte{i32}}
	pathOpen     = imported{"path_open", []byte{i32, i32, i32, i32, i32, i64, i64, i32, i32}, []byte{i32}}
	argsSizesGet = imported{"args_sizes_get", []byte{i32, i32}, []byte{i32}}
	randomGet    = imported{"random_get", []byte{i32, i32}, []byte{i32}}
	pollOneoff   = imported{"poll_oneoff", []byte{i32, i32, i32, i32}, []byte{i32}}
)

func (c command) profile() uint8 {
	if c.metered {
		return wasm.DefaultProfile
	}
	return 0
}

func (c command) assemble() []byte {
	types, imports := [][]byte{{0x60, 0, 0}}, [][]byte{}
	for i, f := range c.imports {
		types = append(types, join([]byte{0x60}, leb(uint64(len(f.params))), f.params, leb(uint64(len(f.results))), f.results))
		imports = append(imports, join(text("wasi_snapshot_preview1"), text(f.name), []byte{0, byte(i + 1)}))
	}
	body := join([]byte{1}, leb(uint64(c.locals)), []byte{i32}, c.code, []byte{end})
	var tables []byte
	if c.table > 0 {
		tables = section(4, list(join([]byte{funcRef, 0}, leb(uint64(c.table)))))
	}
	first := byte(len(c.imports))
	functions, bodies, export, start := [][]byte{{0}}, [][]byte{join(leb(uint64(len(body))), body)}, first, []byte(nil)
	if c.starts {
		functions, bodies = append(functions, []byte{0}), append(bodies, []byte{2, 0, end})
		export, start = first+1, section(8, []byte{first})
	}
	return join([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, list(types...)),
		section(2, list(imports...)),
		section(3, list(functions...)),
		tables,
		section(5, list(join([]byte{0}, leb(uint64(max(c.pages, 1)))))),
		section(6, list([]byte{i32, 1, i32Const, 0, end})), // one global, a variable
		section(7, list(join(text("_start"), []byte{0, export}), join(text("code"), []byte{0, first}), join(text("memory"), []byte{2, 0}))),
		start,
		section(10, list(bodies...)),
		section(11, list(join([]byte{0, i32Const, 0, end}, text(c.data)))),
	)
}

// spinning computes for ever.
func spinning() []byte { return command{code: []byte{loop, noResult, br, 0, end}}.assemble() }

// recursing calls itself so many times.
func recursing(times int32) []byte {
	return command{code: join([]byte{globalGet, 0}, constant(1), []byte{i32Add, globalSet, 0, globalGet, 0}, constant(times), []byte{i32LtU, ifElse, noResult, call, 0, end})}.assemble()
}

// leaving marks every byte, global and page that it can reach. Before, it traps when it
// finds a mark. Its end depends on the number of its arguments: return, trap or exit.
func leaving(starts bool) []byte {
	const pages, size = 4, 4 << 16
	fill := func(from, n []byte) []byte { return join(from, constant(0xaa), n, []byte{bulk, 11, 0}) }
	unless := func(condition []byte) []byte { return join(condition, []byte{ifElse, noResult, unreachable, end}) }
	return command{
		imports: []imported{argsSizesGet, procExit}, starts: starts, locals: 1, pages: pages, table: 2,
		code: join(
			[]byte{loop, noResult},
			unless([]byte{localGet, 0, i64Load, 3, 0, i64Eqz, i32Eqz}),
			[]byte{localGet, 0}, constant(8), []byte{i32Add, localTee, 0}, constant(size), []byte{i32LtU, brIf, 0, end},
			unless([]byte{globalGet, 0}),
			unless(join(constant(0), []byte{0x25, 0, 0xd1, i32Eqz})), // table.get, ref.is_null
			constant(1), []byte{globalSet, 0},
			constant(0), []byte{0xd2, 2, 0x26, 0}, // ref.func _start, table.set
			fill(constant(0), constant(size)),
			unless(join(constant(10), []byte{memoryGrow, 0}, constant(pages), []byte{i32Eq, i32Eqz})),
			unless(join(constant(size+9<<16), []byte{i64Load, 3, 0, i64Eqz, i32Eqz})),
			fill(constant(size), constant(10<<16)),
			constant(0), constant(4), []byte{call, 0, drop},
			unless(join(constant(0), []byte{i32Load, 2, 0}, constant(2), []byte{i32Eq})),
			join(constant(0), []byte{i32Load, 2, 0}, constant(3), []byte{i32Eq, ifElse, noResult}, constant(5), []byte{call, 1, end}),
		),
	}.assemble()
}
