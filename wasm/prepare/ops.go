package prepare

// Opcodes that the rewriter names. One-byte opcodes are themselves; the two prefixed spaces follow.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opF32Load      = 0x2a
	opF64Load      = 0x2b
	opF32Store     = 0x38
	opF64Store     = 0x39
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eq        = 0x46
	opI64Eq        = 0x51
	opI64LtS       = 0x53
	opI64GeS       = 0x59
	opF32Ne        = 0x5c
	opF32Ge        = 0x60
	opF64Ne        = 0x62
	opF64Ge        = 0x66
	opF32Add       = 0x92
	opF64Add       = 0xa0
	opI32Sub       = 0x6b
	opI32Mul       = 0x6c
	opI32DivS      = 0x6d
	opI32DivU      = 0x6e
	opI32RemS      = 0x6f
	opI32RemU      = 0x70
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64DivS      = 0x7f
	opI64DivU      = 0x80
	opI64RemS      = 0x81
	opI64RemU      = 0x82
	opI64Or        = 0x84
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2

	opBulk   = 0xfc // prefix of saturating conversions and bulk operations
	opVector = 0xfd // prefix of vector operations

	bulkOps      = 0x100 // 0xfc n is opcode bulkOps+n
	opMemoryInit = bulkOps + 8
	opDataDrop   = bulkOps + 9
	opMemoryCopy = bulkOps + 10
	opMemoryFill = bulkOps + 11
	opTableInit  = bulkOps + 12
	opElemDrop   = bulkOps + 13
	opTableCopy  = bulkOps + 14
	opTableGrow  = bulkOps + 15
	opTableSize  = bulkOps + 16
	opTableFill  = bulkOps + 17

	vectorOps      = 0x200 // 0xfd n is opcode vectorOps+n
	opV128Const    = vectorOps + 12
	opV128Bitsel   = vectorOps + 0x52
	opF32x4Splat   = vectorOps + 19
	opF64x2Splat   = vectorOps + 20
	opF32x4Extract = vectorOps + 31
	opF64x2Extract = vectorOps + 33
	opF32x4Eq      = vectorOps + 0x41
	opF64x2Eq      = vectorOps + 0x47

	opcodes = vectorOps + 0x100
)

// opcode numbers an instruction in one flat space.
type opcode uint16

// immediate says what follows an opcode.
type immediate uint8

const (
	immNone    immediate = iota
	immSpecial           // read by hand, in decode
	immMem               // alignment and offset
	immMemLane           // the same and a lane
	immZero              // a memory index, which is 0
	immZeros             // two of them
	immLane              // a lane
	immShuffle           // sixteen lanes
	immIndex             // one index, checked where it is used
	immIndices           // two
)

// sight says what an instruction sees of floating-point operands, and what its result shows: it decides where NaN
// bits must be made canonical.
type sight uint8

const (
	seesBits    sight = iota // of all operands; the result is the same on every engine when they are
	seesNumbers              // compares or converts to an integer: NaN bits cannot matter
	computes                 // sees numbers, and engines may choose the bits of a NaN result
	carries                  // the result has the bits of the first operand
)

// shape is the lanes that a vector instruction works on, when they are floats.
type shape uint8

const (
	noShape shape = iota
	f32x4
	f64x2
)

// op describes an instruction that is typed by its signature alone, or one that is read by hand (immSpecial).
type op struct {
	in, out types
	imm     immediate
	limit   uint8 // greatest alignment exponent; lanes
	lanes   uint8
	sight   sight
	from    shape // of vector operands
	to      shape // of a vector result
	known   bool
}

// table describes every instruction that the rewriter understands. It is never written after it was made.
var table = makeTable()

// row gives one description to a range of opcodes. In signatures i I f F v stand for i32 i64 f32 f64 v128.
type row struct {
	first, last int
	sig         string
	op
}

