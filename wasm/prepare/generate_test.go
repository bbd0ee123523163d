package prepare

import "encoding/binary"

// generator makes valid modules out of arbitrary bytes: each choice takes a byte, and when there are none left, the
// simplest thing is chosen. So a fuzzer that changes bytes changes programs.
type generator struct {
	src      []byte
	floats   bool // use floats and vectors
	types    []funcType
	funcs    []uint32 // type of each function
	globals  []valType
	code     []byte
	self     int // the function being made
	locals   []valType
	labels   []types // what a branch to each open block takes
	budget   int     // instructions that may still be made
	byResult map[valType][]opcode
	stores   []opcode
}

func generate(src []byte, floats bool) []byte {
	g := &generator{src: src, floats: floats, globals: []valType{i32, i64, f32, f64, v128}, byResult: map[valType][]opcode{}}
	for o := range table {
		t := &table[o]
		switch {
		case !t.known || t.imm == immSpecial || t.imm == immIndex || t.imm == immIndices || bulk(opcode(o)) && opcode(o) != opMemoryGrow:
		case !floats && (usesFloats(t.in) || usesFloats(t.out)):
		case len(t.out) == 0:
			g.stores = append(g.stores, opcode(o))
		default:
			g.byResult[valType(t.out[0])] = append(g.byResult[valType(t.out[0])], opcode(o))
		}
	}
	return g.module()
}

func usesFloats(t types) bool {
	for _, v := range []byte(t) {
		if valType(v) == f32 || valType(v) == f64 || valType(v) == v128 {
			return true
		}
	}
	return false
}

// choose gives a number below n.
func (g *generator) choose(n int) int {
	if len(g.src) == 0 || n <= 1 {
		return 0
	}
	b := g.src[0]
	g.src = g.src[1:]
	return int(b) % n
}

func (g *generator) typ() valType {
	if !g.floats {
		return []valType{i32, i64}[g.choose(2)]
	}
	return []valType{f64, i32, f32, i64, v128}[g.choose(5)]
}

func (g *generator) typeList(most int) types {
	var t []byte
	for range g.choose(most + 1) {
		t = append(t, byte(g.typ()))
	}
	return types(t)
}

func (g *generator) module() []byte {
	g.types = []funcType{{}}
	for range 1 + g.choose(3) {
		g.types = append(g.types, funcType{g.typeList(3), g.typeList(2)})
	}
	for range 1 + g.choose(3) {
		g.funcs = append(g.funcs, uint32(g.choose(len(g.types))))
	}
	m := &module{types: g.types, funcs: g.funcs, memories: []limits{{min: 1, max: 2, bounded: true}},
		tables: []tableType{{elem: funcref, limits: limits{min: 4}}}}
	segment := elemSegment{offset: constExpr{opI32Const, 0, opEnd}, typ: funcref}
	code := appendU32(nil, uint32(len(g.funcs)))
	for i := range g.funcs {
		b := g.body(i)
		code = append(appendU32(code, uint32(len(b))), b...)
		m.exports = append(m.exports, exportEntry{string(rune('a' + i)), kindFunc, uint32(i)})
		if g.choose(2) == 1 {
			segment.funcs = append(segment.funcs, uint32(i))
		}
		m.bodies = append(m.bodies, body{})
	}
	m.exports = append(m.exports, exportEntry{"memory", kindMemory, 0})
	m.elems = []elemSegment{segment}
	for _, t := range g.globals {
		m.globals = append(m.globals, globalType{t, true})
		m.inits = append(m.inits, append(zero(t), opEnd))
	}
	return assemblePlain(m, code)
}

func zero(t valType) []byte {
	switch t {
	case i32:
		return []byte{opI32Const, 0}
	case i64:
		return []byte{opI64Const, 0}
	case f32:
		return append([]byte{opF32Const}, make([]byte, 4)...)
	case f64:
		return append([]byte{opF64Const}, make([]byte, 8)...)
	}
	return append(appendOp(nil, opV128Const), make([]byte, 16)...)
}

// assemblePlain writes a module as it is, without the globals and exports that a prepared one has.
func assemblePlain(m *module, code []byte) []byte {
	out := append([]byte{}, magic...)
	out = appendVector(out, sectionType, m.types, func(b []byte, t funcType) []byte {
		return appendName(appendName(append(b, 0x60), t.params), t.results)
	})
	out = appendVector(out, sectionFunction, m.funcs, appendU32)
	out = appendVector(out, sectionTable, m.tables, appendTable)
	out = appendVector(out, sectionMemory, m.memories, appendLimits)
	globals := appendU32(nil, uint32(len(m.globals)))
	for i, t := range m.globals {
		globals = append(appendGlobalType(globals, t), m.inits[i]...)
	}
	out = appendSection(out, sectionGlobal, globals)
	out = appendVector(out, sectionExport, m.exports, func(b []byte, e exportEntry) []byte {
		return appendU32(append(appendName(b, e.name), e.kind), e.index)
	})
	if m.hasStart {
		out = appendSection(out, sectionStart, appendU32(nil, m.start))
	}
	out = appendVector(out, sectionElement, m.elems, appendElement)
	return appendSection(out, sectionCode, code)
}

