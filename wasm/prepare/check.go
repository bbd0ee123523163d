package prepare

// frame is an open block of the function being checked.
type frame struct {
	op          opcode // opBlock, opLoop, opIf or opElse; the body itself is an opBlock
	typ         funcType
	height      int  // of the operand stack below it
	sets        int  // local.set and local.tee before it
	branched    bool // something branches to it
	unreachable bool // the rest of it cannot be reached: its operands may be anything
}

// label gives the types that a branch to the frame takes.
func (f *frame) label() types {
	if f.op == opLoop {
		return f.typ.params
	}
	return f.typ.results
}

// checker validates one function after another and makes their plans. Its buffers are used again.
type checker struct {
	decoder
	m      *module
	eager  bool
	locals locals
	stack  []value
	frames []frame
	number uint32 // of the instruction in the body
	flow   *flow
	own    place // of the function's first parameter; those of its results follow

	stores    int    // of floats that wait for a check
	lastStore uint32 // the last of them
	needs
	*plan
}

// needs is what the function so far needs of the stack.
type needs struct {
	depth    int  // of the operand stack
	sets     int  // local.set and local.tee
	merged   int  // locals with two values where ways come together
	passed   int  // values that a call takes and gives, at most
	wide     bool // vectors
	callsOut bool // bulk operations, which engines call out for
}

func checkBodies(m *module, o Options) []plan {
	plans := make([]plan, len(m.bodies))
	c := &checker{m: m, eager: o.NaN == Eager, flow: newFlow(m)}
	for i, b := range m.bodies {
		typ := m.funcType(uint32(m.importedFuncs + i))
		c.plan = &plans[i]
		c.own = c.flow.functions[i]
		c.checkBody(typ, b)
	}
	c.flow.settle(m)
	return plans
}

func (c *checker) checkBody(typ funcType, b body) {
	c.reader = reader{section: "code", all: c.m.original[:b.end], pos: b.start}
	c.locals.read(typ.params, &c.reader)
	c.stack, c.frames = c.stack[:0], append(c.frames[:0], frame{op: opBlock, typ: funcType{results: typ.results}})
	c.number, c.stores, c.needs = 0, 0, needs{}
	c.flow.enter(c.own, c.locals.params)
	for len(c.frames) > 0 {
		c.next()
		c.instruction()
		c.number++
		c.depth = max(c.depth, len(c.stack))
	}
	if !c.done() {
		c.refuse("code after the end of the function")
	}
	c.plan.frame = frameBytes(c)
}

func (c *checker) top() *frame { return &c.frames[len(c.frames)-1] }

func (c *checker) push(v value) { c.stack = append(c.stack, v) }

// pop takes an operand of the wanted type; bottom takes any.
func (c *checker) pop(want valType) value {
	f := c.top()
	if len(c.stack) == f.height {
		if !f.unreachable {
			c.refuseAt(c.at, "operand missing: %s wanted", want)
		}
		return value{typ: want}
	}
	v := c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
	if v.typ != want && v.typ != bottom && want != bottom {
		c.refuseAt(c.at, "operand is %s, %s wanted", v.typ, want)
	}
	if v.typ == bottom {
		v.typ = want
	}
	return v
}

// popTypes takes operands that leave the sight of this instruction: into a block, a call, a branch.
func (c *checker) popTypes(t types) {
	for i := len(t) - 1; i >= 0; i-- {
		c.hand(c.pop(valType(t[i])))
	}
}

// pushTypes gives operands that come out of a block or a call.
func (c *checker) pushTypes(t types) {
	for i := range len(t) {
		c.push(c.unknown(valType(t[i])))
	}
}

// popInto takes operands that go into places.
func (c *checker) popInto(t types, first place) {
	for i := len(t) - 1; i >= 0; i-- {
		c.store(first+place(i), c.pop(valType(t[i])))
	}
}

// pushFrom gives operands that come out of places.
func (c *checker) pushFrom(t types, first place) {
	for i := range len(t) {
		c.push(c.load(first+place(i), valType(t[i])))
	}
}

func (c *checker) enter(op opcode, typ funcType) {
	c.frames = append(c.frames, frame{op: op, typ: typ, height: len(c.stack), sets: c.sets})
	c.pushTypes(typ.params)
}

// leave closes the innermost frame and gives it back.
func (c *checker) leave() frame {
	f := *c.top()
	if len(c.frames) == 1 {
		c.popInto(f.typ.results, c.own+place(c.locals.params))
	} else {
		c.popTypes(f.typ.results)
	}
	if len(c.stack) != f.height {
		c.refuseAt(c.at, "%d operands too many at the end of a block", len(c.stack)-f.height)
	}
	if f.branched || f.op != opBlock {
		c.merged += min(c.sets-f.sets, c.locals.count())
	}
	c.frames = c.frames[:len(c.frames)-1]
	return f
}

// stop notes that what follows in the innermost frame cannot be reached.
func (c *checker) stop() {
	f := c.top()
	c.stack, f.unreachable = c.stack[:f.height], true
}

