// Package jail locks the process that calls it in: a child that is about to run, or to
// compile, what a stranger wrote. Behind the walls of WebAssembly this is the second wall:
// code that got out of its sandbox finds itself in a process that may open nothing, reach
// nobody, start nothing and use no more than its share.
//
// Every lock is tried, and each that cannot be had is reported: which of them are essential
// is said here, what to do without them is the caller's decision.
package jail

import "time"

// Lock is one protection, as it turned out.
type Lock struct {
	Name      string `json:"name"`
	Essential bool   `json:"essential"`         // without it a guest that escapes can do harm
	Missing   string `json:"missing,omitempty"` // why it does not hold; empty when it does
}

// Holds reports whether the lock could be had.
func (l Lock) Holds() bool { return l.Missing == "" }

// Plan is what the process will still need.
type Plan struct {
	Memory    uint64        // bytes of data that it may have
	CPU       time.Duration // CPU time after which the kernel kills it
	Files     uint64        // open files, those already open included
	FileSize  uint64        // bytes of a file that it writes; 0 is none
	WriteDir  string        // the one folder in which it may make and read files, or none
	Idle      bool          // use only cycles that nobody else wants
	Executing bool          // it will still make code and run it
}

// The locks. Each system has those that it has something for.
const (
	Rlimits       = "resource limits"
	Priority      = "idle priority"
	OOMScore      = "first to go when memory runs out"
	NoPrivileges  = "no new privileges"
	NotInspected  = "closed to other processes"
	Files         = "no files, no network (Landlock)"
	SystemCalls   = "no system calls but a few (seccomp)"
	ProcessLimits = "job object"
)

// essential are the locks without which nothing stands behind WebAssembly itself.
func essential(name string) bool {
	return name == Rlimits || name == NoPrivileges || name == SystemCalls
}

// locks gathers how the locks turned out.
type locks []Lock

// add notes a lock; err is why it does not hold.
func (l *locks) add(name string, err error) {
	lock := Lock{Name: name, Essential: essential(name)}
	if err != nil {
		lock.Missing = err.Error()
	}
	*l = append(*l, lock)
}

// Missing returns the essential locks that do not hold.
func Missing(all []Lock) (missing []Lock) {
	for _, l := range all {
		if l.Essential && !l.Holds() {
			missing = append(missing, l)
		}
	}
	return missing
}
