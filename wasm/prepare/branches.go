package prepare

// The checks of instructions that go elsewhere: into blocks, out of them, to functions.

// label gives the types that a branch takes along.
func (c *checker) label(depth uint32) types {
	if uint64(depth) >= uint64(len(c.frames)) {
		c.refuseAt(c.at, "label %d of %d", depth, len(c.frames))
	}
	c.leavesBody = c.leavesBody || c.isBody(depth)
	f := &c.frames[len(c.frames)-1-int(depth)]
	f.branched = true
	return f.label()
}

// isBody tells whether a branch leaves the function.
func (c *checker) isBody(depth uint32) bool { return int(depth) == len(c.frames)-1 }

// popLabel takes the operands of a branch.
func (c *checker) popLabel(depth uint32) types {
	t := c.label(depth)
	if c.isBody(depth) {
		c.popInto(t, c.own+place(c.locals.params))
	} else {
		c.popTypes(t)
	}
	return t
}

func (c *checker) control() {
	switch c.op {
	case opUnreachable:
		c.stop()
	case opBlock, opLoop, opIf:
		if c.op == opIf {
			c.pop(i32)
		}
		if c.num >= int64(len(c.m.types)) {
			c.refuseAt(c.at, "type %d of %d", c.num, len(c.m.types))
		}
		t := c.m.blockType(c.num)
		c.popTypes(t.params)
		c.enter(c.op, t)
	case opElse:
		f := c.leave()
		if f.op != opIf {
			c.refuseAt(c.at, "else without if")
		}
		c.enter(opElse, f.typ)
	case opEnd:
		f := c.leave()
		if f.op == opIf && f.typ.params != f.typ.results {
			c.refuseAt(c.at, "if without else changes the operands")
		}
		if len(c.frames) > 0 {
			c.pushTypes(f.typ.results)
		}
	case opBr:
		c.popLabel(c.a)
		c.stop()
	case opBrIf:
		c.pop(i32)
		c.pushTypes(c.popLabel(c.a))
	case opBrTable:
		c.branchTable()
	case opReturn:
		c.popLabel(uint32(len(c.frames) - 1))
		c.stop()
	}
}

func (c *checker) branchTable() {
	c.pop(i32)
	last := c.labels[len(c.labels)-1]
	checked := c.label(last)
	arity, body := len(checked), c.isBody(last)
	for _, depth := range c.labels {
		t := c.label(depth)
		if len(t) != arity {
			c.refuseAt(c.at, "branch table to labels of %d and %d operands", len(t), arity)
		}
		leaves := c.isBody(depth)
		if t != checked || leaves && !body { // types may differ in code that cannot be reached
			body = body || leaves
			stack := c.stack
			c.popLabel(depth)
			c.stack, checked = stack, t
		}
	}
	c.popLabel(last)
	c.stop()
}

func (c *checker) call() {
	if c.op == opCallIndirect {
		c.callIndirect()
		return
	}
	checkIndex(&c.reader, "function", c.a, len(c.m.funcs))
	t := c.m.funcType(c.a)
	c.passed = max(c.passed, int(t.places()))
	if int(c.a) < c.m.importedFuncs {
		c.popTypes(t.params)
		for _, r := range []byte(t.results) {
			c.push(value{typ: valType(r)}) // the host's bits are fixed
		}
		return
	}
	callee := c.a - uint32(c.m.importedFuncs)
	c.calls = append(c.calls, callee)
	c.popInto(t.params, c.flow.functions[callee])
	c.pushFrom(t.results, c.flow.functions[callee]+place(len(t.params)))
}

func (c *checker) callIndirect() {
	checkIndex(&c.reader, "type", c.a, len(c.m.types))
	checkIndex(&c.reader, "table", c.b, len(c.m.tables))
	if c.m.tables[c.b].elem != funcref {
		c.refuseAt(c.at, "indirect call through a table of %s", c.m.tables[c.b].elem)
	}
	c.pop(i32)
	t, same := c.m.types[c.a], c.m.sameType[c.a]
	c.passed = max(c.passed, int(t.places()))
	c.calls = append(c.calls, uint32(len(c.m.bodies)+same))
	c.popInto(t.params, c.flow.types[same])
	c.pushFrom(t.results, c.flow.types[same]+place(len(t.params)))
}