// instruction checks the one that was read.
func (c *checker) instruction() {
	c.cost += fuelOf(c.op)
	c.callsOut = c.callsOut || bulk(c.op)
	c.wide = c.wide || c.op >= vectorOps
	if c.stores > 0 && !floatsOnly(c.op) {
		c.checkStores()
	}
	if o := &table[c.op]; o.imm != immSpecial && o.imm != immIndex && o.imm != immIndices {
		c.plain(o)
		return
	}
	switch c.op {
	case opNop:
	case opUnreachable, opBlock, opLoop, opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn:
		c.control()
	case opCall, opCallIndirect:
		c.call()
	case opDrop, opSelect, opSelectTyped:
		c.parametric()
	case opLocalGet, opLocalSet, opLocalTee:
		c.local()
	case opGlobalGet, opGlobalSet:
		c.global()
	case opI32Const, opI64Const, opF32Const, opF64Const, opV128Const:
		c.push(value{typ: valType(table[c.op].out[0])})
	case opRefNull, opRefIsNull, opRefFunc:
		c.reference()
	case opMemoryInit, opDataDrop:
		c.data()
	default:
		c.tableOp()
	}
}

func (c *checker) parametric() {
	if c.op == opDrop {
		c.pop(bottom)
		return
	}
	c.pop(i32)
	want := bottom
	if c.op == opSelectTyped {
		want = valType(c.raw[0])
	}
	b := c.pop(want)
	a := c.pop(b.typ)
	if c.op == opSelect && (a.typ.reference() || b.typ.reference()) {
		c.refuseAt(c.at, "select of references without their type")
	}
	if a.typ != bottom {
		b.typ = a.typ
	}
	c.push(c.either(a, b))
}

// place is that of a local, which matters only if NaNs are followed there.
func (c *checker) place(t valType) place {
	if !c.lazy(t) {
		return 0
	}
	return c.flow.local(c.a)
}

func (c *checker) local() {
	t := c.locals.at(checkIndex(&c.reader, "local", c.a, c.locals.count()))
	switch c.op {
	case opLocalGet:
		c.push(c.load(c.place(t), t))
	case opLocalSet:
		c.sets++
		c.store(c.place(t), c.pop(t))
	case opLocalTee:
		c.sets++
		c.push(c.store(c.place(t), c.pop(t)))
	}
}

func (c *checker) global() {
	g := c.m.globals[checkIndex(&c.reader, "global", c.a, len(c.m.globals))]
	if c.op == opGlobalGet {
		c.push(c.load(c.flow.globals+c.a, g.typ))
		return
	}
	if !g.mutable {
		c.refuseAt(c.at, "global %d cannot be set", c.a)
	}
	c.store(c.flow.globals+c.a, c.pop(g.typ))
}

func (c *checker) reference() {
	switch c.op {
	case opRefNull:
		c.push(value{typ: valType(c.a)})
	case opRefIsNull:
		if v := c.pop(bottom); v.typ != bottom && !v.typ.reference() {
			c.refuseAt(c.at, "operand is %s, a reference wanted", v.typ)
		}
		c.push(value{typ: i32})
	case opRefFunc:
		checkIndex(&c.reader, "function", c.a, len(c.m.funcs))
		if c.m.declared == nil || !c.m.declared[c.a] {
			c.refuseAt(c.at, "reference to function %d, which is not declared", c.a)
		}
		c.push(value{typ: funcref})
	}
}

func (c *checker) data() {
	if !c.m.hasDataCount {
		c.refuseAt(c.at, "data segments used without a data count section")
	}
	checkIndex(&c.reader, "data segment", c.a, int(c.m.dataCount))
	if c.op == opMemoryInit {
		checkIndex(&c.reader, "memory", 0, len(c.m.memories))
		c.popTypes(table[c.op].in)
	}
}

func (c *checker) table(index uint32) valType {
	return c.m.tables[checkIndex(&c.reader, "table", index, len(c.m.tables))].elem
}

func (c *checker) tableOp() {
	three := types([]byte{byte(i32), byte(i32), byte(i32)})
	switch c.op {
	case opElemDrop:
		checkIndex(&c.reader, "element segment", c.a, len(c.m.elems))
	case opTableInit:
		checkIndex(&c.reader, "element segment", c.a, len(c.m.elems))
		if c.m.elems[c.a].typ != c.table(c.b) {
			c.refuseAt(c.at, "elements and table differ in type")
		}
		c.popTypes(three)
	case opTableCopy:
		if c.table(c.a) != c.table(c.b) {
			c.refuseAt(c.at, "tables differ in type")
		}
		c.popTypes(three)
	case opTableGet:
		t := c.table(c.a)
		c.pop(i32)
		c.push(value{typ: t})
	case opTableSet:
		c.pop(c.table(c.a))
		c.pop(i32)
	case opTableGrow:
		t := c.table(c.a)
		c.pop(i32)
		c.pop(t)
		c.push(value{typ: i32})
	case opTableSize:
		c.table(c.a)
		c.push(value{typ: i32})
	case opTableFill:
		c.pop(i32)
		c.pop(c.table(c.a))
		c.pop(i32)
	}
}