func makeTable() (t [opcodes]op) {
	letters := map[byte]valType{'i': i32, 'I': i64, 'f': f32, 'F': f64, 'v': v128}
	for _, rows := range [][]row{scalarRows, bulkRows, vectorRows} {
		for _, r := range rows {
			o := r.op
			o.known = true
			list := &o.in
			for _, c := range []byte(r.sig) {
				if c == ':' {
					list = &o.out
				} else {
					*list += string([]byte{byte(letters[c])})
				}
			}
			for n := r.first; n <= r.last; n++ {
				t[n] = o
			}
		}
	}
	return t
}

func mem(limit uint8) op            { return op{imm: immMem, limit: limit} }
func memLane(limit, lanes uint8) op { return op{imm: immMemLane, limit: limit, lanes: lanes} }
func lane(lanes uint8) op           { return op{imm: immLane, lanes: lanes} }

var (
	special = op{imm: immSpecial}
	numbers = op{sight: seesNumbers}
	compute = op{sight: computes}
	carry   = op{sight: carries}
)

var scalarRows = []row{
	{opUnreachable, opElse, "", special}, {opEnd, opCallIndirect, "", special}, {opDrop, opSelectTyped, "", special},
	{opLocalGet, opTableSet, "", special}, {opRefNull, opRefFunc, "", special},
	{0x28, 0x28, "i:i", mem(2)}, {0x29, 0x29, "i:I", mem(3)}, {0x2a, 0x2a, "i:f", mem(2)}, {0x2b, 0x2b, "i:F", mem(3)},
	{0x2c, 0x2d, "i:i", mem(0)}, {0x2e, 0x2f, "i:i", mem(1)},
	{0x30, 0x31, "i:I", mem(0)}, {0x32, 0x33, "i:I", mem(1)}, {0x34, 0x35, "i:I", mem(2)},
	{0x36, 0x36, "ii:", mem(2)}, {0x37, 0x37, "iI:", mem(3)}, {0x38, 0x38, "if:", mem(2)}, {0x39, 0x39, "iF:", mem(3)},
	{0x3a, 0x3a, "ii:", mem(0)}, {0x3b, 0x3b, "ii:", mem(1)},
	{0x3c, 0x3c, "iI:", mem(0)}, {0x3d, 0x3d, "iI:", mem(1)}, {0x3e, 0x3e, "iI:", mem(2)},
	{0x3f, 0x3f, ":i", op{imm: immZero}}, {opMemoryGrow, opMemoryGrow, "i:i", op{imm: immZero}},
	{opI32Const, opI32Const, ":i", special}, {opI64Const, opI64Const, ":I", special},
	{opF32Const, opF32Const, ":f", special}, {opF64Const, opF64Const, ":F", special},
	{0x45, 0x45, "i:i", op{}}, {opI32Eq, 0x4f, "ii:i", op{}},
	{0x50, 0x50, "I:i", op{}}, {opI64Eq, 0x5a, "II:i", op{}},
	{0x5b, 0x60, "ff:i", numbers}, {0x61, 0x66, "FF:i", numbers},
	{0x67, 0x69, "i:i", op{}}, {0x6a, 0x78, "ii:i", op{}},
	{0x79, 0x7b, "I:I", op{}}, {opI64Add, 0x8a, "II:I", op{}},
	{0x8b, 0x8c, "f:f", carry}, {0x8d, 0x91, "f:f", compute}, {0x92, 0x97, "ff:f", compute}, {0x98, 0x98, "ff:f", carry},
	{0x99, 0x9a, "F:F", carry}, {0x9b, 0x9f, "F:F", compute}, {0xa0, 0xa5, "FF:F", compute}, {0xa6, 0xa6, "FF:F", carry},
	{0xa7, 0xa7, "I:i", op{}}, {0xa8, 0xa9, "f:i", numbers}, {0xaa, 0xab, "F:i", numbers},
	{0xac, opI64ExtendU, "i:I", op{}}, {0xae, 0xaf, "f:I", numbers}, {0xb0, 0xb1, "F:I", numbers},
	{0xb2, 0xb3, "i:f", op{}}, {0xb4, 0xb5, "I:f", op{}}, {0xb6, 0xb6, "F:f", compute},
	{0xb7, 0xb8, "i:F", op{}}, {0xb9, 0xba, "I:F", op{}}, {0xbb, 0xbb, "f:F", compute},
	{0xbc, 0xbc, "f:i", op{}}, {0xbd, 0xbd, "F:I", op{}}, {0xbe, 0xbe, "i:f", op{}}, {0xbf, 0xbf, "I:F", op{}},
	{0xc0, 0xc1, "i:i", op{}}, {0xc2, 0xc4, "I:I", op{}},
}

