package wasm

import (
	"io"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/admit"
	"github.com/shoalgrid/shoal/wasm/link"
)

// Defaults and bounds of Limits.
const (
	DefaultMemory = 256 << 20
	DefaultOutput = 64 << 20
	DefaultCPU    = 20 * time.Minute
	DefaultFuel   = 1e12
	MaxMemory     = 1 << 30
)

// The profiles by which this build takes jobs. A profile says how a program is prepared and
// run, and so what its answers are.
const (
	DefaultProfile = link.ProfileMetered // fuel is counted; NaNs are made canonical where their bits show
	EagerProfile   = link.ProfileEager   // the same, but NaNs keep their payloads where the specification has it so: slower
	MaxProfile     = link.ProfileEager
)

// Program is a file whose bytes the caller has verified to have the digest.
type Program struct {
	Path   string
	Digest jobs.Digest
}

// File is a host file shown to the guest read-only under a name without slashes.
type File struct {
	Name, Path string
}

// Limits bound one input. The zero value of a field means its default.
type Limits struct {
	Memory uint64        // bytes of linear memory, rounded down to pages of 64 KiB
	Output uint64        // bytes of output
	Fuel   uint64        // instructions; profile 1
	CPU    time.Duration // CPU time on this host; beyond it the run is given up
}

func (l Limits) withDefaults() Limits {
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	if l.Output == 0 {
		l.Output = DefaultOutput
	}
	if l.CPU == 0 {
		l.CPU = DefaultCPU
	}
	if l.Fuel == 0 {
		l.Fuel = DefaultFuel
	}
	return l
}

// Spec is what stays the same for all inputs that a Guest runs.
type Spec struct {
	Program Program
	Profile uint8
	Limits  Limits
	Seed    uint64
	Data    []File // shown at /data/NAME
	Idle    bool   // a stranger's guest: only cycles that nobody else wants

	interpret bool // not compiled: Check compares the two
}

// Input is what one invocation of the program reads.
type Input struct {
	Number uint64    // position in the job: with the job's seed it decides the random numbers
	Args   []string  // argv[1:]
	Stdin  io.Reader // nil is empty
	File   *File     // shown at /in/NAME, or nil
	State  State     // what the guest leaves in /state, or nil: that is lost with it
}

// State keeps what a guest leaves in /state, for when the same input is begun again here.
type State interface {
	// Load is what was kept last; nil is nothing.
	Load() []byte
	// Save keeps a state in place of the last.
	Save(state []byte)
}

// MaxState is the largest that a State is given, in bytes.
const MaxState = link.StateMax

// Report is how the run of one input ended.
type Report struct {
	Outcome    jobs.Outcome
	Exit       uint32
	Output     jobs.Digest // names the output, as jobs.BlobOf names bytes: standard output, then files left in /out as a tar archive
	Size       uint64      // of the output
	Fuel       uint64      // instructions executed; profile 1
	Stderr     []byte      // the last StderrKept bytes of standard error
	Reason     string      // what went wrong, for people
	CPU        time.Duration
	PeakMemory uint64 // bytes of linear memory
}

// StderrKept is how much of the end of a guest's standard error is kept.
const StderrKept = jobs.MaxStderr

// Refused says why the grid will not take a program, in a sentence for people.
type Refused = admit.Refused

// Inspect reads a program and returns a *Refused error when the grid will not take it.
// It costs milliseconds whatever the bytes are.
func Inspect(r io.Reader) error {
	_, err := admit.Scan(r)
	return err
}
