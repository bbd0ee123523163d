package api

import "encoding/json"

// How much a Detail tells at most.
const (
	DefaultCells = 480
	MaxCells     = 2048
	MaxShares    = 32
	MaxFailures  = 32
	MaxHolders   = 32
	MaxHeldUnits = 32 // of each holder that are told by number
)

// Detail is a job as the page shows it: bounded, however large the job is.
type Detail struct {
	Schema   string       `json:"schema"` // DetailSchema
	Job      Job          `json:"job"`
	Map      UnitMap      `json:"map"`
	Pace     []PaceSample `json:"pace"`     // of this run of the node, the oldest first
	Shares   []Share      `json:"shares"`   // of the donors, the largest first
	Failures []Result     `json:"failures"` // inputs that failed, without output, in input order
	Holders  []Holder     `json:"holders"`  // who works on it now, as its keepers tell its submitter alone
}

// UnitMap is a job's units in order, as many in each cell; the last cell may have fewer.
type UnitMap struct {
	PerCell int64   `json:"per_cell"`
	Cells   []Units `json:"cells"`
}

// PaceSample is how many inputs were done at a time, from when this node began to collect.
type PaceSample struct {
	Seconds float64 `json:"seconds"`
	Done    int64   `json:"done"`
}

// Share is what a donor has done of a job.
type Share struct {
	Peer  string `json:"peer"`
	Name  string `json:"name"`  // what it calls itself
	Units int64  `json:"units"` // accepted ones in which its word counted
	Fuel  uint64 `json:"fuel"`  // its credit: the submitter's own runs earn none
}

// Holder is who works on units of a job now.
type Holder struct {
	Peer  string  `json:"peer"`
	Name  string  `json:"name"`  // what it calls itself
	Held  int64   `json:"held"`  // units
	Units []int64 `json:"units"` // the first of them, by their place in the job, from 1
}

// Setting is one of the node's settings.
type Setting struct {
	Schema  string `json:"schema"` // SettingSchema
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	About   string `json:"about"`
	Wants   string `json:"wants"`  // what it takes, with an example
	Origin  string `json:"origin"` // where the value comes from
	Wish    bool   `json:"wish"`   // it says what is lent, and counts at once when it is changed
}

// MarshalJSON is as that of Status.
func (d Detail) MarshalJSON() ([]byte, error) {
	type plain Detail
	d.Schema = DetailSchema
	d.Map.Cells, d.Pace, d.Shares, d.Failures = orEmpty(d.Map.Cells), orEmpty(d.Pace), orEmpty(d.Shares), orEmpty(d.Failures)
	d.Holders = orEmpty(d.Holders)
	return json.Marshal(plain(d))
}

// MarshalJSON names the schema.
func (s Setting) MarshalJSON() ([]byte, error) {
	type plain Setting
	s.Schema = SettingSchema
	return json.Marshal(plain(s))
}
