package admit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// module walks over a module's sections and keeps what later sections are judged by.
type module struct {
	*source
	summary Summary

	types    []signature
	funcs    []uint32 // type of each function, imported ones first
	imported int      // how many of them are imported
	bodies   int      // seen so far
	memories int
	start    bool // _start is exported as a function
	foreign  []string
	touching bool          // an imported function reads or writes memory
	cost     time.Duration // of compiling the functions so far, at worst
}

// signature is what matters of a function type.
type signature struct {
	params  int
	results int
}

// The sections of a module.
const (
	customSection = iota
	typeSection
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elementSection
	codeSection
	dataSection
	dataCountSection
)

// sectionOrder is the place of each section; the data count comes before the code.
var sectionOrder = [...]int{
	typeSection: 1, importSection: 2, functionSection: 3, tableSection: 4, memorySection: 5,
	globalSection: 6, exportSection: 7, startSection: 8, elementSection: 9, dataCountSection: 10, codeSection: 11, dataSection: 12,
}

// scan walks over the whole module.
func (m *module) scan() {
	m.magic()
	place := 0
	for !m.atEnd() {
		id := m.byte()
		size := uint64(m.u32())
		if int(id) >= len(sectionOrder) {
			refuse("malformed: section of unknown kind %d at byte %d", id, m.pos())
		}
		if size > MaxModule-m.pos() {
			refuse("truncated or larger than %d MiB: a section of %d bytes is announced", MaxModule>>20, size)
		}
		if id == customSection {
			m.skip(size)
			continue
		}
		if sectionOrder[id] <= place {
			refuse("malformed: section of kind %d is not in its place", id)
		}
		place = sectionOrder[id]
		m.part(size, func() { m.section(int(id)) })
	}
	m.verdict()
}

// part reads something that is exactly size bytes long.
func (m *module) part(size uint64, read func()) {
	end := m.pos() + size
	if end > m.end {
		refuse("malformed: something goes on beyond its end at byte %d", m.end)
	}
	before := m.within(end)
	read()
	if m.pos() != end {
		refuse("malformed: what should end at byte %d ends at %d", end, m.pos())
	}
	m.within(before)
}

func (m *module) section(id int) {
	switch id {
	case typeSection:
		m.each("types", MaxTypes, m.typ)
	case importSection:
		m.each("imports", MaxImports, m.importing)
		m.imported = len(m.funcs)
	case functionSection:
		m.each("functions", MaxFuncs, func() { m.declare(m.u32()) })
	case tableSection:
		m.each("tables", MaxTables, m.table)
	case memorySection:
		m.each("memories", 1, m.memory)
	case globalSection:
		m.each("globals", MaxGlobals, func() { m.globalType(); m.constant() })
	case exportSection:
		m.each("exports", MaxExports, m.exporting)
	case startSection:
		m.u32()
	case elementSection:
		m.each("element segments", MaxSegments, m.element)
	case dataCountSection:
		m.count("data segments", MaxSegments)
	case codeSection:
		m.code()
	case dataSection:
		m.each("data segments", MaxSegments, m.data)
	}
}

// each reads a count and that many entries.
func (m *module) each(what string, limit uint32, entry func()) {
	for n := m.count(what, limit); n > 0; n-- {
		entry()
	}
}

// verdict is about what only the whole module shows.
func (m *module) verdict() {
	if m.bodies != len(m.funcs)-m.imported {
		refuse("malformed: %d functions but %d bodies", len(m.funcs)-m.imported, m.bodies)
	}
	if len(m.foreign) > 0 {
		refuse("%s", foreignText(m.foreign))
	}
	if !m.start {
		refuse("no _start export: a library, or not built as a command for wasip1")
	}
	if m.touching && m.memories == 0 {
		refuse("imports WASI functions but has no memory for them")
	}
}

func foreignText(foreign []string) string {
	const shown = 8
	more := ""
	if n := len(foreign) - shown; n > 0 {
		foreign, more = foreign[:shown], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("imports %s%s, which the grid does not offer; it offers the functions of %s", strings.Join(foreign, ", "), more, offeredModule)
}

func (m *module) valueType() {
	switch t := m.byte(); t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
	default:
		refuse("uses a value type (0x%02x) that the grid does not take", t)
	}
}

func (m *module) typ() {
	if form := m.byte(); form != 0x60 {
		refuse("uses a type (0x%02x) that the grid does not take: garbage collection is not offered", form)
	}
	var s signature
	m.each("parameters", MaxValues, func() { m.valueType(); s.params++ })
	m.each("results", MaxValues, func() { m.valueType(); s.results++ })
	if n := s.params + s.results; n > MaxValues {
		refuse("%d parameters and results of a function; at most %d are taken", n, MaxValues)
	}
	m.types = append(m.types, s)
}

