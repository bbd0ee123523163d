package api

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	eventStream = "text/event-stream"
	takeTime    = 10 * time.Second // for a follower to take an event: slower ones are dropped
)

// EventWriter writes server-sent events.
type EventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewEventWriter begins a stream of events.
func NewEventWriter(w http.ResponseWriter) (*EventWriter, error) {
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("Cache-Control", "no-store")
	e := &EventWriter{w, http.NewResponseController(w)}
	// The time for reading a request is not meant for streams; nor is there more to read.
	if err := e.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return e, e.control.Flush()
}

// Send sends one event; an empty kind is the browsers' "message".
func (e *EventWriter) Send(id, kind string, data []byte) error {
	var b strings.Builder
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if kind != "" {
		b.WriteString("event: " + kind + "\n")
	}
	for line := range strings.Lines(string(data)) {
		b.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
	}
	b.WriteString("\n")
	return e.write(b.String())
}

// Beat tells that the stream is alive.
func (e *EventWriter) Beat() error { return e.write(": here\n\n") }

func (e *EventWriter) write(text string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(takeTime)); err != nil {
		return err
	}
	if _, err := io.WriteString(e.w, text); err != nil {
		return err
	}
	return e.control.Flush()
}

// events tells what changes in the node, until the client has enough.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	out, err := NewEventWriter(w)
	if err != nil {
		return err
	}
	return s.feed.Follow(r.Context(), r.Header.Get("Last-Event-ID"), func(news []Event) error {
		for _, e := range news {
			if err := out.Send(e.ID, e.Kind, e.Data); err != nil {
				return err
			}
		}
		if len(news) == 0 {
			return out.Beat()
		}
		return nil
	})
}

// wholeNumber is a number from 1 of a query, or what it is where none is given.
func wholeNumber(query url.Values, name string, otherwise int64) (int64, error) {
	if !query.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil || n < 1 {
		return 0, &Error{Code: CodeUsage, Message: fmt.Sprintf("%s: not a whole number from 1", name)}
	}
	return n, nil
}