func (g *generator) body(self int) []byte {
	t := g.types[g.funcs[self]]
	g.self, g.code, g.budget = self, nil, 120
	g.locals = []valType(t.params)
	declared := []valType{i32, i64, f32, f64, v128}
	g.locals = append(g.locals, declared...)
	g.labels = []types{t.results}
	for range g.choose(8) {
		g.statement(4)
	}
	for _, r := range []byte(t.results) {
		g.value(valType(r), 4)
	}
	return append(append(appendGroups(declared), g.code...), opEnd)
}

func appendGroups(declared []valType) []byte {
	b := appendU32(nil, uint32(len(declared)))
	for _, t := range declared {
		b = append(b, 1, byte(t))
	}
	return b
}

func (g *generator) op(o opcode, immediates ...uint32) {
	g.code = appendOp(g.code, o)
	for _, i := range immediates {
		g.code = appendU32(g.code, i)
	}
}

// statement writes something that leaves the stack as it was.
func (g *generator) statement(depth int) {
	g.budget--
	if depth == 0 || g.budget < 0 {
		return
	}
	switch g.choose(9) {
	case 0, 1:
		l := g.choose(len(g.locals))
		g.value(g.locals[l], depth-1)
		g.op(opLocalSet, uint32(l))
	case 2, 3, 4:
		g.plain(g.stores[g.choose(len(g.stores))], depth)
	case 5:
		n := g.choose(len(g.globals))
		g.value(g.globals[n], depth-1)
		g.op(opGlobalSet, uint32(n))
	case 6:
		g.block([]opcode{opBlock, opLoop, opIf}[g.choose(3)], 0, depth)
	case 7:
		g.branch(depth)
	case 8:
		g.value(g.typ(), depth-1)
		g.op(opDrop)
	}
}

// block writes a block that gives a value of the type, if one is asked for.
func (g *generator) block(o opcode, result valType, depth int) {
	typ, label := int64(emptyBlock), types("")
	if result != 0 {
		typ = blockTypeOf(result)
		label = types([]byte{byte(result)})
	}
	if o == opIf {
		g.value(i32, depth-1)
	}
	g.code = appendSigned(appendOp(g.code, o), typ)
	if o == opLoop {
		label = ""
	}
	g.labels = append(g.labels, label)
	for arm := range 2 {
		for range g.choose(4) {
			g.statement(depth - 1)
		}
		if result != 0 {
			g.value(result, depth-1)
		}
		if o != opIf || arm == 1 || result == 0 && g.choose(2) == 0 {
			break
		}
		g.op(opElse)
	}
	g.labels = g.labels[:len(g.labels)-1]
	g.op(opEnd)
}

// branch writes a branch out of any block, with operands where they are due: a conditional one, or another in an if,
// perhaps with code behind it that cannot be reached.
func (g *generator) branch(depth int) {
	label := g.choose(len(g.labels))
	t := g.labels[len(g.labels)-1-label]
	kind := g.choose(4)
	if kind == 0 {
		g.values(t, depth)
		g.value(i32, depth-1)
		g.op(opBrIf, uint32(label))
		for range t {
			g.op(opDrop)
		}
		return
	}
	g.value(i32, depth-1)
	g.code = append(g.code, opIf, 0x40)
	g.labels = append(g.labels, "")
	switch kind {
	case 1:
		g.values(t, depth)
		g.op(opBr, uint32(label+1))
	case 2:
		g.values(g.labels[0], depth)
		g.op(opReturn)
	case 3:
		g.values(t, depth)
		g.value(i32, depth-1)
		g.op(opBrTable, 1, uint32(label+1), uint32(label+1))
	}
	if g.choose(2) == 1 {
		g.statement(depth - 1)
	}
	g.labels = g.labels[:len(g.labels)-1]
	g.op(opEnd)
}

func (g *generator) values(t types, depth int) {
	for _, v := range []byte(t) {
		g.value(valType(v), depth-1)
	}
}

