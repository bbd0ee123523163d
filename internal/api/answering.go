package api

import "net/http"

// Answering is an answer to a request that remembers whether it has begun: from then on an error can
// only cut it short.
type Answering struct {
	http.ResponseWriter
	begun bool
}

// NewAnswering is an answer that has not begun.
func NewAnswering(w http.ResponseWriter) *Answering { return &Answering{ResponseWriter: w} }

// Begun reports whether the answer has begun.
func (a *Answering) Begun() bool { return a.begun }

// WriteHeader begins the answer.
func (a *Answering) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (a *Answering) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *Answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }
