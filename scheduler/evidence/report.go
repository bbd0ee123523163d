package evidence

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// Standing is how a unit's verdict came about.
type Standing uint8

// The standings of a unit.
const (
	Unproved    Standing = iota // the file does not prove a verdict
	Independent                 // every answer has the votes its level asks, each bound before it could see another
	Late                        // some answer leans on a vote that was sealed when others could be seen
	Vouched                     // the submitter's own run decided
)

var standingNames = [...]string{"unproved", "independent", "late", "vouched"}

// String is the standing's name.
func (s Standing) String() string {
	if int(s) < len(standingNames) {
		return standingNames[s]
	}
	return fmt.Sprintf("standing(%d)", uint8(s))
}

// Finding is one thing that is wrong.
type Finding struct {
	Where string // a unit with its inputs, or another part of the file
	What  string // of which record what is wrong
}

// String is both.
func (f Finding) String() string { return f.Where + ": " + f.What }

// MaxFindings is how many findings are told one by one.
const MaxFindings = 100

// Share is what one donor gave to a job: the credit for it is the fuel.
type Share struct {
	Units  uint64 // in which some answer of its was accepted
	Inputs uint64 // whose accepted answer it gave
	Fuel   uint64 // instructions of those; 0 in profile 0, which does not count them
	Late   uint64 // instructions of accepted answers that it gave late: they may be copied, and are not in Fuel
}

// Add adds another share to s.
func (s *Share) Add(o Share) {
	s.Units += o.Units
	s.Inputs += o.Inputs
	s.Fuel += o.Fuel
	s.Late += o.Late
}

// Unit is one unit as it was judged.
type Unit struct {
	Number   uint64 // in the job, from 0
	Shard    uint32
	Index    int    // in the shard
	First    uint64 // number of its first input, from 0
	Spec     *jobs.UnitSpec
	Standing Standing
	Verdict  *scheduler.Verdict // holds only within the call it is given to
}

// Report is what a file proves.
type Report struct {
	Job     *jobs.Job // nil where not even the head could be read
	Units   uint64    // of the job that the file was read up to
	Proved  uint64
	Late    uint64 // of the proved
	Vouched uint64 // of the proved
	Unfinal uint64 // of the proved, at strong and paranoid: the submitter's last word on them is not here
	Answers uint64 // inputs with an output
	Failed  uint64 // inputs whose answer is a failure
	Stuck   uint64 // inputs that were given up
	Votes   uint64

	Donors   map[jobs.NodeID]*Share // who voted
	Findings []Finding              // the first MaxFindings
	Wrong    uint64                 // all findings
	Pending  uint64                 // of them, those that the end of the job mends
	Foreign  bool                   // one of them: it is another submitter's job than was asked for
}

// Valid reports whether nothing is wrong.
func (r *Report) Valid() bool { return r.Wrong == 0 }

// Ranked are the donors, those who gave most first.
func (r *Report) Ranked() []jobs.NodeID {
	return slices.SortedFunc(maps.Keys(r.Donors), func(a, b jobs.NodeID) int {
		x, y := r.Donors[a], r.Donors[b]
		switch {
		case x.Fuel != y.Fuel:
			return order(x.Fuel > y.Fuel)
		case x.Inputs != y.Inputs:
			return order(x.Inputs > y.Inputs)
		}
		return slices.Compare(a[:], b[:])
	})
}

func order(before bool) int {
	if before {
		return -1
	}
	return 1
}

// Found makes a finding.
func Found(where, format string, args ...any) Finding {
	return Finding{Where: where, What: fmt.Sprintf(format, args...)}
}

// Add adds findings of a further check, with how many there are of them altogether.
func (r *Report) Add(fs []Finding, total uint64) {
	r.Wrong += total
	r.Findings = append(r.Findings, fs[:min(len(fs), MaxFindings-len(r.Findings))]...)
}

func (r *Report) find(where, format string, args ...any) {
	r.Add([]Finding{Found(where, format, args...)}, 1)
}

// await is a finding that is none once the job is done.
func (r *Report) await(where, format string, args ...any) {
	r.Pending++
	r.find(where, format, args...)
}

// WhereUnit is a unit in words.
func WhereUnit(number, first uint64, inputs uint32) string {
	if inputs == 1 {
		return fmt.Sprintf("unit %d (input %d)", number+1, first+1)
	}
	return fmt.Sprintf("unit %d (inputs %d to %d)", number+1, first+1, first+uint64(inputs))
}
