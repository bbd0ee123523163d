package api

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Credit is what a node did for others, by its own account, and what donors earned from
// submitters, by what these accepted.
type Credit struct {
	Schema string   `json:"schema"` // CreditSchema
	Peer   string   `json:"peer"`   // whose account; "" where it is read from evidence
	Done   []Done   `json:"done"`   // the newest day first
	Earned []Earned `json:"earned"` // by submitter, the most first
}

// Done is what this node did for one submitter on one day. Units are counted when it is seen what
// became of them; those of its own jobs are not.
type Done struct {
	Day           string  `json:"day"`            // in UTC, like 2026-11-22; "" for all days that are not told one by one any more
	Submitter     string  `json:"submitter"`      // "" for all submitters beyond those that are told one by one
	SubmitterName string  `json:"submitter_name"` // what it calls itself
	CPUSeconds    float64 `json:"cpu_seconds"`
	Units         int64   `json:"units"`
	Inputs        int64   `json:"inputs"`
	Accepted      int64   `json:"accepted"`  // units whose answers are what was decided
	Disagreed     int64   `json:"disagreed"` // units in which another answer was
	GaveUp        int64   `json:"gave_up"`   // units with an input that took more than this machine gives
	Unused        int64   `json:"unused"`    // units that were decided, or whose job ended, without them
}

// Earned is what a donor gave to a submitter, and the submitter accepted. Its credit is the fuel.
type Earned struct {
	Submitter string `json:"submitter"`
	Donor     string `json:"donor"`
	Units     uint64 `json:"units"`
	Inputs    uint64 `json:"inputs"`
	Fuel      uint64 `json:"fuel"`      // instructions
	LateFuel  uint64 `json:"late_fuel"` // instructions of the same answers sealed when others' could be read: they may be copies, and are not in fuel
}

// MarshalJSON is as that of Status.
func (c Credit) MarshalJSON() ([]byte, error) {
	type plain Credit
	c.Schema = CreditSchema
	c.Done, c.Earned = orEmpty(c.Done), orEmpty(c.Earned)
	return json.Marshal(plain(c))
}

// SortEarned puts rows in the order in which they are told: by submitter, the most first.
func SortEarned(rows []Earned) {
	slices.SortFunc(rows, func(a, b Earned) int {
		return cmp.Or(cmp.Compare(a.Submitter, b.Submitter), cmp.Compare(b.Fuel, a.Fuel), cmp.Compare(b.Inputs, a.Inputs), cmp.Compare(a.Donor, b.Donor))
	})
}
