// Package prepare rewrites a WASI module so that it counts fuel, canonicalises NaNs and charges stack, the same on
// every machine.
//
// A prepared module computes what the original computes, on any engine, and besides:
//
//   - it counts the instructions that it executes and traps when its fuel is used up, at the same count everywhere;
//   - no bit of a NaN that an engine was free to choose reaches memory or an integer;
//   - it traps when calls nest too deep, at the same call everywhere, long before an engine's own stack ends;
//   - its tables grow to a size that is the same everywhere, and not as far as the host's memory reaches.
//
// The rewriter reads the whole original, validates it as the WebAssembly specification asks, refuses what it does not
// understand, and writes every instruction again in its shortest form, so that no engine reads a module otherwise than
// it did. Two passes do it: the first checks each function and learns its calls, its frame and where NaN bits would
// show (check.go, nan.go); the call graph then says which functions must charge (graph.go); the second writes
// (rewrite.go, assemble.go). What a host does with the result is in meter.go.
package prepare

// Version names the rules of this rewriter. It changes whenever a prepared module could count, or end, differently.
const Version = 2

// NaN says how faithfully NaN bits follow the specification; either choice gives the same bits on every machine.
type NaN uint8

const (
	// Lazy canonicalises where the bits of a computed NaN would show: stores, reinterpretations, sign copies and
	// integer views of vectors. A NaN payload that was carried through a parameter or a variable shared with
	// arithmetic is lost there, which only a program that hides data in NaNs can tell. Floats that are passed to an
	// imported function or given back by an exported one keep the engine's bits: WASI has neither.
	Lazy NaN = iota
	// Eager canonicalises the result of arithmetic before anything but arithmetic sees it; payloads survive as the
	// specification has it.
	Eager
)

// Options choose among rewrites. The zero value is what a grid on amd64 runs.
type Options struct {
	NaN NaN
	// LowerRemainders writes remainders as a-(a/b)*b, for engines that miscompile them (wazero v1.12.0 on arm64).
	// Fuel stays what it is for the original instruction.
	LowerRemainders bool
}

// Module prepares original. Equal arguments give equal bytes. An original that is not a valid module, or that uses
// what the rewriter does not know, comes back as a *Refused.
func Module(original []byte, o Options) (prepared []byte, err error) {
	defer refusing(&prepared, &err)
	m := readModule(original)
	plans := checkBodies(m, o)
	chargeCalls(m, plans)
	return assemble(m, rewriteBodies(m, plans, o)), nil
}

// refusing, deferred, gives the refusal with which a reader or the checker bailed out, from whatever depth.
func refusing(made *[]byte, err *error) {
	switch r := recover().(type) {
	case nil:
	case *Refused:
		*made, *err = nil, r
	default:
		panic(r)
	}
}
