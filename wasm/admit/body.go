package admit

import "math"

// body is the code of one function, as far as its cost to the compiler goes.
type body struct {
	*module
	number   int
	branches uint64
	width    uint64 // values that a branch takes along at most, as the types of blocks say
	passed   uint64 // values that calls take and give
	targets  uint64
	depth    int // of the blocks around the current instruction
}

// body walks over the code of a function.
func (m *module) body(index int) {
	typ := m.types[m.funcs[index]]
	b := body{module: m, number: index, depth: 1, width: uint64(typ.results)}
	locals := uint64(typ.params)
	for n := m.u32(); n > 0; n-- {
		locals += uint64(m.u32())
		if locals > MaxLocals {
			refuse("function %d has more than %d local variables", index, MaxLocals)
		}
		m.valueType()
	}
	for b.depth > 0 {
		b.instruction()
	}
	c := cost(locals+b.width, b.branches, b.passed)
	if c > MaxFunctionCost {
		refuse("function %d is too costly to compile: %d local variables, %d branches, %d values passed in calls", index, locals, b.branches, b.passed)
	}
	if m.cost += c; m.cost > MaxModuleCost {
		refuse("too costly to compile: too many branches in too many functions")
	}
}

// instruction passes over one instruction.
func (b *body) instruction() {
	op := b.byte()
	switch operands[op] {
	case none:
	case index:
		b.u32()
	case callee:
		function := b.u32()
		if uint64(function) >= uint64(len(b.funcs)) {
			refuse("malformed: function %d calls function %d of %d", b.number, function, len(b.funcs))
		}
		b.passed += b.values(b.funcs[function])
	case calleeType:
		b.passed += b.values(b.u32())
		b.u32()
	case block:
		b.blockType()
		b.branches++
		b.depth++
	case branch:
		b.branches++
	case branchTo:
		b.branches++
		b.u32()
	case end:
		b.depth--
	case table:
		b.table()
	case number32:
		b.signed(32)
	case number64:
		b.signed(64)
	case float32s:
		b.skip(4)
	case float64s:
		b.skip(8)
	case address:
		b.address()
	case reserved:
		b.zero()
	case types:
		b.each("types of a select", 1, b.valueType)
	case reference:
		b.valueType()
	case numeric:
		b.numeric()
	case vector:
		b.vector()
	default:
		refuse("function %d uses an instruction (0x%02x) that the grid does not take", b.number, op)
	}
}

// blockType passes over the type of a block: none, one value, or the number of a type.
func (b *body) blockType() {
	if v := b.signed(33); v >= 0 {
		b.width = max(b.width, b.values(uint32(min(v, math.MaxUint32))))
	}
}

// values is how many parameters and results a type has.
func (b *body) values(typ uint32) uint64 {
	if uint64(typ) >= uint64(len(b.types)) {
		refuse("malformed: function %d uses type %d of %d", b.number, typ, len(b.types))
	}
	return uint64(b.types[typ].params + b.types[typ].results)
}

// table passes over the targets of a br_table.
func (b *body) table() {
	b.branches++
	n := b.count("targets of one table", MaxTargets)
	if b.targets += uint64(n); b.targets > MaxTargets {
		refuse("function %d has more than %d targets in tables", b.number, MaxTargets)
	}
	for ; n > 0; n-- {
		b.u32()
	}
	b.u32() // the default
}

// address passes over the alignment and offset of a load or store.
func (b *body) address() {
	if align := b.u32(); align > 4 {
		refuse("function %d has a load or store of unknown form (0x%x)", b.number, align)
	}
	b.u32()
}

func (b *body) zero() {
	if b.byte() != 0 {
		refuse("function %d uses several memories, which the grid does not offer", b.number)
	}
}

// numeric passes over what follows a 0xfc: conversions, and operations in bulk.
func (b *body) numeric() {
	switch op := b.code(); {
	case op <= 7: // i32.trunc_sat_f32_s … i64.trunc_sat_f64_u
	case op == 8: // memory.init
		b.u32()
		b.zero()
	case op == 9, op == 13, op >= 15 && op <= 17: // data.drop, elem.drop, table.grow, table.size, table.fill
		b.u32()
	case op == 10: // memory.copy
		b.zero()
		b.zero()
	case op == 11: // memory.fill
		b.zero()
	case op == 12, op == 14: // table.init, table.copy
		b.u32()
		b.u32()
	default:
		refuse("function %d uses an instruction (0xfc 0x%02x) that the grid does not take", b.number, op)
	}
}

// vector passes over what follows a 0xfd.
func (b *body) vector() {
	op := b.code()
	switch {
	case op <= 11, op == 92, op == 93: // loads and the store
		b.address()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		b.skip(16)
	case op >= 21 && op <= 34: // lanes
		b.byte()
	case op >= 84 && op <= 91: // loads and stores of a lane
		b.address()
		b.byte()
	case op > 255 || notVector(op):
		refuse("function %d uses a vector instruction (0xfd 0x%02x) that the grid does not take", b.number, op)
	}
}

// code reads the number of an instruction behind a prefix. A number that is longer than it
// needs to be is refused: wazero reads one byte, and would see other instructions.
func (b *body) code() uint32 {
	before := b.pos()
	op := b.u32()
	if op < 0x80 && b.pos()-before > 1 || b.pos()-before > 2 {
		refuse("function %d has an instruction written in a longer form than needed", b.number)
	}
	return op
}

// notVector reports the gaps in the numbers of vector instructions.
func notVector(op uint32) bool {
	switch op {
	case 154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238:
		return true
	}
	return false
}

// What follows an instruction's first byte.
type operand uint8

const (
	unknown operand = iota
	none
	index
	callee
	calleeType
	block
	branch
	branchTo
	end
	table
	number32
	number64
	float32s
	float64s
	address
	reserved
	types
	reference
	numeric
	vector
)

// operands are the instructions of WebAssembly 2.0.
var operands = func() (t [256]operand) {
	fill := func(o operand, from, to int) {
		for i := from; i <= to; i++ {
			t[i] = o
		}
	}
	fill(none, 0x00, 0x01)       // unreachable, nop
	fill(block, 0x02, 0x04)      // block, loop, if
	fill(branch, 0x05, 0x05)     // else
	fill(end, 0x0b, 0x0b)        // end
	fill(branchTo, 0x0c, 0x0d)   // br, br_if
	fill(table, 0x0e, 0x0e)      // br_table
	fill(branch, 0x0f, 0x0f)     // return
	fill(callee, 0x10, 0x10)     // call
	fill(calleeType, 0x11, 0x11) // call_indirect
	fill(none, 0x1a, 0x1b)       // drop, select
	fill(types, 0x1c, 0x1c)      // select t
	fill(index, 0x20, 0x26)      // local.get … table.set
	fill(address, 0x28, 0x3e)    // loads and stores
	fill(reserved, 0x3f, 0x40)   // memory.size, memory.grow
	fill(number32, 0x41, 0x41)   // i32.const
	fill(number64, 0x42, 0x42)   // i64.const
	fill(float32s, 0x43, 0x43)   // f32.const
	fill(float64s, 0x44, 0x44)   // f64.const
	fill(none, 0x45, 0xc4)       // i32.eqz … i64.extend32_s
	fill(reference, 0xd0, 0xd0)  // ref.null
	fill(none, 0xd1, 0xd1)       // ref.is_null
	fill(index, 0xd2, 0xd2)      // ref.func
	fill(numeric, 0xfc, 0xfc)
	fill(vector, 0xfd, 0xfd)
	return t
}()
