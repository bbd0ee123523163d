package prepare

import "slices"

// Section ids, and the order in which sections may come.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
	"element", "code", "data", "data count"}

// sectionOrder lists the ids in the order that modules must keep; custom sections may stand anywhere.
var sectionOrder = []byte{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal,
	sectionExport, sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData}

const magic = "\x00asm\x01\x00\x00\x00"

// maxMemoryPages is the 4 GiB that 32 bits reach.
const maxMemoryPages = 1 << 16

func readModule(original []byte) *module {
	m := &module{original: original, exported: map[string]bool{}}
	r := &reader{section: "module", all: original}
	r.magic()
	last := -1
	for !r.done() {
		id := r.byte()
		if int(id) >= len(sectionNames) {
			r.refuseAt(r.pos-1, "unknown section %d", id)
		}
		s := r.sub(r.u32())
		s.section = sectionNames[id]
		if id != sectionCustom {
			place := slices.Index(sectionOrder, id)
			if place <= last {
				s.refuse("section out of order or twice")
			}
			last = place
		}
		m.readSection(id, &s)
		if !s.done() {
			s.refuse("%d bytes left over", len(s.all)-s.pos)
		}
	}
	m.sameType = sameTypes(m.types)
	if len(m.funcs)-m.importedFuncs != len(m.bodies) {
		r.refuse("%d functions declared, %d bodies", len(m.funcs)-m.importedFuncs, len(m.bodies))
	}
	if m.hasDataCount && int(m.dataCount) != len(m.datas) {
		r.refuse("%d data segments announced, %d found", m.dataCount, len(m.datas))
	}
	return m
}

// sameTypes gives, for each type, the first that is equal to it.
func sameTypes(all []funcType) []int {
	same := make([]int, len(all))
	first := make(map[funcType]int, len(all))
	for i, t := range all {
		if _, known := first[t]; !known {
			first[t] = i
		}
		same[i] = first[t]
	}
	return same
}

func (m *module) readSection(id byte, r *reader) {
	switch id {
	case sectionCustom:
		m.readCustom(r)
	case sectionStart:
		m.readStart(r)
	case sectionDataCount:
		m.dataCount, m.hasDataCount = r.u32(), true
	default:
		read := map[byte]func(*reader){
			sectionType: m.readType, sectionImport: m.readImport, sectionFunction: m.readFunction,
			sectionTable: m.readTable, sectionMemory: m.readMemory, sectionGlobal: m.readGlobal,
			sectionExport: m.readExport, sectionElement: m.readElement, sectionCode: m.readCode,
			sectionData: m.readData,
		}[id]
		for n := r.u32(); n > 0; n-- { // each entry takes a byte at least, so a false count ends soon
			read(r)
		}
	}
}

// declare notes that a function is referred to. All functions are known by then: their section comes first.
func (m *module) declare(function uint32) {
	if m.declared == nil {
		m.declared = make([]bool, len(m.funcs))
	}
	m.declared[function] = true
}

func (m *module) readType(r *reader) {
	if b := r.byte(); b != 0x60 {
		r.refuseAt(r.pos-1, "unknown kind of type %#x", b)
	}
	m.types = append(m.types, funcType{params: readTypes(r), results: readTypes(r)})
}

func readTypes(r *reader) types {
	b := r.bytes(r.u32())
	for i, t := range b {
		if !valType(t).valid() {
			r.refuseAt(r.pos-len(b)+i, "unknown value type %#x", t)
		}
	}
	return types(b)
}

func (m *module) readImport(r *reader) {
	e := importEntry{module: r.name(), name: r.name(), kind: r.byte()}
	switch e.kind {
	case kindFunc:
		m.funcs = append(m.funcs, m.readTypeIndex(r))
		e.index = uint32(m.importedFuncs)
		m.importedFuncs++
	case kindTable:
		m.readTable(r)
		e.index = uint32(m.importedTables)
		m.importedTables++
	case kindMemory:
		m.readMemory(r)
		m.importedMemories++
	case kindGlobal:
		m.globals = append(m.globals, readGlobalType(r))
		e.index = uint32(m.importedGlobals)
		m.importedGlobals++
	default:
		r.refuseAt(r.pos-1, "unknown kind of import %#x", e.kind)
	}
	m.imports = append(m.imports, e)
}

func (m *module) readTypeIndex(r *reader) uint32 {
	return checkIndex(r, "type", r.u32(), len(m.types))
}

func checkIndex(r *reader, what string, index uint32, count int) uint32 {
	if uint64(index) >= uint64(count) {
		r.refuse("%s %d of %d", what, index, count)
	}
	return index
}

func (m *module) readFunction(r *reader) { m.funcs = append(m.funcs, m.readTypeIndex(r)) }

func (m *module) readTable(r *reader) {
	t := tableType{elem: valType(r.byte())}
	if !t.elem.reference() {
		r.refuseAt(r.pos-1, "table of %s", t.elem)
	}
	t.limits = readLimits(r)
	m.tables = append(m.tables, t)
}

func (m *module) readMemory(r *reader) {
	l := readLimits(r)
	if l.min > maxMemoryPages || l.max > maxMemoryPages {
		r.refuse("memory of more than 4 GiB")
	}
	if len(m.memories) > 0 {
		r.refuse("more than one memory")
	}
	m.memories = append(m.memories, l)
}

func readLimits(r *reader) limits {
	var l limits
	switch flag := r.byte(); flag {
	case 0:
		l.min = r.u32()
	case 1:
		l.min, l.max, l.bounded = r.u32(), r.u32(), true
		if l.min > l.max {
			r.refuse("minimum %d above maximum %d", l.min, l.max)
		}
	default:
		r.refuseAt(r.pos-1, "unknown limits %#x", flag)
	}
	return l
}

func readGlobalType(r *reader) globalType {
	g := globalType{typ: valType(r.byte())}
	if !g.typ.valid() {
		r.refuseAt(r.pos-1, "unknown value type %#x", byte(g.typ))
	}
	switch flag := r.byte(); flag {
	case 0:
	case 1:
		g.mutable = true
	default:
		r.refuseAt(r.pos-1, "unknown mutability %#x", flag)
	}
	return g
}

func (m *module) readGlobal(r *reader) {
	g := readGlobalType(r)
	m.inits = append(m.inits, m.readConst(r, g.typ))
	m.globals = append(m.globals, g)
}

func (m *module) readExport(r *reader) {
	e := exportEntry{name: r.name(), kind: r.byte()}
	if reservedName(e.name) {
		r.refuse("export %q: the name is reserved", e.name)
	}
	if m.exported[e.name] {
		r.refuse("two exports named %q", e.name)
	}
	m.exported[e.name] = true
	e.index = r.u32()
	switch e.kind {
	case kindFunc:
		m.declare(checkIndex(r, "function", e.index, len(m.funcs)))
	case kindTable:
		checkIndex(r, "table", e.index, len(m.tables))
	case kindMemory:
		checkIndex(r, "memory", e.index, len(m.memories))
	case kindGlobal:
		checkIndex(r, "global", e.index, len(m.globals))
	default:
		r.refuse("unknown kind of export %#x", e.kind)
	}
	m.exports = append(m.exports, e)
}

func (m *module) readStart(r *reader) {
	m.start, m.hasStart = checkIndex(r, "function", r.u32(), len(m.funcs)), true
	if t := m.funcType(m.start); t != (funcType{}) {
		r.refuse("start function takes or gives values")
	}
}

func (m *module) readCode(r *reader) {
	n := r.u32()
	start := r.pos
	r.bytes(n)
	m.bodies = append(m.bodies, body{start: start, end: r.pos})
}
