package api

import (
	"context"
	"encoding/json"
)

// MaxTag is how long a Submission's tag may be, in bytes.
const MaxTag = 64

// The steps of a submission, in order.
const (
	StepReading = "reading" // program and inputs
	StepTrying  = "trying"  // a few inputs, to learn what they cost
	StepSeeking = "seeking" // nodes that could hold it
	StepPlacing = "placing" // it goes to its keepers
)

// Submitting is what a submission that is under way does now.
type Submitting struct {
	Schema string `json:"schema"` // SubmittingSchema
	Tag    string `json:"tag"`    // as its Submission has it
	Name   string `json:"name"`
	Step   string `json:"step"`   // one of the Step constants
	Inputs int64  `json:"inputs"` // 0 until they are counted
	Units  int64  `json:"units"`
	// While it is placed: parts that are with enough keepers, and keepers' receipts for all of them.
	Parts    int64  `json:"parts"`
	Placed   int64  `json:"placed"`
	Receipts int64  `json:"receipts"`
	Asked    int64  `json:"asked"`
	Bytes    uint64 `json:"bytes"` // of program, inputs and data, once
	Sent     uint64 `json:"sent"`  // bytes that this node sent to others meanwhile
}

// MarshalJSON names the schema.
func (s Submitting) MarshalJSON() ([]byte, error) {
	type plain Submitting
	s.Schema = SubmittingSchema
	return json.Marshal(plain(s))
}

// Submitting is Node's.
func (c *Client) Submitting(ctx context.Context) ([]Submitting, error) {
	return get[[]Submitting](ctx, c, "submitting")
}
