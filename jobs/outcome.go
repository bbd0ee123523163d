package jobs

import "fmt"

// Outcome is how the execution of one input ended. All but GaveUp are the same on every
// machine and so can be compared; GaveUp is about the machine it happened on.
type Outcome uint8

const (
	// OK is exit code 0.
	OK Outcome = iota
	// Exit is an exit code other than 0.
	Exit
	// Trap is a WebAssembly trap: unreachable, out of bounds, division by zero, …
	Trap
	// FuelLimit is more fuel asked for than the job allows.
	FuelLimit
	// MemoryLimit is a program that ended without success after memory was refused to it
	// at the job's limit.
	MemoryLimit
	// OutputLimit is more output than the job allows.
	OutputLimit
	// StackLimit is a recursion deeper than every node allows.
	StackLimit
	// GaveUp is this host's real time, memory or stack running out: no result.
	GaveUp

	numOutcomes
)

var outcomeNames = [numOutcomes]string{"ok", "exit", "trap", "fuel", "memory", "output", "stack", "gave up"}

// String is the outcome's name as users see it.
func (o Outcome) String() string {
	if o < numOutcomes {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Valid reports whether o is one of the outcomes above.
func (o Outcome) Valid() bool { return o < numOutcomes }

// Failed reports whether o is a deterministic failure.
func (o Outcome) Failed() bool { return o != OK && o != GaveUp && o.Valid() }
