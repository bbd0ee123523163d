package prepare

import "encoding/binary"

// instr is one instruction with its immediates.
type instr struct {
	op     opcode
	at     int      // where it starts in the original
	a, b   uint32   // indices; alignment exponent and offset
	num    int64    // integer constant, block type, lane
	raw    []byte   // other constants, lanes of a shuffle, types of a select
	labels []uint32 // of br_table, the default last; valid until the next instruction
}

// emptyBlock is the block type of a block that takes and gives nothing; other negative ones are a value type.
const emptyBlock = -64

// decoder reads the instructions of one body.
type decoder struct {
	reader
	instr
}

// next reads one instruction into d.instr.
func (d *decoder) next() {
	d.at = d.pos
	d.op = opcode(d.byte())
	switch d.op {
	case opBulk, opVector:
		d.prefixed()
	}
	o := &table[d.op]
	if !o.known {
		d.refuseAt(d.at, "unknown opcode %#x", d.op)
	}
	switch o.imm {
	case immNone:
	case immSpecial:
		d.special()
	case immMem:
		d.memory(o)
	case immMemLane:
		d.memory(o)
		d.lane(o)
	case immZero:
		d.zero()
	case immZeros:
		d.zero()
		d.zero()
	case immLane:
		d.lane(o)
	case immShuffle:
		d.raw = d.bytes(16)
		for _, l := range d.raw {
			if l >= 32 {
				d.refuseAt(d.at, "lane %d of 32", l)
			}
		}
	case immIndex:
		d.a = d.u32()
	case immIndices:
		d.a, d.b = d.u32(), d.u32()
	}
}

func (d *decoder) prefixed() {
	base := opcode(bulkOps)
	if d.op == opVector {
		base = vectorOps
	}
	n := d.u32()
	if n > 0xff {
		d.refuseAt(d.at, "unknown opcode %#x %#x", d.op, n)
	}
	d.op = base + opcode(n)
}

func (d *decoder) memory(o *op) {
	if d.a, d.b = d.u32(), d.u32(); d.a > uint32(o.limit) {
		d.refuseAt(d.at, "alignment 2^%d above the natural one", d.a)
	}
}

func (d *decoder) lane(o *op) {
	if d.num = int64(d.byte()); d.num >= int64(o.lanes) {
		d.refuseAt(d.at, "lane %d of %d", d.num, o.lanes)
	}
}

func (d *decoder) zero() {
	if d.byte() != 0 {
		d.refuseAt(d.at, "memory index other than 0")
	}
}

// special reads the immediates of instructions that have their own form.
func (d *decoder) special() {
	switch d.op {
	case opBlock, opLoop, opIf:
		start := d.pos
		d.num = d.signed(33)
		if d.num < 0 && (d.pos != start+1 || d.num != emptyBlock && !valType(d.num&0x7f).valid()) {
			d.refuseAt(start, "unknown block type")
		}
	case opBr, opBrIf, opCall, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opTableGet, opTableSet,
		opRefFunc:
		d.a = d.u32()
	case opCallIndirect:
		d.a, d.b = d.u32(), d.u32()
	case opMemoryInit:
		d.a = d.u32()
		d.zero()
	case opBrTable:
		d.labels = d.labels[:0]
		for n := uint64(d.u32()) + 1; n > 0; n-- {
			d.labels = append(d.labels, d.u32())
		}
	case opSelectTyped:
		if d.raw = []byte(readTypes(&d.reader)); len(d.raw) != 1 {
			d.refuseAt(d.at, "select of %d types", len(d.raw))
		}
	case opRefNull:
		d.a = uint32(readRefType(&d.reader))
	case opI32Const:
		d.num = d.signed(32)
	case opI64Const:
		d.num = d.signed(64)
	case opF32Const:
		d.raw = d.bytes(4)
	case opF64Const:
		d.raw = d.bytes(8)
	case opV128Const:
		d.raw = d.bytes(16)
	}
}

// appendOp writes an opcode in its shortest form.
func appendOp(b []byte, o opcode) []byte {
	switch {
	case o >= vectorOps:
		return binary.AppendUvarint(append(b, opVector), uint64(o-vectorOps))
	case o >= bulkOps:
		return binary.AppendUvarint(append(b, opBulk), uint64(o-bulkOps))
	default:
		return append(b, byte(o))
	}
}

// appendInstr writes an instruction in its shortest form.
func appendInstr(b []byte, i *instr) []byte {
	b = appendOp(b, i.op)
	switch table[i.op].imm {
	case immSpecial:
		return appendSpecial(b, i)
	case immMem:
		return appendU32(appendU32(b, i.a), i.b)
	case immMemLane:
		return append(appendU32(appendU32(b, i.a), i.b), byte(i.num))
	case immZero:
		return append(b, 0)
	case immZeros:
		return append(b, 0, 0)
	case immLane:
		return append(b, byte(i.num))
	case immShuffle:
		return append(b, i.raw...)
	case immIndex:
		return appendU32(b, i.a)
	case immIndices:
		return appendU32(appendU32(b, i.a), i.b)
	}
	return b
}

func appendSpecial(b []byte, i *instr) []byte {
	switch i.op {
	case opBlock, opLoop, opIf, opI32Const, opI64Const:
		return appendSigned(b, i.num)
	case opBr, opBrIf, opCall, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opTableGet, opTableSet,
		opRefFunc:
		return appendU32(b, i.a)
	case opCallIndirect:
		return appendU32(appendU32(b, i.a), i.b)
	case opMemoryInit:
		return append(appendU32(b, i.a), 0)
	case opBrTable:
		b = appendU32(b, uint32(len(i.labels)-1))
		for _, l := range i.labels {
			b = appendU32(b, l)
		}
	case opSelectTyped:
		return append(append(b, 1), i.raw...)
	case opRefNull:
		return append(b, byte(i.a))
	case opF32Const, opF64Const, opV128Const:
		return append(b, i.raw...)
	}
	return b
}
