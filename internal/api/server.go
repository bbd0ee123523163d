package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// What a client may cost.
const (
	maxRequests   = 128      // at a time
	maxHeader     = 64 << 10 // bytes
	maxBody       = 1 << 20  // bytes of a JSON body
	maxSubmission = 64 << 20 // bytes: a Submission names every input file
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	writeTimeout  = 2 * time.Minute // of a stream's reader that has stopped reading
	drainTime     = 10 * time.Second
	closeTime     = 2 * time.Second
)

// Server puts a Node on a socket.
type Server struct {
	// Page, where there is one, opens the page for a browser and gives a link to it.
	Page func(ctx context.Context, port int) (link string, err error)

	// Metrics, where there is one, answers GET /metrics on the socket.
	Metrics http.Handler

	node Node
	log  *slog.Logger
	feed *Feed
	busy chan struct{} // a place for each request under way
}

// NewServer makes a server for a node.
func NewServer(node Node, log *slog.Logger) *Server {
	return &Server{node: node, log: log, feed: NewFeed(node), busy: make(chan struct{}, maxRequests)}
}

// Feed is what changes in the node.
func (s *Server) Feed() *Feed { return s.feed }

// Serve answers until ctx ends; it closes l. Requests under way then are cancelled.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err := web.Shutdown(grace)
		if err != nil { // somebody does not stop reading
			err = web.Close()
		}
		closed <- err
	})
	err := web.Serve(l)
	if stop() {
		return fmt.Errorf("serve the API: %w", errors.Join(err, web.Close()))
	}
	return <-closed
}

// answer bounds how many requests run at once, and sends the error that h returns. An h
// that has begun to send a stream ends it with the error.
func (s *Server) answer(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
		default:
			sendError(w, &Error{Code: CodeNoNode, Message: "the node is busy with other commands", Hint: "try again"})
			return
		}
		out := NewAnswering(w)
		err := h(out, r)
		if r.Method != http.MethodGet {
			s.feed.Poke() // who follows sees what was done at once
		}
		switch {
		case err == nil && !out.Begun():
			w.WriteHeader(http.StatusNoContent)
		case err == nil:
		case r.Context().Err() != nil:
			// Nobody listens any more, or the node ends: the cut connection says so.
			panic(http.ErrAbortHandler)
		case out.Begun():
			w.Header().Set(http.TrailerPrefix+errorTrailer, string(encodeError(err)))
		default:
			sendError(w, err)
		}
	}
}

func sendError(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(err))
	w.Write(encodeError(err)) // fails only when nobody listens
}

// reply sends what the node says as one JSON document.
func reply[T any](w http.ResponseWriter, r *http.Request, ask func(context.Context) (T, error)) error {
	v, err := ask(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// receive reads a bounded JSON object and nothing behind it. No body at all asks for nothing in
// particular.
func receive(w http.ResponseWriter, r *http.Request, v any) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return badRequest(err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if err := strict(text); err != nil {
		return badRequest(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest(err)
	}
	return nil
}

func badRequest(err error) error {
	return fmt.Errorf("%w: %w", &Error{Code: CodeUsage, Message: "request"}, err)
}

// strict refuses what two readers could understand in two ways: a name twice in one object, or
// something behind the document.
func strict(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // the objects that are open: nil for a list
	name := false              // the next token of the innermost object is a name
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'):
			open, name = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, name = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if name {
				key := token.(string)
				inner := open[len(open)-1]
				if inner[key] {
					return fmt.Errorf("%q is there twice", cut(key))
				}
				inner[key] = true
				name = false
				continue
			}
		}
		if len(open) == 0 {
			if d.More() {
				return errors.New("more than one JSON document")
			}
			return nil
		}
		name = open[len(open)-1] != nil
	}
}
