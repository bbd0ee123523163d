package prepare

// valType is a value type as the binary format writes it; bottom stands for any type, in code that cannot be reached.
type valType byte

const (
	bottom    valType = 0
	i32       valType = 0x7f
	i64       valType = 0x7e
	f32       valType = 0x7d
	f64       valType = 0x7c
	v128      valType = 0x7b
	funcref   valType = 0x70
	externref valType = 0x6f
)

func (t valType) valid() bool     { return t >= v128 && t <= i32 || t.reference() }
func (t valType) reference() bool { return t == funcref || t == externref }

func (t valType) String() string {
	switch t {
	case i32:
		return "i32"
	case i64:
		return "i64"
	case f32:
		return "f32"
	case f64:
		return "f64"
	case v128:
		return "v128"
	case funcref:
		return "funcref"
	case externref:
		return "externref"
	}
	return "any"
}

// types is a list of value types, as a string so that it compares.
type types = string

type funcType struct{ params, results types }

type limits struct {
	min, max uint32
	bounded  bool
}

// within are the limits with a maximum of at most n, unless they start above it.
func (l limits) within(n uint32) limits {
	if !l.bounded || l.max > n {
		l.max, l.bounded = max(n, l.min), true
	}
	return l
}

type tableType struct {
	elem valType
	limits
}

type globalType struct {
	typ     valType
	mutable bool
}

// Kinds of things that are imported and exported.
const (
	kindFunc = iota
	kindTable
	kindMemory
	kindGlobal
)

type importEntry struct {
	module, name string
	kind         byte
	index        uint32 // into types, tables, memories or globals, by kind
}

type exportEntry struct {
	name  string
	kind  byte
	index uint32
}

// constExpr is a checked constant expression, encoded shortest, its end included.
type constExpr []byte

// Ways in which a segment reaches its table or memory.
const (
	segmentActive = iota
	segmentPassive
	segmentDeclared
)

type elemSegment struct {
	mode   byte
	table  uint32
	offset constExpr
	typ    valType
	items  []constExpr // when the segment spells expressions
	funcs  []uint32    // when it lists functions
}

type dataSegment struct {
	mode   byte
	offset constExpr
	bytes  []byte
}

// body is one function body as it stands in the original: local declarations and code.
type body struct{ start, end int }

// module is the original, decoded and checked except for its function bodies. Index spaces hold imports first.
type module struct {
	original []byte

	types    []funcType
	imports  []importEntry
	funcs    []uint32 // type of each function
	tables   []tableType
	memories []limits
	globals  []globalType
	inits    []constExpr // of the module's own globals
	exports  []exportEntry
	exported map[string]bool
	start    uint32
	hasStart bool
	elems    []elemSegment
	datas    []dataSegment
	bodies   []body
	names    []byte // the name section's function names, checked; nil when there are none

	dataCount    uint32
	hasDataCount bool

	importedFuncs, importedTables, importedMemories, importedGlobals int

	// declared holds the functions that code may take references to: the only ones an indirect call can reach.
	declared []bool

	// sameType gives the first type equal to each; indirect calls are known by those.
	sameType []int
}

func (m *module) funcType(index uint32) funcType { return m.types[m.funcs[index]] }

// blockType gives what a block takes and leaves, from the number that the format writes for it.
func (m *module) blockType(n int64) funcType {
	switch {
	case n == emptyBlock:
		return funcType{}
	case n < 0:
		return funcType{results: types([]byte{byte(n & 0x7f)})}
	}
	return m.types[n]
}