var bulkRows = []row{
	{bulkOps + 0, bulkOps + 1, "f:i", numbers}, {bulkOps + 2, bulkOps + 3, "F:i", numbers},
	{bulkOps + 4, bulkOps + 5, "f:I", numbers}, {bulkOps + 6, bulkOps + 7, "F:I", numbers},
	{opMemoryInit, opMemoryInit, "iii:", special}, {opDataDrop, opDataDrop, "", op{imm: immIndex}},
	{opMemoryCopy, opMemoryCopy, "iii:", op{imm: immZeros}}, {opMemoryFill, opMemoryFill, "iii:", op{imm: immZero}},
	{opTableInit, opTableInit, "iii:", op{imm: immIndices}}, {opElemDrop, opElemDrop, "", op{imm: immIndex}},
	{opTableCopy, opTableCopy, "iii:", op{imm: immIndices}}, {opTableGrow, opTableFill, "", op{imm: immIndex}},
}

func vectorNumbers(s shape) op        { return op{sight: seesNumbers, from: s} }
func vectorCompute(from, to shape) op { return op{sight: computes, from: from, to: to} }
func splat(s shape) op                { return op{sight: computes, to: s} }
func extract(s shape, lanes uint8) op { return op{imm: immLane, lanes: lanes, sight: carries, from: s} }
func vrow(first, last int, sig string, o op) row {
	return row{vectorOps + first, vectorOps + last, sig, o}
}

