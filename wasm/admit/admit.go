// Package admit decides whether the grid takes a program, before anything else looks at
// its bytes. It reads the module once, front to back, in bounded memory, and answers in
// milliseconds for every module, however hostile: what it lets through can be compiled in
// bounded time and memory.
//
// It does not validate types: that is the compiler's business, in a child of its own.
package admit

import (
	"fmt"
	"io"
	"math"
	"time"
)

// The limits of a program. They are part of what a profile is: every node refuses the same
// programs. Beside each is the most that was seen in real modules of Go, Rust, C and Zig,
// or what it costs the compiler when it is reached.
const (
	MaxModule   = 32 << 20 // bytes
	MaxTypes    = 10_000
	MaxFuncs    = 100_000
	MaxValues   = 1_000 // parameters and results of a function together
	MaxImports  = 1_000
	MaxExports  = 100_000
	MaxGlobals  = 100_000
	MaxSegments = 100_000 // data or element segments
	MaxTables   = 16
	MaxTable    = 1_000_000 // elements a table starts with
	MaxName     = 10_000    // bytes of an import's or export's name

	MaxBody    = 1 << 20 // bytes of one function's code
	MaxLocals  = 2_000   // parameters included
	MaxTargets = 16_384  // of the br_tables of a function

	// What a function, and the whole module, may cost the compiler. It takes time, at
	// worst and on one core of 2024, of a microsecond for each local variable, and for each
	// value taken along, at each branch, of a tenth of one for each pair of branches (a
	// block, loop, if, else or any kind of br is a branch), and of a microsecond for each
	// value that a call takes or gives. Go's own compiler, 49 MB, comes to 4 s and 43 s
	// without the values, of which real programs pass few.
	MaxFunctionCost = 10 * time.Second
	MaxModuleCost   = 60 * time.Second
)

// cost is what the compiler may take for a function at worst.
func cost(values, branches, passed uint64) time.Duration {
	if branches > 1<<20 {
		return math.MaxInt64 / 2 // and no overflow
	}
	return time.Duration(values*branches+passed)*time.Microsecond + time.Duration(branches*branches)*time.Microsecond/10
}

// Refused says why the grid will not take a program, in a sentence for people.
type Refused struct {
	Reason string
}

// Error implements error.
func (r *Refused) Error() string { return r.Reason }

func refuse(format string, args ...any) {
	panic(&Refused{fmt.Sprintf(format, args...)})
}

// Summary is what a scan learns about a program besides that it may be taken.
type Summary struct {
	Memory  uint64   // bytes of memory that the program starts with
	Imports []string // functions of WASI, in the module's order
}

// Scan reads a module and returns a *Refused error when the grid will not take it.
// Another error is the reader's.
func Scan(r io.Reader) (summary Summary, err error) {
	m := &module{source: newSource(r)}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *Refused:
			err = failure
		case readError:
			err = fmt.Errorf("read the program: %w", failure.error)
		default:
			panic(failure)
		}
	}()
	m.scan()
	return m.summary, nil
}