// value writes something that leaves one value of the type.
func (g *generator) value(t valType, depth int) {
	g.budget--
	if depth <= 0 || g.budget < 0 {
		g.leaf(t)
		return
	}
	switch g.choose(10) {
	case 0:
		g.leaf(t)
	case 1:
		g.block([]opcode{opBlock, opLoop, opIf}[g.choose(3)], t, depth)
	case 2:
		g.value(t, depth-1)
		g.value(t, depth-1)
		g.value(i32, depth-1)
		g.code = append(appendOp(g.code, opSelectTyped), 1, byte(t))
	case 3:
		g.call(t, depth)
	case 4:
		for i, l := range g.locals {
			if l == t {
				g.value(t, depth-1)
				g.op(opLocalTee, uint32(i))
				return
			}
		}
		g.leaf(t)
	default:
		if ops := g.byResult[t]; len(ops) > 0 {
			g.plain(ops[g.choose(len(ops))], depth)
			return
		}
		g.leaf(t)
	}
}

// call writes a call, direct or not, that gives the type first, and drops what else it gives.
func (g *generator) call(t valType, depth int) {
	for i, f := range g.funcs {
		typ := g.types[f]
		if len(typ.results) == 0 || valType(typ.results[0]) != t || g.choose(2) == 1 && i+1 < len(g.funcs) {
			continue
		}
		for _, p := range []byte(typ.params) {
			g.value(valType(p), depth-1)
		}
		if g.choose(3) == 2 {
			g.value(i32, depth-1)
			g.op(opCallIndirect, f, 0)
		} else {
			g.op(opCall, uint32(i))
		}
		for range len(typ.results) - 1 {
			g.op(opDrop)
		}
		return
	}
	g.leaf(t)
}

// plain writes an instruction of the table and its operands. Addresses are kept small.
func (g *generator) plain(o opcode, depth int) {
	t := &table[o]
	for i, v := range []byte(t.in) {
		if i == 0 && (t.imm == immMem || t.imm == immMemLane) {
			g.code = appendSigned(appendOp(g.code, opI32Const), int64(g.choose(40)))
			continue
		}
		g.value(valType(v), depth-1)
	}
	d := instr{op: o, b: uint32(g.choose(9)), num: 0}
	if t.lanes > 0 {
		d.num = int64(g.choose(int(t.lanes)))
	}
	if t.imm == immShuffle {
		for range 16 {
			d.raw = append(d.raw, byte(g.choose(32)))
		}
	}
	g.code = appendInstr(g.code, &d)
}

// NaNs with payloads, signalling and not, of either sign, and what makes NaNs.
var (
	oddF64 = []uint64{0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0xfff4000000000123, 0x7ff8deadbeef0000,
		0x7ff0000000000000, 0xfff0000000000000, 0, 1 << 63, 0x3ff0000000000000, 0xbff8000000000000, 0x43e0000000000000,
		0x41f0000000000000, 0xc1e0000000200000, 1, 0x000fffffffffffff, 0x7fefffffffffffff, 0x3fe0000000000000, 0x4008000000000000}
	oddF32 = []uint32{0x7fc00000, 0xffc00000, 0x7f800001, 0xffa00123, 0x7fdeadbe, 0x7f800000, 0xff800000, 0, 1 << 31,
		0x3f800000, 0xbfc00000, 0x4f000000, 0x5f000000, 0xcf000001, 1, 0x007fffff, 0x7f7fffff, 0x3f000000, 0x40400000}
	oddI64 = []uint64{0, 1, 2, 3, 7, 31, 32, 63, 64, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, ^uint64(0), ^uint64(1), 0x0123456789abcdef}
)

// leaf writes a local, a global or a constant.
func (g *generator) leaf(t valType) {
	switch g.choose(3) {
	case 0:
		for i, l := range g.locals {
			if l == t && g.choose(3) != 2 {
				g.op(opLocalGet, uint32(i))
				return
			}
		}
	case 1:
		for i, l := range g.globals {
			if l == t {
				g.op(opGlobalGet, uint32(i))
				return
			}
		}
	}
	switch t {
	case i32:
		g.code = appendSigned(appendOp(g.code, opI32Const), int64(int32(oddI64[g.choose(len(oddI64))])))
	case i64:
		g.code = appendSigned(appendOp(g.code, opI64Const), int64(oddI64[g.choose(len(oddI64))]))
	case f32:
		g.code = binary.LittleEndian.AppendUint32(appendOp(g.code, opF32Const), oddF32[g.choose(len(oddF32))])
	case f64:
		g.code = binary.LittleEndian.AppendUint64(appendOp(g.code, opF64Const), oddF64[g.choose(len(oddF64))])
	default:
		g.code = appendOp(g.code, opV128Const)
		for range 2 {
			g.code = binary.LittleEndian.AppendUint64(g.code, oddF64[g.choose(len(oddF64))])
		}
	}
}
