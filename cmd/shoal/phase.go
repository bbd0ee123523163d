package main

// The stretches of a job's way that a person waits for, each with a bar of its own: it is sent, held,
// run, and its answers are taken.

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

const barWidth = 20

// bar draws the share of inputs that are done.
func bar(j *api.Job) string { return barOf(j.Inputs.Done, j.Inputs.Total) }

func barOf(part, whole int64) string {
	done := 0
	if whole > 0 {
		done = int(barWidth * max(0, min(part, whole)) / whole)
	}
	return "[" + strings.Repeat("#", done) + strings.Repeat(".", barWidth-done) + "]"
}

// phase is how far a job is on one stretch.
type phase struct {
	name        string // "" where nothing can be measured
	part, whole int64
	words       string
}

// onTerminal is a phase with its bar, for the live line.
func (s phase) onTerminal() string {
	if s.name == "" {
		return s.words
	}
	return fmt.Sprintf("%-7s %s %s", s.name, barOf(s.part, s.whole), s.words)
}

// plain is a phase as a line among others.
func (s phase) plain() string {
	if s.name == "" {
		return s.words
	}
	return s.name + ": " + s.words
}

// submitPhase is what a submission does now.
func submitPhase(s *api.Submitting) phase {
	switch s.Step {
	case api.StepReading:
		return phase{words: "reading program and inputs"}
	case api.StepTrying:
		return phase{words: fmt.Sprintf("%s: trying a few of them, 10 s at most", words.Count(s.Inputs, "input"))}
	case api.StepSeeking:
		return phase{words: "looking for nodes that could hold it"}
	}
	if s.Asked == 0 && s.Sent == 0 {
		return phase{words: "placing it"}
	}
	parts := ""
	if s.Parts > 1 {
		parts = fmt.Sprintf(" · %d of %d parts placed", s.Placed, s.Parts)
	}
	// The first whole copy is the upload: keepers have the rest from each other as well. What is small
	// goes along with the question who keeps it, and is never seen on its way.
	if s.Receipts == 0 || s.Sent > 0 && s.Sent < s.Bytes && s.Receipts < s.Asked {
		return phase{"upload", int64(s.Sent), int64(s.Bytes), fmt.Sprintf("%s sent, the job has %s", words.Size(s.Sent), words.Size(s.Bytes)) + parts}
	}
	return phase{"custody", s.Receipts, s.Asked, fmt.Sprintf("%d of %d copies held", s.Receipts, s.Asked) + parts}
}

// runPhase is how far the grid is with a job.
func runPhase(j *api.Job) phase { return phase{"run", j.Inputs.Done, j.Inputs.Total, progressLine(j)} }

// collectPhase is how many of a job's answers were taken.
func collectPhase(taken int64, j *api.Job) phase {
	said := fmt.Sprintf("%d of %s taken", taken, words.Count(j.Inputs.Done, "answer"))
	return phase{"collect", taken, j.Inputs.Done, said}
}
