package prepare

import (
	"math/bits"
	"slices"
)

// block is an open block of the function being written.
type block struct {
	op       opcode
	branched bool // its end is reached from elsewhere than the instruction before
	takes    int  // values that a branch to it takes along
}

// rewriter writes one function body after another. Code that cannot be reached is left out.
type rewriter struct {
	decoder
	m       *module
	o       Options
	plan    *plan
	locals  locals
	code    []byte
	blocks  []block
	number  uint32 // of the instruction in the original body
	pending int64  // fuel of the instructions written since fuel was last counted
	dead    bool   // this cannot be reached
	skipped int    // blocks opened since it was dead
	wrapped bool   // the body is a block of its own, which returns leave
	fuel    uint32 // the local that holds the fuel
	stores  []store
	temps   temps
}

// use says what a local that the original does not have is for.
type use uint8

const (
	stackBefore use = iota // the stack that was left when the function was entered
	operand                // of the instruction being written
	secondOperand
	waiting // address and value of the first store that waits for a check; the others follow
)

// temp is such a local.
type temp struct {
	typ valType
	use use
}

// temps are the locals that a rewritten body uses besides its own and the fuel, numbered as they are first needed.
type temps struct {
	first uint32
	all   []temp
}

func (t *temps) local(typ valType, u use) uint32 {
	n := slices.Index(t.all, temp{typ, u})
	if n < 0 {
		n = len(t.all)
		t.all = append(t.all, temp{typ, u})
	}
	return t.first + uint32(n)
}

func (w *rewriter) emit(o opcode)                 { w.code = appendOp(w.code, o) }
func (w *rewriter) emitIndex(o opcode, n uint32)  { w.code = appendU32(appendOp(w.code, o), n) }
func (w *rewriter) emitConst(o opcode, v int64)   { w.code = appendSigned(appendOp(w.code, o), v) }
func (w *rewriter) emitBytes(o opcode, b string)  { w.code = append(appendOp(w.code, o), b...) }
func (w *rewriter) emitBlock(o opcode, typ int64) { w.code = appendSigned(appendOp(w.code, o), typ) }

// rewriteBodies gives the content of the code section. It may add types to the module.
func rewriteBodies(m *module, plans []plan, o Options) []byte {
	blocks := addBlockTypes(m, plans)
	code := make([]byte, 0, len(m.original)+len(m.original)/2)
	code = appendU32(code, uint32(len(m.bodies)))
	w := &rewriter{m: m, o: o}
	for i := range m.bodies {
		typ := m.funcType(uint32(m.importedFuncs + i))
		code = w.body(code, typ, blocks[typ.results], &plans[i], m.bodies[i])
	}
	return code
}

// addBlockTypes gives, for each type, the block type of a block that leaves its results; where the format has no short
// form for one, a type is added to the module.
func addBlockTypes(m *module, plans []plan) map[types]int64 {
	blocks := map[types]int64{"": emptyBlock}
	index := make(map[funcType]int, len(m.types))
	for i, t := range m.types {
		index[t] = i
	}
	for i := range plans {
		results := m.funcType(uint32(m.importedFuncs + i)).results
		if _, known := blocks[results]; known {
			continue
		}
		if len(results) == 1 {
			blocks[results] = blockTypeOf(valType(results[0]))
			continue
		}
		t, known := index[funcType{results: results}]
		if !known {
			t = len(m.types)
			m.types = append(m.types, funcType{results: results})
		}
		blocks[results] = int64(t)
	}
	return blocks
}

// blockTypeOf is the type of a block that gives one value: the type's byte read as a signed LEB128 number.
func blockTypeOf(t valType) int64 { return int64(int8(t<<1)) >> 1 }

// body appends the rewritten body, its size before it, to out.
func (w *rewriter) body(out []byte, typ funcType, blockType int64, p *plan, b body) []byte {
	w.reader = reader{section: "code", all: w.m.original[:b.end], pos: b.start}
	w.locals.read(typ.params, &w.reader)
	w.plan, w.fuel = p, uint32(w.locals.count())
	w.temps = temps{first: w.fuel + 1, all: w.temps.all[:0]}
	w.code, w.number, w.pending, w.dead, w.skipped = w.code[:0], 0, 0, false, 0
	w.blocks = append(w.blocks[:0], block{op: opBlock, takes: len(typ.results)})
	w.enter()
	if w.wrapped = p.leavesBody; w.wrapped {
		w.emitBlock(opBlock, blockType)
	}
	for len(w.blocks) > 0 {
		w.next()
		w.instruction()
		w.number++
	}
	w.exit()

	added := []valType{i64}
	for _, t := range w.temps.all {
		added = append(added, t.typ)
	}
	header := w.locals.appendDeclared(nil, added)
	out = appendU32(out, uint32(len(header)+len(w.code)))
	return append(append(out, header...), w.code...)
}

// instruction writes what the original's next instruction becomes.
func (w *rewriter) instruction() {
	if w.dead && !w.revives() {
		return
	}
	w.pending += int64(fuelOf(w.op))
	switch w.op {
	case opNop:
	case opUnreachable:
		w.emit(opUnreachable)
		w.dead = true
	case opBlock, opLoop, opIf:
		w.open()
	case opElse:
		w.otherwise()
	case opEnd:
		w.end()
	case opBr, opBrIf, opBrTable, opReturn:
		w.branch()
	case opCall, opCallIndirect:
		w.call()
	case opI32RemS, opI32RemU, opI64RemS, opI64RemU:
		w.remainder()
	case opF32Store, opF64Store:
		w.storeFloat()
	default:
		if bulk(w.op) {
			w.chargeBulk()
		}
		w.plain()
	}
}