var vectorRows = []row{
	vrow(0x00, 0x00, "i:v", mem(4)), vrow(0x01, 0x06, "i:v", mem(3)), vrow(0x07, 0x07, "i:v", mem(0)),
	vrow(0x08, 0x08, "i:v", mem(1)), vrow(0x09, 0x09, "i:v", mem(2)), vrow(0x0a, 0x0a, "i:v", mem(3)),
	vrow(0x0b, 0x0b, "iv:", mem(4)), vrow(0x0c, 0x0c, ":v", special), vrow(0x0d, 0x0d, "vv:v", op{imm: immShuffle}),
	vrow(0x0e, 0x0e, "vv:v", op{}), vrow(0x0f, 0x11, "i:v", op{}), vrow(0x12, 0x12, "I:v", op{}),
	vrow(0x13, 0x13, "f:v", splat(f32x4)), vrow(0x14, 0x14, "F:v", splat(f64x2)),
	vrow(0x15, 0x16, "v:i", lane(16)), vrow(0x17, 0x17, "vi:v", lane(16)), vrow(0x18, 0x19, "v:i", lane(8)),
	vrow(0x1a, 0x1a, "vi:v", lane(8)), vrow(0x1b, 0x1b, "v:i", lane(4)), vrow(0x1c, 0x1c, "vi:v", lane(4)),
	vrow(0x1d, 0x1d, "v:I", lane(2)), vrow(0x1e, 0x1e, "vI:v", lane(2)),
	vrow(0x1f, 0x1f, "v:f", extract(f32x4, 4)), vrow(0x20, 0x20, "vf:v", lane(4)),
	vrow(0x21, 0x21, "v:F", extract(f64x2, 2)), vrow(0x22, 0x22, "vF:v", lane(2)),
	vrow(0x23, 0x40, "vv:v", op{}), vrow(0x41, 0x46, "vv:v", vectorNumbers(f32x4)),
	vrow(0x47, 0x4c, "vv:v", vectorNumbers(f64x2)),
	vrow(0x4d, 0x4d, "v:v", op{}), vrow(0x4e, 0x51, "vv:v", op{}), vrow(0x52, 0x52, "vvv:v", op{}),
	vrow(0x53, 0x53, "v:i", op{}),
	vrow(0x54, 0x54, "iv:v", memLane(0, 16)), vrow(0x55, 0x55, "iv:v", memLane(1, 8)),
	vrow(0x56, 0x56, "iv:v", memLane(2, 4)), vrow(0x57, 0x57, "iv:v", memLane(3, 2)),
	vrow(0x58, 0x58, "iv:", memLane(0, 16)), vrow(0x59, 0x59, "iv:", memLane(1, 8)),
	vrow(0x5a, 0x5a, "iv:", memLane(2, 4)), vrow(0x5b, 0x5b, "iv:", memLane(3, 2)),
	vrow(0x5c, 0x5c, "i:v", mem(2)), vrow(0x5d, 0x5d, "i:v", mem(3)),
	vrow(0x5e, 0x5e, "v:v", vectorCompute(f64x2, f32x4)), vrow(0x5f, 0x5f, "v:v", vectorCompute(f32x4, f64x2)),
	vrow(0x60, 0x62, "v:v", op{}), vrow(0x63, 0x64, "v:i", op{}), vrow(0x65, 0x66, "vv:v", op{}),
	vrow(0x67, 0x6a, "v:v", vectorCompute(f32x4, f32x4)), vrow(0x6b, 0x6d, "vi:v", op{}), vrow(0x6e, 0x73, "vv:v", op{}),
	vrow(0x74, 0x75, "v:v", vectorCompute(f64x2, f64x2)), vrow(0x76, 0x79, "vv:v", op{}),
	vrow(0x7a, 0x7a, "v:v", vectorCompute(f64x2, f64x2)), vrow(0x7b, 0x7b, "vv:v", op{}), vrow(0x7c, 0x7f, "v:v", op{}),
	vrow(0x80, 0x81, "v:v", op{}), vrow(0x82, 0x82, "vv:v", op{}), vrow(0x83, 0x84, "v:i", op{}),
	vrow(0x85, 0x86, "vv:v", op{}), vrow(0x87, 0x8a, "v:v", op{}), vrow(0x8b, 0x8d, "vi:v", op{}),
	vrow(0x8e, 0x93, "vv:v", op{}), vrow(0x94, 0x94, "v:v", vectorCompute(f64x2, f64x2)),
	vrow(0x95, 0x99, "vv:v", op{}), vrow(0x9b, 0x9f, "vv:v", op{}),
	vrow(0xa0, 0xa1, "v:v", op{}), vrow(0xa3, 0xa4, "v:i", op{}), vrow(0xa7, 0xaa, "v:v", op{}),
	vrow(0xab, 0xad, "vi:v", op{}), vrow(0xae, 0xae, "vv:v", op{}), vrow(0xb1, 0xb1, "vv:v", op{}),
	vrow(0xb5, 0xba, "vv:v", op{}), vrow(0xbc, 0xbf, "vv:v", op{}),
	vrow(0xc0, 0xc1, "v:v", op{}), vrow(0xc3, 0xc4, "v:i", op{}), vrow(0xc7, 0xca, "v:v", op{}),
	vrow(0xcb, 0xcd, "vi:v", op{}), vrow(0xce, 0xce, "vv:v", op{}), vrow(0xd1, 0xd1, "vv:v", op{}),
	vrow(0xd5, 0xdb, "vv:v", op{}), vrow(0xdc, 0xdf, "vv:v", op{}),
	vrow(0xe0, 0xe1, "v:v", op{}), vrow(0xe3, 0xe3, "v:v", vectorCompute(f32x4, f32x4)),
	vrow(0xe4, 0xe9, "vv:v", vectorCompute(f32x4, f32x4)), vrow(0xea, 0xeb, "vv:v", op{}),
	vrow(0xec, 0xed, "v:v", op{}), vrow(0xef, 0xef, "v:v", vectorCompute(f64x2, f64x2)),
	vrow(0xf0, 0xf5, "vv:v", vectorCompute(f64x2, f64x2)), vrow(0xf6, 0xf7, "vv:v", op{}),
	vrow(0xf8, 0xf9, "v:v", vectorNumbers(f32x4)), vrow(0xfa, 0xfb, "v:v", op{}),
	vrow(0xfc, 0xfd, "v:v", vectorNumbers(f64x2)), vrow(0xfe, 0xff, "v:v", op{}),
}
