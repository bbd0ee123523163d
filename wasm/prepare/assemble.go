package prepare

import "slices"

// The two globals stand behind the original's, whose indices were all checked against its own number of globals: no
// original can name them.
func (m *module) fuelGlobal() uint32  { return uint32(len(m.globals)) }
func (m *module) stackGlobal() uint32 { return uint32(len(m.globals)) + 1 }

// assemble writes the prepared module around its rewritten bodies.
func assemble(m *module, code []byte) []byte {
	out := append(make([]byte, 0, len(m.original)+len(m.original)/2), magic...)
	out = appendVector(out, sectionType, m.types, func(b []byte, t funcType) []byte {
		b = append(b, 0x60)
		return appendName(appendName(b, t.params), t.results)
	})
	out = appendVector(out, sectionImport, m.imports, m.appendImport)
	out = appendVector(out, sectionFunction, m.funcs[m.importedFuncs:], appendU32)
	out = appendVector(out, sectionTable, m.tables[m.importedTables:], func(b []byte, t tableType) []byte {
		t.limits = t.limits.within(MaxTable)
		return appendTable(b, t)
	})
	out = appendVector(out, sectionMemory, m.memories[m.importedMemories:], appendLimits)
	out = appendSection(out, sectionGlobal, m.appendGlobals(nil))
	out = appendVector(out, sectionExport, m.ownExports(), func(b []byte, e exportEntry) []byte {
		return appendU32(append(appendName(b, e.name), e.kind), e.index)
	})
	out = appendVector(out, sectionElement, m.elems, appendElement)
	if m.hasDataCount {
		out = appendSection(out, sectionDataCount, appendU32(nil, m.dataCount))
	}
	if len(m.bodies) > 0 {
		out = appendSection(out, sectionCode, code)
	}
	out = appendVector(out, sectionData, m.datas, appendData)
	if m.names != nil {
		custom := append(appendName(nil, "name"), functionNames)
		out = appendSection(out, sectionCustom, append(appendU32(custom, uint32(len(m.names))), m.names...))
	}
	return out
}

func appendSection(out []byte, id byte, content []byte) []byte {
	return append(appendU32(append(out, id), uint32(len(content))), content...)
}

// appendVector writes a section of a list, unless the list is empty.
func appendVector[T any](out []byte, id byte, list []T, one func([]byte, T) []byte) []byte {
	if len(list) == 0 {
		return out
	}
	content := appendU32(nil, uint32(len(list)))
	for _, e := range list {
		content = one(content, e)
	}
	return appendSection(out, id, content)
}

func (m *module) appendImport(b []byte, e importEntry) []byte {
	b = append(appendName(appendName(b, e.module), e.name), e.kind)
	switch e.kind {
	case kindFunc:
		return appendU32(b, m.funcs[e.index])
	case kindTable:
		return appendTable(b, m.tables[e.index])
	case kindMemory:
		return appendLimits(b, m.memories[e.index])
	default:
		return appendGlobalType(b, m.globals[e.index])
	}
}

func appendTable(b []byte, t tableType) []byte {
	return appendLimits(append(b, byte(t.elem)), t.limits)
}

func appendLimits(b []byte, l limits) []byte {
	if !l.bounded {
		return appendU32(append(b, 0), l.min)
	}
	return appendU32(appendU32(append(b, 1), l.min), l.max)
}

func appendGlobalType(b []byte, g globalType) []byte {
	if g.mutable {
		return append(b, byte(g.typ), 1)
	}
	return append(b, byte(g.typ), 0)
}

// appendGlobals writes the original's globals, the fuel and the stack.
func (m *module) appendGlobals(b []byte) []byte {
	own := m.globals[m.importedGlobals:]
	b = appendU32(b, uint32(len(own)+2))
	for i, g := range own {
		b = append(appendGlobalType(b, g), m.inits[i]...)
	}
	for _, start := range []int64{0, Stack} {
		b = appendGlobalType(b, globalType{typ: i64, mutable: true})
		b = append(appendSigned(append(b, opI64Const), start), opEnd)
	}
	return b
}

func (m *module) ownExports() []exportEntry {
	own := append(slices.Clip(m.exports),
		exportEntry{FuelGlobal, kindGlobal, m.fuelGlobal()},
		exportEntry{StackGlobal, kindGlobal, m.stackGlobal()})
	if m.hasStart {
		own = append(own, exportEntry{StartFunction, kindFunc, m.start})
	}
	return own
}

func appendElement(b []byte, s elemSegment) []byte {
	flag := uint32(elemExplicit) // the table and the kind of items are always spelled out
	switch s.mode {
	case segmentPassive:
		flag = elemNotActive
	case segmentDeclared:
		flag = elemNotActive | elemExplicit
	}
	expressions := s.items != nil || s.typ != funcref
	if expressions {
		flag |= elemExpression
	}
	b = appendU32(b, flag)
	if s.mode == segmentActive {
		b = append(appendU32(b, s.table), s.offset...)
	}
	if expressions {
		b = append(b, byte(s.typ))
	} else {
		b = append(b, 0)
	}
	b = appendU32(b, uint32(len(s.items)+len(s.funcs)))
	for _, e := range s.items {
		b = append(b, e...)
	}
	for _, f := range s.funcs {
		b = appendU32(b, f)
	}
	return b
}

func appendData(b []byte, s dataSegment) []byte {
	if s.mode == segmentPassive {
		b = append(b, dataPassive)
	} else {
		b = append(append(b, dataActive), s.offset...)
	}
	return append(appendU32(b, uint32(len(s.bytes))), s.bytes...)
}
