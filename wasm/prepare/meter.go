package prepare

import "strings"

// Names under which a prepared module exports what its host needs. An original that exports a name with this prefix is
// refused.
const (
	// FuelGlobal is a mutable i64: the fuel that is left. It starts at 0. The host sets it before it calls anything,
	// reads it afterwards, and what is missing was used. After a trap it stands where the last call left it, which is
	// the same everywhere.
	FuelGlobal = "shoal.fuel"
	// StackGlobal is a mutable i64: the bytes of stack that calls may still take. It starts at Stack; the host sets it
	// again before it calls into an instance that has trapped. What a trap leaves in memory, and in the original's own
	// globals, is not part of any promise: float stores may have been waiting for their check.
	StackGlobal = "shoal.stack"
	// StartFunction is the original's start function, if it has one. The host calls it once, with fuel, after
	// instantiating and before anything else.
	StartFunction = "shoal.start"

	reservedPrefix = "shoal."
)

// Stack is how many bytes of stack calls may take together in a prepared module, as this package counts them. Both of
// wazero's compilers have at least 50 MB, and the count is more than what they take but for functions made to exceed it.
// An engine that runs out earlier all the same ends with its own error and Nothing exhausted: its host gives up, and says
// nothing about the program.
const Stack = 32 << 20

// MaxTable is how many elements a table of a prepared module may grow to, whatever the original says: beyond it
// table.grow fails on every machine, and not where the host has no memory left.
const MaxTable = 1_000_000

// Exhaustion says which of its allowances a run used up.
type Exhaustion uint8

// What a run ran out of.
const (
	Nothing Exhaustion = iota // it ended, exited or trapped for reasons of its own
	OutOfFuel
	OutOfStack
)

// Exhausted tells, from the values of the two globals after a run that set them, however it ended, what it ran out of.
// A run that ended well may still have used more fuel than it had, after the last test: that is OutOfFuel too.
func Exhausted(fuel, stack uint64) Exhaustion {
	switch {
	case int64(stack) < 0:
		return OutOfStack // and fuel is what was left, at the call that did not fit
	case int64(fuel) < 0:
		return OutOfFuel
	}
	return Nothing
}

// FuelUsed is what a run counts for that was given budget and left fuel: all of it when it ran out.
func FuelUsed(budget, fuel uint64) uint64 {
	if int64(fuel) < 0 {
		return budget
	}
	return budget - fuel
}

func reservedName(name string) bool { return strings.HasPrefix(name, reservedPrefix) }

// fuelOf is what an instruction costs. Marks of structure do nothing at run time; bulk operations cost more by their
// length, and memory.grow by its pages, see chargeBulk.
func fuelOf(o opcode) uint32 {
	switch o {
	case opNop, opBlock, opLoop, opElse, opEnd:
		return 0
	}
	return 1
}

// Extra fuel of operations whose work depends on an operand.
const (
	bytesPerFuel = 8    // of memory and tables that are filled, copied and initialised
	fuelPerPage  = 1024 // of memory that is grown
)

// bulk tells whether an operation's work depends on the operand on top of the stack.
func bulk(o opcode) bool {
	switch o {
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}

// minFrame is what the smallest call takes on a compiler's stack: return address, frame pointer, saved registers.
const minFrame = 96

// frameBytes estimates what one call of the checked function takes. Engines keep a slot for each value that they cannot
// hold in a register, and seldom use one twice; where ways come together, a local that was set on one of them is a new
// value, of which about every second one is still wanted. What is passed to callees lies in the frame too.
func frameBytes(c *checker) uint32 {
	slot := uint32(8)
	if c.wide {
		slot = 16
	}
	n := minFrame + slot*uint32(c.locals.count()+c.depth+c.sets+c.merged/2+c.passed)
	if c.callsOut {
		n += minFrame
	}
	return n
}
