package prepare

import "encoding/binary"

// readConst checks a constant expression of the given type and encodes it again.
func (m *module) readConst(r *reader, want valType) constExpr {
	at := r.pos
	var e constExpr
	var got valType
	switch op := r.byte(); op {
	case opI32Const:
		e, got = appendSigned(append(e, op), r.signed(32)), i32
	case opI64Const:
		e, got = appendSigned(append(e, op), r.signed(64)), i64
	case opF32Const:
		e, got = append(append(e, op), r.bytes(4)...), f32
	case opF64Const:
		e, got = append(append(e, op), r.bytes(8)...), f64
	case opVector:
		if r.u32() != opV128Const-vectorOps {
			r.refuseAt(at, "constant expression expected")
		}
		e, got = append(binary.AppendUvarint(append(e, op), uint64(opV128Const-vectorOps)), r.bytes(16)...), v128
	case opGlobalGet:
		index := checkIndex(r, "imported global", r.u32(), m.importedGlobals)
		if m.globals[index].mutable {
			r.refuseAt(at, "constant expression reads a mutable global")
		}
		e, got = appendU32(append(e, op), index), m.globals[index].typ
	case opRefNull:
		got = readRefType(r)
		e = append(e, op, byte(got))
	case opRefFunc:
		index := checkIndex(r, "function", r.u32(), len(m.funcs))
		m.declare(index)
		e, got = appendU32(append(e, op), index), funcref
	default:
		r.refuseAt(at, "constant expression expected, found opcode %#x", op)
	}
	if got != want {
		r.refuseAt(at, "constant of type %s where %s is wanted", got, want)
	}
	if r.byte() != opEnd {
		r.refuse("constant expression of more than one instruction")
	}
	return append(e, opEnd)
}

func readRefType(r *reader) valType {
	t := valType(r.byte())
	if !t.reference() {
		r.refuseAt(r.pos-1, "reference type expected, found %#x", byte(t))
	}
	return t
}

// Bits of an element segment's flag.
const (
	elemNotActive  = 1 << iota // passive, or declared with the next bit
	elemExplicit               // table and type are spelled out (or: declared)
	elemExpression             // items are expressions, not function indices
)

func (m *module) readElement(r *reader) {
	flag := r.u32()
	if flag >= 8 {
		r.refuse("unknown element segment %d", flag)
	}
	s := elemSegment{typ: funcref}
	switch {
	case flag&elemNotActive == 0:
		if flag&elemExplicit != 0 {
			s.table = r.u32()
		}
		checkIndex(r, "table", s.table, len(m.tables))
		s.offset = m.readConst(r, i32)
	case flag&elemExplicit != 0:
		s.mode = segmentDeclared
	default:
		s.mode = segmentPassive
	}
	if flag&(elemNotActive|elemExplicit) != 0 {
		m.readElementKind(r, &s, flag&elemExpression != 0)
	}
	if s.mode == segmentActive && m.tables[s.table].elem != s.typ {
		r.refuse("%s elements for a table of %s", s.typ, m.tables[s.table].elem)
	}
	for n := r.u32(); n > 0; n-- {
		if flag&elemExpression != 0 {
			s.items = append(s.items, m.readConst(r, s.typ))
			continue
		}
		index := checkIndex(r, "function", r.u32(), len(m.funcs))
		m.declare(index)
		s.funcs = append(s.funcs, index)
	}
	m.elems = append(m.elems, s)
}

func (m *module) readElementKind(r *reader, s *elemSegment, expressions bool) {
	if expressions {
		s.typ = readRefType(r)
	} else if kind := r.byte(); kind != 0 {
		r.refuseAt(r.pos-1, "unknown kind of elements %#x", kind)
	}
}

// Flags of a data segment.
const (
	dataActive = iota
	dataPassive
	dataExplicit
)

func (m *module) readData(r *reader) {
	var s dataSegment
	switch flag := r.u32(); flag {
	case dataActive:
		checkIndex(r, "memory", 0, len(m.memories))
		s.offset = m.readConst(r, i32)
	case dataPassive:
		s.mode = segmentPassive
	case dataExplicit:
		checkIndex(r, "memory", r.u32(), len(m.memories))
		s.offset = m.readConst(r, i32)
	default:
		r.refuse("unknown data segment %d", flag)
	}
	s.bytes = r.bytes(r.u32())
	m.datas = append(m.datas, s)
}

// functionNames is the part of the name section that is kept, for stack traces.
const functionNames = 1

// readCustom keeps the function names of a well-formed name section and lets everything else fall: no custom section
// means anything to a run, so nothing in one is a reason to refuse.
func (m *module) readCustom(r *reader) {
	name := r.name()
	rest := r.all[r.pos:]
	r.pos = len(r.all)
	if name != "name" {
		return
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Refused:
			m.names = nil
		default:
			panic(r)
		}
	}()
	for s := (&reader{section: "name", all: rest}); !s.done(); {
		id := s.byte()
		if part := s.sub(s.u32()); id == functionNames {
			m.names = readFunctionNames(&part)
		}
	}
}

func readFunctionNames(r *reader) []byte {
	n := r.u32()
	kept := appendU32(make([]byte, 0, len(r.all)-r.pos+5), n)
	next := uint64(0)
	for ; n > 0; n-- {
		index := r.u32()
		if uint64(index) < next {
			r.refuse("names out of order")
		}
		next = uint64(index) + 1
		kept = appendName(appendU32(kept, index), r.name())
	}
	if !r.done() {
		r.refuse("bytes left over")
	}
	return kept
}
