package prepare

// plain writes an instruction as it is, and makes a NaN canonical before or after it where the plan says so.
func (w *rewriter) plain() {
	if !w.plan.marks.has(w.number) {
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
	t := w.temps.local(typ, operand)
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

// store is one that was written as it was and waits for the check of its value.
type store struct {
	instr
	address, value uint32 // locals
	mend           bool   // a NaN is to be made canonical; otherwise only the order matters
}

// storeFloat writes a store of a scalar, which may have to wait for its check.
func (w *rewriter) storeFloat() {
	mend := w.o.NaN == Lazy && w.plan.marks.has(w.number)
	if mend || len(w.stores) > 0 {
		u := waiting + use(len(w.stores))
		s := store{instr: w.instr, address: w.temps.local(i32, u), mend: mend}
		s.value = w.temps.local(s.typ(), u)
		w.emitIndex(opLocalSet, s.value)
		w.emitIndex(opLocalTee, s.address)
		w.emitIndex(opLocalGet, s.value)
		w.stores = append(w.stores, s)
	}
	w.code = appendInstr(w.code, &w.instr)
	if w.plan.checks.has(w.number) && len(w.stores) > 0 {
		w.checkStores()
	}
}

func (s *store) typ() valType {
	if s.op == opF32Store {
		return f32
	}
	return f64
}

// checkStores looks at the stored values and stores them again if there is a NaN among them. One comparison does for
// many: a sum is NaN if a part of it is. (It may be NaN without, of infinities; then they are stored again as they are.)
func (w *rewriter) checkStores() {
	w.emitBlock(opBlock, emptyBlock)
	depth := uint32(0)
	for _, typ := range []valType{f32, f64} {
		if w.sumStores(typ) {
			w.emitBlock(opIf, emptyBlock)
			depth++
		}
	}
	w.emitIndex(opBr, depth)
	for ; depth > 0; depth-- {
		w.emit(opEnd)
	}
	for i := range w.stores {
		s := &w.stores[i]
		w.emitIndex(opLocalGet, s.address)
		w.emitIndex(opLocalGet, s.value)
		if s.mend {
			w.canonical(s.typ(), noShape)
		}
		w.code = appendInstr(w.code, &s.instr)
	}
	w.emit(opEnd)
	w.stores = w.stores[:0]
}

// sumStores leaves on the stack whether the sum of the waiting values of a type is a number, if there are any.
func (w *rewriter) sumStores(typ valType) bool {
	add, compare := opcode(opF64Add), opcode(opF64Ge)
	if typ == f32 {
		add, compare = opF32Add, opF32Ge
	}
	n := 0
	for i := range w.stores {
		if s := &w.stores[i]; s.mend && s.typ() == typ {
			w.emitIndex(opLocalGet, s.value)
			if n++; n > 1 {
				w.emit(add)
			}
		}
	}
	if n == 0 {
		return false
	}
	sum := w.temps.local(typ, operand)
	w.emitIndex(opLocalTee, sum)
	w.emitIndex(opLocalGet, sum)
	w.emit(compare)
	return true
}