// revives tells whether an instruction in dead code matters: where a block ends, code may live again.
func (w *rewriter) revives() bool {
	switch w.op {
	case opBlock, opLoop, opIf:
		w.skipped++
	case opElse:
		return w.skipped == 0
	case opEnd:
		if w.skipped == 0 {
			return true
		}
		w.skipped--
	}
	return false
}

func (w *rewriter) open() {
	if w.op != opBlock {
		w.settle()
	}
	w.code = appendInstr(w.code, &w.instr)
	t := w.m.blockType(w.num)
	b := block{op: w.op, takes: len(t.results)}
	if w.op == opLoop {
		b.takes = len(t.params)
	}
	w.blocks = append(w.blocks, b)
}

func (w *rewriter) otherwise() {
	b := &w.blocks[len(w.blocks)-1]
	if !w.dead {
		w.settle()
		b.branched = true
	}
	w.emit(opElse)
	b.op, w.dead, w.pending = opElse, false, 0
}

func (w *rewriter) end() {
	b := w.blocks[len(w.blocks)-1]
	merges := b.op != opLoop && (b.branched || b.op == opIf)
	if merges && !w.dead {
		w.settle()
	}
	if merges || w.dead {
		w.pending = 0
	}
	w.dead = w.dead && !merges
	w.blocks = w.blocks[:len(w.blocks)-1]
	if len(w.blocks) == 0 {
		return // exit writes the end
	}
	w.emit(opEnd)
	if w.dead {
		w.emit(opUnreachable) // says so to the engine, which types the rest of the enclosing block
	}
}

func (w *rewriter) branch() {
	w.settle()
	switch w.op {
	case opReturn:
		w.jump(uint32(len(w.blocks)-1), 0)
	case opBr:
		w.jump(w.a, 0)
	case opBrIf:
		w.jumpIf()
	case opBrTable:
		loops := false
		for _, l := range w.labels {
			loops = w.target(l).op == opLoop || loops
		}
		if loops {
			w.testFuel()
		}
		w.code = appendInstr(w.code, &w.instr)
	}
	w.dead = w.op != opBrIf
}

// jump writes an unconditional branch, from within so many blocks that the original does not have.
func (w *rewriter) jump(label, within uint32) {
	switch b := w.target(label); {
	case b.op == opLoop && b.takes == 0:
		w.again(label + within)
	case b.op == opLoop: // the operands stand in the way of a block
		w.testFuel()
		fallthrough
	default:
		w.emitIndex(opBr, label+within)
	}
}

// jumpIf writes a conditional branch as a condition around a branch. A branch that is taken from a place with two ways
// on, to a place with two ways in, makes wazero materialise the condition, test it again and jump twice.
func (w *rewriter) jumpIf() {
	if b := w.target(w.a); b.takes > 0 {
		if b.op == opLoop {
			w.testFuel()
		}
		w.emitIndex(opBrIf, w.a)
		return
	}
	w.emitBlock(opIf, emptyBlock)
	w.jump(w.a, 1)
	w.emit(opEnd)
}

// target gives the block that a label names, and notes that it is branched to.
func (w *rewriter) target(label uint32) *block {
	b := &w.blocks[len(w.blocks)-1-int(label)]
	b.branched = true
	return b
}

func (w *rewriter) call() {
	w.publish()
	w.code = appendInstr(w.code, &w.instr)
	w.emitIndex(opGlobalGet, w.m.fuelGlobal())
	w.emitIndex(opLocalSet, w.fuel)
}

// remainder writes a remainder, as a-(a/b)*b where the engine cannot be trusted with it. The signed division traps
// where the remainder by -1 is 0, so that case stands apart; a division by zero traps as the remainder would.
func (w *rewriter) remainder() {
	if !w.o.LowerRemainders {
		w.plain()
		return
	}
	typ, constant, equal, family := i32, opcode(opI32Const), opcode(opI32Eq), opcode(0)
	if w.op >= opI64RemS {
		typ, constant, equal, family = i64, opI64Const, opI64Eq, opI64RemS-opI32RemS
	}
	signed := w.op == opI32RemS+family
	a, b := w.temps.local(typ, operand), w.temps.local(typ, secondOperand)
	w.emitIndex(opLocalSet, b)
	w.emitIndex(opLocalSet, a)
	if signed {
		w.emitIndex(opLocalGet, b)
		w.emitConst(constant, -1)
		w.emit(equal)
		w.emitBlock(opIf, blockTypeOf(typ))
		w.emitConst(constant, 0)
		w.emit(opElse)
	}
	w.emitIndex(opLocalGet, a)
	w.emitIndex(opLocalGet, a)
	w.emitIndex(opLocalGet, b)
	w.emit(w.op - opI32RemS + opI32DivS)
	w.emitIndex(opLocalGet, b)
	w.emit(opI32Mul + family)
	w.emit(opI32Sub + family)
	if signed {
		w.emit(opEnd)
	}
}

// log2 of a power of two.
func log2(n uint64) int64 { return int64(bits.TrailingZeros64(n)) }
