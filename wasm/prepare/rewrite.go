package prepare

import "math/bits"

// block is an open block of the function being written.
type block struct {
	op       opcode
	branched bool // its end is reached from elsewhere than the instruction before
}

// rewriter writes one function body after another. Code that cannot be reached is left out.
type rewriter struct {
	decoder
	m       *module
	o       Options
	plan    *plan
	code    []byte
	blocks  []block
	number  uint32 // of the instruction in the original body
	pending int64  // fuel of the instructions written since fuel was last counted
	dead    bool   // this cannot be reached
	skipped int    // blocks opened since it was dead
	wrapped bool   // the body is a block of its own, which returns leave
	guarded bool   // around it stands a block whose end is the trap
	fuel    uint32 // the local that holds the fuel
	temps   temps
}

// temps are the locals that a rewritten body uses besides its own and the fuel, by type, numbered as they are needed.
type temps struct {
	first uint32
	types []byte
}

// local gives the n'th temporary of a type.
func (t *temps) local(typ valType, n int) uint32 {
	for i, have := range t.types {
		if have == byte(typ) {
			if n == 0 {
				return t.first + uint32(i)
			}
			n--
		}
	}
	t.types = append(t.types, byte(typ))
	return t.first + uint32(len(t.types)-1)
}

func (w *rewriter) emit(o opcode)                 { w.code = appendOp(w.code, o) }
func (w *rewriter) emitIndex(o opcode, n uint32)  { w.code = appendU32(appendOp(w.code, o), n) }
func (w *rewriter) emitConst(o opcode, v int64)   { w.code = appendSigned(appendOp(w.code, o), v) }
func (w *rewriter) emitBytes(o opcode, b string)  { w.code = append(appendOp(w.code, o), b...) }
func (w *rewriter) emitBlock(o opcode, typ int64) { w.code = appendSigned(appendOp(w.code, o), typ) }

// body appends the rewritten body, its size before it, to out.
func (w *rewriter) body(out []byte, typ funcType, blockType int64, p *plan, b body) []byte {
	w.reader = reader{section: "code", all: w.m.original[:b.end], pos: b.start}
	locals := readLocals(&w.reader, []valType(typ.params))
	declared := locals[len(typ.params):]
	w.plan, w.fuel = p, uint32(len(locals))
	w.temps = temps{first: w.fuel + 1, types: w.temps.types[:0]}
	w.code, w.number, w.pending, w.dead, w.skipped = w.code[:0], 0, 0, false, 0
	w.blocks = append(w.blocks[:0], block{op: opBlock})
	w.guarded, w.wrapped = w.guards(), false

	if w.guarded {
		w.emitBlock(opBlock, emptyBlock)
	}
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

	header := appendLocals(nil, declared, w.temps.types)
	out = appendU32(out, uint32(len(header)+len(w.code)))
	return append(append(out, header...), w.code...)
}

// appendLocals writes the declarations of the body's own locals, the fuel and the temporaries.
func appendLocals(b []byte, declared []valType, temps []byte) []byte {
	var groups []byte
	n := uint32(0)
	group := func(count int, t byte) {
		groups = append(appendU32(groups, uint32(count)), t)
		n++
	}
	for i := 0; i < len(declared); {
		j := i
		for j < len(declared) && declared[j] == declared[i] {
			j++
		}
		group(j-i, byte(declared[i]))
		i = j
	}
	group(1, byte(i64))
	for _, t := range temps {
		group(1, t)
	}
	return append(appendU32(b, n), groups...)
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
	w.blocks = append(w.blocks, block{op: w.op})
	if w.op == opLoop {
		w.testFuel()
	}
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
		w.emitIndex(opBr, w.target(uint32(len(w.blocks)-1)))
	case opBrTable:
		for _, l := range w.labels {
			w.target(l)
		}
		w.code = appendInstr(w.code, &w.instr)
	default:
		w.target(w.a)
		w.code = appendInstr(w.code, &w.instr)
	}
	w.dead = w.op != opBrIf
}

// target notes that a block is branched to, and gives the label back.
func (w *rewriter) target(label uint32) uint32 {
	w.blocks[len(w.blocks)-1-int(label)].branched = true
	return label
}

func (w *rewriter) call() {
	charge := uint32(0)
	if w.op == opCallIndirect {
		charge = w.m.indirectCharge[w.m.sameType[w.a]]
	}
	if charge != 0 {
		w.settle()
		w.chargeStack(charge)
		w.testBoth()
	}
	w.publish()
	w.code = appendInstr(w.code, &w.instr)
	if charge != 0 {
		w.creditStack(charge)
	}
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
	typ, div, mul, sub, constant, equal := i32, opcode(opI32DivS), opcode(opI32Mul), opcode(opI32Sub), opcode(opI32Const), opcode(opI32Eq)
	if w.op >= opI64RemS {
		typ, div, mul, sub, constant, equal = i64, opI64DivS, opI64Mul, opI64Sub, opI64Const, opI64Eq
	}
	signed := w.op == opI32RemS || w.op == opI64RemS
	if !signed {
		div++
	}
	a, b := w.temps.local(typ, 0), w.temps.local(typ, 1)
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
	w.emit(div)
	w.emitIndex(opLocalGet, b)
	w.emit(mul)
	w.emit(sub)
	if signed {
		w.emit(opEnd)
	}
}

// plain writes an instruction as it is, and makes a NaN canonical before or after it where the plan says so.
func (w *rewriter) plain() {
	marked := w.plan.marks != nil && w.plan.marks.has(w.number)
	if !marked {
		w.code = appendInstr(w.code, &w.instr)
		return
	}
	o := &table[w.op]
	if last := valType(o.in[len(o.in)-1]); last.scalarFloat() && w.o.NaN == Lazy && o.sight != computes {
		w.canonical(last, noShape)
		w.code = appendInstr(w.code, &w.instr)
		return
	}
	w.code = appendInstr(w.code, &w.instr)
	w.canonical(valType(o.out[0]), o.to)
}

// Canonical NaNs, as the binary format writes them.
const (
	nan32 = "\x00\x00\xc0\x7f"
	nan64 = "\x00\x00\x00\x00\x00\x00\xf8\x7f"
)

// canonical makes the value on top the canonical NaN if it is a NaN; in a vector, each lane.
func (w *rewriter) canonical(typ valType, s shape) {
	t := w.temps.local(typ, 0)
	w.emitIndex(opLocalTee, t)
	var compare, choose opcode
	switch {
	case typ == f32:
		w.emitBytes(opF32Const, nan32)
		compare, choose = opF32Ge, opSelect
	case typ == f64:
		w.emitBytes(opF64Const, nan64)
		compare, choose = opF64Ge, opSelect
	case s == f32x4:
		w.emitBytes(opV128Const, nan32+nan32+nan32+nan32)
		compare, choose = opF32x4Eq, opV128Bitsel
	default:
		w.emitBytes(opV128Const, nan64+nan64)
		compare, choose = opF64x2Eq, opV128Bitsel
	}
	w.emitIndex(opLocalGet, t)
	w.emitIndex(opLocalGet, t)
	w.emit(compare)
	w.emit(choose)
}

// log2 of a power of two.
func log2(n uint64) int64 { return int64(bits.TrailingZeros64(n)) }
