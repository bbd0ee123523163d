package main

// What is said of answers: which failed and why, and how a job or its delivery ended.

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// failedInput reports one input that has no answer.
func (u *ui) failedInput(r api.Result) {
	told := ""
	if r.ToldBy != "" {
		told = ", as told by " + words.Peer(r.ToldBy)
	}
	u.screen.Line(u.screen.style(red, "failed:") + " " + oneLine(inputName(r)) + ": " + failureWords(r) + told)
	lines := strings.Split(strings.TrimRight(printable(r.Stderr), "\n"), "\n")
	for _, line := range lines[max(0, len(lines)-maxStderrLines):] {
		if line != "" {
			u.screen.Line("  | " + line)
		}
	}
}

// maxStderrLines is how much of a failed input's stderr is shown.
const maxStderrLines = 5

// noLogs says that there is nothing to show, so that silence is no riddle.
func (u *ui) noLogs(j *api.Job, input int64) {
	if input > 0 {
		u.say("input %d wrote nothing to stderr", input)
		return
	}
	u.say("no input wrote to stderr, of %s that have an answer", words.Count(j.Inputs.Done, "input"))
}

func inputName(r api.Result) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("input %d", r.N)
}

// failureWords is why an input has no answer.
func failureWords(r api.Result) string {
	switch {
	case r.Reason != "":
		return oneLine(r.Reason)
	case r.Outcome == "exit":
		return fmt.Sprintf("exit code %d", r.Exit)
	case r.Outcome == api.OutcomeStuck:
		return "three donors gave up on it"
	case r.Outcome == api.OutcomeDisputed:
		return "donors disagree, no answer has the votes"
	}
	return r.Outcome
}

// lastLine is the last thing a program said on stderr, as the end of a message. Of a Go
// program that panicked that is what it panicked of, and not the end of the trace.
func lastLine(stderr []byte) string {
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	last := lines[len(lines)-1]
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			last = line
			break
		}
	}
	if last = oneLine(last); last != "" {
		return " (" + last + ")"
	}
	return ""
}

// someFailed ends a delivery that left inputs out.
func someFailed(failed int64, id string) *api.Error {
	return &api.Error{Code: api.CodeFailed, Message: words.Count(failed, "input") + " failed", Hint: "shoal results " + words.Short(id) + " --output jsonl says which and why"}
}

// degraded warns of answers that are worth less than their level promises.
func (u *ui) degraded(j *api.Job) {
	if j.Degraded {
		u.screen.Line(u.screen.style(red, "careful:") + " " + liarWords(j) + "; more: shoal explain " + words.Short(j.Job))
	}
}

// stillOpen ends a delivery of a job that is not done.
func stillOpen(j *api.Job) *api.Error {
	if j.Inputs.Done == j.Inputs.Total {
		return &api.Error{Code: api.CodeTimeout, Message: words.Count(j.Provisional, "unit") + " agreed, not final: " + whoFinishes(j),
			Hint: "shoal results " + words.Short(j.Job) + " --provisional gives the answers as they are"}
	}
	return &api.Error{Code: api.CodeTimeout, Message: "still open: " + words.Part(j.Inputs.Total-j.Inputs.Done, j.Inputs.Total, "input"),
		Hint: "shoal watch " + words.Short(j.Job) + " shows how far it is; then ask again"}
}

// ending is the error that a job's end means to the one who waited for it, or nil.
func ending(j *api.Job) error {
	switch {
	case j.State == api.JobCancelled || j.State == api.JobExpired:
		return &api.Error{Code: api.CodeUnexpected, Message: fmt.Sprintf("job %s was %s", words.Short(j.Job), map[string]string{api.JobCancelled: "cancelled", api.JobExpired: "not done when it expired"}[j.State]),
			Hint: "shoal results " + words.Short(j.Job) + " gives what was done"}
	case j.Inputs.Failed > 0:
		return someFailed(j.Inputs.Failed, j.Job)
	case j.State == api.JobFailed:
		return &api.Error{Code: api.CodeFailed, Message: fmt.Sprintf("job %s: %s stuck, %d disputed", words.Short(j.Job), words.Count(j.Units.Stuck, "unit"), j.Units.Disputed),
			Hint: "shoal results " + words.Short(j.Job) + " --output jsonl says which and why"}
	}
	return nil
}

// finished is the last line about a job that one has watched on a terminal; in a script
// the exit code says it.
func (u *ui) finished(j *api.Job) {
	if j.State == api.JobDone && u.screen.tty {
		u.say("done: %s · %s · %s", words.Count(j.Inputs.Total, "input"), words.Count(j.Donors, "donor"), words.Count(j.Executions, "execution"))
	}
}
