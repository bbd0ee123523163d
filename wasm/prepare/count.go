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

// guards tells whether anything in the function is tested.
func (w *rewriter) guards() bool {
	if w.plan.test || w.plan.charge != 0 || w.plan.loops {
		return true
	}
	return w.chargesCalls()
}

// chargesCalls tells whether the function charges stack at a call site.
func (w *rewriter) chargesCalls() bool {
	for _, callee := range w.plan.calls {
		if t := int(callee) - len(w.m.bodies); t >= 0 && w.m.indirectCharge[t] != 0 {
			return true
		}
	}
	return false
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

// exit writes what happens after the body, and where failed tests land: a trap that the host can tell from others.
func (w *rewriter) exit() {
	if w.wrapped {
		w.emit(opEnd)
	}
	if w.dead {
		w.emit(opUnreachable)
	} else {
		w.publish()
		if w.plan.charge != 0 {
			w.creditStack(w.plan.charge)
		}
		if w.guarded {
			w.emit(opReturn)
		}
	}
	if w.guarded {
		w.emit(opEnd)
		w.land()
	}
	w.emit(opEnd)
}

// land traps. Unless it was the stack that ran out, which shows in its global, the fuel did.
func (w *rewriter) land() {
	either := w.plan.charge != 0 || w.chargesCalls()
	if either {
		w.emitIndex(opGlobalGet, w.m.stackGlobal())
		w.emitConst(opI64Const, -1)
		w.emit(opI64GtS)
		w.emitBlock(opIf, emptyBlock)
	}
	w.emitConst(opI64Const, -1)
	w.emitIndex(opGlobalSet, w.m.fuelGlobal())
	if either {
		w.emit(opEnd)
	}
	w.emit(opUnreachable)
}

func (w *rewriter) chargeStack(n uint32) {
	w.emitIndex(opGlobalGet, w.m.stackGlobal())
	w.emitConst(opI64Const, int64(n))
	w.emit(opI64Sub)
	w.emitIndex(opGlobalSet, w.m.stackGlobal())
}

func (w *rewriter) creditStack(n uint32) {
	w.emitIndex(opGlobalGet, w.m.stackGlobal())
	w.emitConst(opI64Const, int64(n))
	w.emit(opI64Add)
	w.emitIndex(opGlobalSet, w.m.stackGlobal())
}

// testFuel leaves for the trap if the fuel is used up.
func (w *rewriter) testFuel() {
	w.emitIndex(opLocalGet, w.fuel)
	w.leaveIfNegative()
}

// testBoth leaves for the trap if fuel or stack is used up: one branch for two numbers.
func (w *rewriter) testBoth() {
	w.emitIndex(opLocalGet, w.fuel)
	w.emitIndex(opGlobalGet, w.m.stackGlobal())
	w.emit(opI64Or)
	w.leaveIfNegative()
}

func (w *rewriter) leaveIfNegative() {
	w.emitConst(opI64Const, 0)
	w.emit(opI64LtS)
	label := uint32(len(w.blocks) - 1)
	if w.wrapped {
		label++
	}
	w.emitIndex(opBrIf, label)
}

// chargeBulk charges for the length that is on top of the stack, and tests at once: one operation may be long.
func (w *rewriter) chargeBulk() {
	w.settle()
	length := w.temps.local(i32, 0)
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