func (m *module) declare(typ uint32) {
	if int(typ) >= len(m.types) {
		refuse("malformed: function of unknown type %d", typ)
	}
	m.funcs = append(m.funcs, typ)
}

func (m *module) importing() {
	from, name := m.name(), m.name()
	switch kind := m.byte(); kind {
	case 0:
		m.declare(m.u32())
		if from != offeredModule || !slices.Contains(offered(), name) {
			m.foreign = append(m.foreign, printable(from)+"."+printable(name))
		}
		m.summary.Imports = append(m.summary.Imports, name)
		m.touching = m.touching || !slices.Contains([]string{"proc_exit", "sched_yield"}, name)
		return
	case 1:
		m.valueType()
		m.limits("table", MaxTable)
	case 2:
		m.memory()
	case 3:
		m.globalType()
	default:
		refuse("malformed: import of unknown kind %d", kind)
	}
	m.foreign = append(m.foreign, printable(from)+"."+printable(name)+" (not a function)")
}

func (m *module) exporting() {
	name, kind := m.name(), m.byte()
	index := m.u32()
	if kind > 3 {
		refuse("malformed: export of unknown kind %d", kind)
	}
	if name != "_start" || kind != 0 {
		return
	}
	if int(index) >= len(m.funcs) {
		refuse("malformed: _start is function %d of %d", index, len(m.funcs))
	}
	if s := m.types[m.funcs[index]]; s != (signature{}) {
		refuse("_start takes %d parameters and gives %d results; it should have none", s.params, s.results)
	}
	m.start = true
}

// limits reads the size something starts with.
func (m *module) limits(what string, limit uint64) uint64 {
	flags := m.byte()
	if flags > 1 {
		refuse("has a %s that is shared or of 64 bits, which the grid does not offer (flags 0x%02x)", what, flags)
	}
	start := uint64(m.u32())
	if flags == 1 {
		m.u32()
	}
	if start > limit {
		refuse("has a %s that starts with %d; at most %d are taken", what, start, limit)
	}
	return start
}

func (m *module) table() {
	if t := m.byte(); t != 0x70 && t != 0x6f {
		refuse("has a table of a type (0x%02x) that the grid does not take", t)
	}
	m.limits("table", MaxTable)
}

func (m *module) memory() {
	m.memories++
	m.summary.Memory = m.limits("memory", 1<<16) << 16
}

func (m *module) globalType() {
	m.valueType()
	if mut := m.byte(); mut > 1 {
		refuse("malformed: global that is neither constant nor variable")
	}
}

// constant passes over a constant expression.
func (m *module) constant() {
	switch op := m.byte(); op {
	case 0x41:
		m.signed(32)
	case 0x42:
		m.signed(64)
	case 0x43:
		m.skip(4)
	case 0x44:
		m.skip(8)
	case 0x23, 0xd2:
		m.u32()
	case 0xd0:
		m.valueType()
	case 0xfd:
		if m.u32() != 0x0c {
			refuse("has a constant expression that the grid does not take")
		}
		m.skip(16)
	default:
		refuse("has a constant expression that the grid does not take (0x%02x)", op)
	}
	if m.byte() != 0x0b {
		refuse("has a constant expression of several steps, which the grid does not take")
	}
}

func (m *module) element() {
	flags := m.u32()
	if flags > 7 {
		refuse("malformed: element segment of unknown kind %d", flags)
	}
	if flags&1 == 0 { // active
		if flags&2 != 0 {
			m.u32()
		}
		m.constant()
	}
	expressions := flags&4 != 0
	if flags&3 != 0 {
		if kind := m.byte(); expressions && kind != 0x70 && kind != 0x6f || !expressions && kind != 0 {
			refuse("malformed: element segment of unknown type 0x%02x", kind)
		}
	}
	m.each("elements of a segment", MaxTable, func() {
		if expressions {
			m.constant()
		} else {
			m.u32()
		}
	})
}

func (m *module) data() {
	flags := m.u32()
	if flags > 2 {
		refuse("malformed: data segment of unknown kind %d", flags)
	}
	if flags == 2 {
		m.u32()
	}
	if flags != 1 {
		m.constant()
	}
	m.skip(uint64(m.u32()))
}

// code walks over the bodies of the functions.
func (m *module) code() {
	m.each("function bodies", uint32(len(m.funcs)-m.imported), func() {
		size := m.count("bytes of a function", MaxBody)
		m.part(uint64(size), func() { m.body(m.imported + m.bodies) })
		m.bodies++
	})
}
