package link

import (
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/jail"
)

// The kinds of child, as their argument says.
const (
	CompileChild = "compile"
	RunChild     = "run"
	ProbeChild   = "probe"
)

// The profiles that this build runs, see the sandbox's MaxProfile.
const (
	ProfilePlain   = 0 // a program as it is, but for its names
	ProfileMetered = 1 // rewritten by package prepare: fuel, canonical NaNs, a stack of one size
	ProfileEager   = 2 // the same, with NaNs canonicalised as the specification has them
)

// PreparedName is the file of a cache entry that has the module as it is compiled and run.
const PreparedName = "prepared.wasm"

// Setup is what a run child is told once.
type Setup struct {
	Program   string                 `json:"program"` // path of the module to run
	Profile   uint8                  `json:"profile"`
	Interpret bool                   `json:"interpret"` // not compiled, so that no cache is needed
	Cache     string                 `json:"cache"`     // folder of the program's cache entry
	Files     map[string]jobs.Digest `json:"files"`     // what must be in there
	Data      []File                 `json:"data"`
	Seed      uint64                 `json:"seed"`
	Memory    uint64                 `json:"memory"` // limits of an input
	Output    uint64                 `json:"output"`
	Fuel      uint64                 `json:"fuel"`
	CPU       time.Duration          `json:"cpu"`
	Idle      bool                   `json:"idle"`
}

// File is a host file shown under a name.
type File struct {
	Name, Path string
}

// Ready is what a run child says when it has loaded the program.
type Ready struct {
	CPU   time.Duration `json:"cpu"` // used so far
	Locks []jail.Lock   `json:"locks"`
}

// Failure is why a run child cannot run the program.
type Failure struct {
	Cache  bool   `json:"cache"` // the cache entry is to blame: build it again
	Reason string `json:"reason"`
}

// Error implements error.
func (f *Failure) Error() string { return f.Reason }

// CompileRequest is what a compile child is told.
type CompileRequest struct {
	Program string        `json:"program"` // path of the original module
	Profile uint8         `json:"profile"`
	Dir     string        `json:"dir"` // folder to write into
	Idle    bool          `json:"idle"`
	CPU     time.Duration `json:"cpu"` // what it may cost
	Memory  uint64        `json:"memory"`
}

// CompileReply is what a compile child answers.
type CompileReply struct {
	Refused string `json:"refused,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Input is an input as it is sent to a run child.
type Input struct {
	Number uint64
	Args   []string // argv[1:]
	File   File     // the input file; no name is none
	Stdin  []byte   // the beginning
	More   bool     // stdin goes on
	Keep   bool     // the guest's state is wanted when it changes
	State  uint64   // bytes of an earlier state, which follow in frames
}

// Append encodes the input.
func (in *Input) Append(f []byte) []byte {
	f = putUint(f, in.Number)
	f = putUint(f, uint64(len(in.Args)))
	for _, arg := range in.Args {
		f = putText(f, arg)
	}
	f = putText(putText(f, in.File.Name), in.File.Path)
	f = putUint(putBool(putBool(f, in.More), in.Keep), in.State)
	return putBytes(f, in.Stdin)
}

func putBool(f []byte, v bool) []byte {
	if v {
		return append(f, 1)
	}
	return append(f, 0)
}

// StateFrame makes a frame of the first part of a state, and gives the rest. The first byte of
// its payload is 1 in the last part.
func StateFrame(buf, state []byte) (frame, rest []byte) {
	n := min(len(state), StatePart)
	frame = putBool(NewFrame(buf, KindState), n == len(state))
	return Seal(append(frame, state[:n]...)), state[n:]
}

// AddState adds the payload of a state's frame to the parts before it.
func AddState(before, payload []byte) (state []byte, whole bool, err error) {
	if len(payload) == 0 || payload[0] > 1 || len(before)+len(payload) > StateMax {
		return nil, false, fmt.Errorf("%w: state", ErrFrame)
	}
	return append(before, payload[1:]...), payload[0] == 1, nil
}

// DecodeInput decodes an input, which keeps parts of the payload.
func DecodeInput(payload []byte) (Input, error) {
	f := fields{rest: payload}
	in := Input{Number: f.uint()}
	for n := f.uint(); n > 0 && !f.bad; n-- {
		in.Args = append(in.Args, f.text())
	}
	in.File = File{Name: f.text(), Path: f.text()}
	in.More, in.Keep, in.State = f.uint() == 1, f.uint() == 1, f.uint()
	in.Stdin = f.bytes()
	if f.bad {
		return Input{}, fmt.Errorf("%w: input", ErrFrame)
	}
	return in, nil
}

// Report is how an input ended, as a run child tells it.
type Report struct {
	Outcome    jobs.Outcome
	Exit       uint32
	Fuel       uint64
	PeakMemory uint64
	CPU        time.Duration // of the child, in total
	Reason     string
	Stderr     []byte
	Output     []byte // what was not sent before
}

// Append encodes the report.
func (r *Report) Append(f []byte) []byte {
	f = append(f, byte(r.Outcome))
	f = putUint(f, uint64(r.Exit))
	f = putUint(f, r.Fuel)
	f = putUint(f, r.PeakMemory)
	f = putUint(f, uint64(r.CPU))
	f = putText(f, r.Reason)
	return putBytes(putBytes(f, r.Stderr), r.Output)
}

// DecodeReport decodes a report, which keeps parts of the payload.
func DecodeReport(payload []byte) (Report, error) {
	if len(payload) == 0 {
		return Report{}, fmt.Errorf("%w: empty report", ErrFrame)
	}
	f := fields{rest: payload[1:]}
	r := Report{
		Outcome: jobs.Outcome(payload[0]), Exit: uint32(f.uint()), Fuel: f.uint(), PeakMemory: f.uint(),
		CPU: time.Duration(f.uint()), Reason: f.text(), Stderr: f.bytes(), Output: f.bytes(),
	}
	if f.bad || !r.Outcome.Valid() {
		return Report{}, fmt.Errorf("%w: report", ErrFrame)
	}
	return r, nil
}
