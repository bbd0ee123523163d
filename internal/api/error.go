package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"syscall"
)

// What an Error's Code can be: the exit codes of the command line.
const (
	CodeUnexpected  = 1
	CodeUsage       = 2
	CodeNoNode      = 3
	CodeNotFound    = 4
	CodeFailed      = 5 // some inputs failed
	CodeTimeout     = 6 // the job goes on
	CodeRefused     = 7 // program, policy or limits
	CodeInterrupted = 130
)

// Error is a failure in words for a person.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"` // what and where, in lower case, without a full stop
	Hint    string `json:"hint,omitempty"`
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// AsError is err as an *Error: the one in its chain, with what was wrapped around it, or an
// unexpected one, with the hint of whatever in the chain has one. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	out := &Error{Code: CodeUnexpected, Message: err.Error()}
	var known *Error
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &known):
		out.Code, out.Hint = known.Code, known.Hint
	case errors.As(err, &hinted):
		out.Hint = hinted.Hint()
	case errors.Is(err, syscall.ENOSPC):
		out.Hint = "make room, or name a home on another disk with --home DIR; then the same command goes on"
	}
	return out
}

// errorTrailer carries the Error of a stream that broke off after it had begun.
const errorTrailer = "Shoal-Error"

// maxErrorText bounds message and hint: a trailer must fit into the reader's buffer.
const maxErrorText = 4 << 10

// document is how an Error is sent.
type document struct {
	Error *Error `json:"error"`
}

func encodeError(err error) []byte {
	e := *AsError(err)
	e.Message, e.Hint = cut(e.Message), cut(e.Hint)
	text, jsonErr := json.Marshal(document{&e})
	if jsonErr != nil { // two strings and a number: cannot be
		panic(jsonErr)
	}
	return text
}

func cut(s string) string {
	if len(s) <= maxErrorText {
		return s
	}
	return strings.ToValidUTF8(s[:maxErrorText-len("…")], "") + "…"
}

func decodeError(text []byte) *Error {
	var d document
	if err := json.Unmarshal(text, &d); err != nil || d.Error == nil {
		return &Error{Code: CodeUnexpected, Message: "the node answered: " + cut(string(text))}
	}
	return d.Error
}

// statusOf is the HTTP status that says the same as an error.
func statusOf(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	switch AsError(err).Code {
	case CodeUsage:
		return http.StatusBadRequest
	case CodeNoNode:
		return http.StatusServiceUnavailable
	case CodeNotFound:
		return http.StatusNotFound
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeRefused:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}
