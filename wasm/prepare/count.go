package prepare

// How a function counts. Its fuel stands in a local, goes into the global before each call and at the end, and comes
// back from it after each call. Between those points fuel is subtracted once for each stretch of instructions that run
// together, when the stretch ends; so what is counted at a call or at the end is exact, and what is lost in a trap is
// the same on every engine.

// settle counts the pending fuel.
func (w *rewriter) settle() {
	if w.pending == 0 {
		return
	}
	w.remaining()
	w.emitIndex(opLocalSet, w.fuel)
}

// publish counts the pending fuel into the global, for a callee or a caller to go on from.
func (w *rewriter) publish() {
	w.remaining()
	w.emitIndex(opGlobalSet, w.m.fuelGlobal())
}

func (w *rewriter) remaining() {
	w.emitIndex(opLocalGet, w.fuel)
	if w.pending != 0 {
		w.emitConst(opI64Const, w.pending)
		w.emit(opI64Sub)
		w.pending = 0
	}
}

// enter writes what happens before the body.
func (w *rewriter) enter() {
	w.emitIndex(opGlobalGet, w.m.fuelGlobal())
	w.emitIndex(opLocalSet, w.fuel)
	if w.plan.charge != 0 {
		w.chargeStack(w.plan.charge)
		w.testBoth()
	} else if w.plan.test {
		w.testFuel()
	}
}

// exit writes what happens after the body.
func (w *rewriter) exit() {
	if w.wrapped {
		w.emit(opEnd)
	}
	if w.dead {
		w.emit(opUnreachable)
	} else {
		w.publish()
		if w.plan.charge != 0 {
			w.creditStack()
		}
	}
	w.emit(opEnd)
}

// chargeStack takes n bytes of stack, until creditStack. What was left before is kept in a local rather than added up
// again: so the next call need not wait for this one's sums.
func (w *rewriter) chargeStack(n uint32) {
	w.emitIndex(opGlobalGet, w.m.stackGlobal())
	w.emitIndex(opLocalTee, w.temps.local(i64, stackBefore))
	w.emitConst(opI64Const, int64(n))
	w.emit(opI64Sub)
	w.emitIndex(opGlobalSet, w.m.stackGlobal())
}

func (w *rewriter) creditStack() {
	w.emitIndex(opLocalGet, w.temps.local(i64, stackBefore))
	w.emitIndex(opGlobalSet, w.m.stackGlobal())
}

// testFuel traps if the fuel is used up, in a way that the host can tell from other traps.
func (w *rewriter) testFuel() {
	w.emitIndex(opLocalGet, w.fuel)
	w.emitConst(opI64Const, 0)
	w.emit(opI64LtS)
	w.emitBlock(opIf, emptyBlock)
	w.trap()
	w.emit(opEnd)
}

// testBoth does the same for fuel and stack, with one branch for the two numbers. It stands where a function begins: the
// globals say which of them ran out, and how much fuel is left if it was the stack.
func (w *rewriter) testBoth() {
	w.emitIndex(opLocalGet, w.fuel)
	w.emitIndex(opGlobalGet, w.m.stackGlobal())
	w.emit(opI64Or)
	w.emitConst(opI64Const, 0)
	w.emit(opI64LtS)
	w.emitBlock(opIf, emptyBlock)
	w.emit(opUnreachable)
	w.emit(opEnd)
}

func (w *rewriter) trap() {
	w.emitConst(opI64Const, -1)
	w.emitIndex(opGlobalSet, w.m.fuelGlobal())
	w.emit(opUnreachable)
}

// again branches back to a loop if there is fuel for it. The branch stands inside the test, and the trap behind it: so
// compiled, the way round the loop is one jump.
func (w *rewriter) again(label uint32) {
	w.emitIndex(opLocalGet, w.fuel)
	w.emitConst(opI64Const, 0)
	w.emit(opI64GeS)
	w.emitBlock(opIf, emptyBlock)
	w.emitIndex(opBr, label+1)
	w.emit(opEnd)
	w.trap()
}

// chargeBulk charges for the length that is on top of the stack, and tests at once: one operation may be long.
func (w *rewriter) chargeBulk() {
	w.settle()
	length := w.temps.local(i32, operand)
	w.emitIndex(opLocalTee, length)
	w.emitIndex(opLocalGet, w.fuel)
	w.emitIndex(opLocalGet, length)
	w.emit(opI64ExtendU)
	if w.op == opMemoryGrow {
		w.emitConst(opI64Const, log2(fuelPerPage))
		w.emit(opI64Shl)
	} else {
		w.emitConst(opI64Const, log2(bytesPerFuel))
		w.emit(opI64ShrU)
	}
	w.emit(opI64Sub)
	w.emitIndex(opLocalSet, w.fuel)
	w.testFuel()
}
