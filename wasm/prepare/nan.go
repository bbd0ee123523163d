package prepare

// bitsState says what is known, while checking, about the bits of a float that is a NaN.
type bitsState uint8

const (
	fixed   bitsState = iota // the same on every engine (or no float at all)
	made                     // chosen by the engine, in the instruction numbered value.by
	carried                  // those that the place value.by holds
	loose                    // perhaps chosen by an engine, somewhere
	early                    // read from memory that may hold such bits until the check after the store value.by
)

// value is an operand as the checker sees it. Vectors and, when eager, scalars are made canonical where they are made,
// if anything but arithmetic takes them; lazy scalars where their bits show.
type value struct {
	typ  valType
	bits bitsState
	by   uint32 // instruction or place
	lane shape  // of a vector that was made
}

func (t valType) scalarFloat() bool { return t == f32 || t == f64 }

// lazy tells whether a value is made canonical late, where its bits show.
func (c *checker) lazy(t valType) bool { return !c.eager && t.scalarFloat() }

// unknown is a value that comes out of a block.
func (c *checker) unknown(t valType) value {
	if c.lazy(t) {
		return value{typ: t, bits: loose}
	}
	return value{typ: t}
}

// show notes that this instruction sees the bits of v; a lazy scalar is then its last operand.
func (c *checker) show(v value) {
	switch {
	case v.bits == fixed:
	case v.bits == early:
		c.checks.add(v.by)
	case !c.lazy(v.typ):
		c.marks.add(v.by)
	case v.bits == carried:
		c.flow.show(c.plan, c.number, v.by)
	default:
		c.marks.add(c.number)
	}
}

// hand notes that v goes where it is lost from sight, such as into a block.
func (c *checker) hand(v value) {
	switch {
	case v.bits == early:
		c.checks.add(v.by)
	case v.bits != fixed && !c.lazy(v.typ):
		c.marks.add(v.by)
	}
}

// load is the value that a place holds.
func (c *checker) load(p place, t valType) value {
	if c.lazy(t) {
		return value{typ: t, bits: carried, by: p}
	}
	return value{typ: t}
}

// store notes that v goes into a place, and gives what v is from then on.
func (c *checker) store(p place, v value) value {
	c.hand(v)
	switch {
	case v.bits == early || !c.lazy(v.typ):
		v.bits = fixed
	case v.bits == carried:
		c.flow.copy(v.by, p)
	case v.bits == made || v.bits == loose:
		c.flow.loose[p] = true
	}
	return v
}

// either is what a select of a and b gives.
func (c *checker) either(a, b value) value {
	c.hand(a)
	c.hand(b)
	if (a.bits == fixed || a.bits == early) && (b.bits == fixed || b.bits == early) {
		return value{typ: b.typ}
	}
	return c.unknown(b.typ)
}

// plain checks an instruction that its signature describes whole.
func (c *checker) plain(o *op) {
	if o.imm >= immMem && o.imm <= immZeros {
		checkIndex(&c.reader, "memory", 0, len(c.m.memories))
	}
	var first value
	for i := len(o.in) - 1; i >= 0; i-- {
		v := c.pop(valType(o.in[i]))
		if floatStore(c.op) && i == 1 && !c.eager {
			c.deferred(v)
		}
		if v.bits != fixed && !c.ignores(o, v, i) {
			c.show(v)
			v.bits = fixed
		}
		first = v
	}
	if len(o.out) == 0 {
		return
	}
	result := value{typ: valType(o.out[0])}
	switch {
	case o.sight == computes && (o.from != noShape || o.to == noShape || first.bits != fixed):
		result.bits, result.by, result.lane = made, c.number, o.to // a splat of fixed bits is fixed
	case o.sight != carries || first.bits == fixed:
	case first.typ == v128:
		result.bits, result.by = made, c.number
	case c.lazy(first.typ):
		result = first
	}
	if floatLoad(c.op) && c.stores > 0 {
		result.bits, result.by = early, c.lastStore
	}
	c.push(result)
}

// ignores tells whether the instruction cannot show the bits of its operand v, the index'th.
func (c *checker) ignores(o *op, v value, index int) bool {
	if v.typ == v128 {
		return o.from != noShape && o.from == v.lane
	}
	switch o.sight {
	case seesNumbers, computes:
		return true
	case carries:
		return index == 0 && c.lazy(v.typ)
	}
	return false
}

// Stores of lazy scalars are not made canonical one by one. In a stretch of instructions that only floats can see
// memory through, they store what they have; after the last of them one check looks at all the values that were stored,
// and if there is a NaN among them, which is rare, stores them again in order, now canonical. A float that is read from
// memory in between may be a NaN yet to be mended: arithmetic may have it, but if its bits would go anywhere, the
// check comes before the read.

// maxDeferred bounds the stores that wait for one check: each keeps an address and a value alive.
const maxDeferred = 8

func floatLoad(o opcode) bool  { return o == opF32Load || o == opF64Load }
func floatStore(o opcode) bool { return o == opF32Store || o == opF64Store }

// deferred notes a store of v.
func (c *checker) deferred(v value) {
	if v.bits == fixed || v.bits == early {
		c.checkStores() // it must come behind those that may yet be stored again
		return
	}
	c.stores++
	c.lastStore = c.number
	if c.stores == maxDeferred {
		c.checkStores()
	}
}

// checkStores ends a stretch: the stores that wait are checked behind the last of them.
func (c *checker) checkStores() {
	if c.stores > 0 {
		c.checks.add(c.lastStore)
		c.stores = 0
	}
}

// floatsOnly tells whether an instruction leaves memory alone, or uses it for scalar floats.
func floatsOnly(o opcode) bool {
	switch o {
	case opDrop, opSelect, opSelectTyped, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet,
		opI32Const, opI64Const, opF32Const, opF64Const, opV128Const,
		opF32Load, opF64Load, opF32Store, opF64Store:
		return true
	}
	imm := table[o].imm
	return imm == immNone || imm == immLane || imm == immShuffle
}
