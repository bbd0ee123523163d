package api

import (
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
	node Node
	log  *slog.Logger
	busy chan struct{} // a place for each request under way
}

// NewServer makes a server for a node.
func NewServer(node Node, log *slog.Logger) *Server {
	return &Server{node: node, log: log, busy: make(chan struct{}, maxRequests)}
}

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

// Handler is the routes alone.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for route, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/v1/status":             func(w http.ResponseWriter, r *http.Request) error { return reply(w, r, s.node.Status) },
		"GET /api/v1/id":                 func(w http.ResponseWriter, r *http.Request) error { return reply(w, r, s.node.ID) },
		"GET /api/v1/peers":              func(w http.ResponseWriter, r *http.Request) error { return reply(w, r, s.node.Peers) },
		"GET /api/v1/jobs":               func(w http.ResponseWriter, r *http.Request) error { return reply(w, r, s.node.Jobs) },
		"POST /api/v1/jobs":              s.submit,
		"GET /api/v1/jobs/{job}":         s.job,
		"GET /api/v1/jobs/{job}/watch":   s.watch,
		"GET /api/v1/jobs/{job}/results": s.results,
		"POST /api/v1/jobs/{job}/cancel": func(w http.ResponseWriter, r *http.Request) error {
			return s.node.Cancel(r.Context(), r.PathValue("job"))
		},
		"POST /api/v1/jobs/{job}/offer": func(w http.ResponseWriter, r *http.Request) error {
			return s.node.Offer(r.Context(), r.PathValue("job"))
		},
		"POST /api/v1/donate":        s.donate,
		"POST /api/v1/donate/pause":  s.pause,
		"POST /api/v1/donate/resume": func(w http.ResponseWriter, r *http.Request) error { return s.node.Resume(r.Context()) },
		"POST /api/v1/donate/finish": func(w http.ResponseWriter, r *http.Request) error { return s.node.Finish(r.Context()) },
	} {
		mux.HandleFunc(route, s.answer(h))
	}
	return mux
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
		out := &began{ResponseWriter: w}
		err := h(out, r)
		switch {
		case err == nil && !out.is:
			w.WriteHeader(http.StatusNoContent)
		case err == nil:
		case r.Context().Err() != nil:
			// Nobody listens any more, or the node ends: the cut connection says so.
			panic(http.ErrAbortHandler)
		case out.is:
			w.Header().Set(http.TrailerPrefix+errorTrailer, string(encodeError(err)))
		default:
			sendError(w, err)
		}
	}
}

// began remembers whether an answer has begun.
type began struct {
	http.ResponseWriter
	is bool
}

// WriteHeader begins the answer.
func (b *began) WriteHeader(status int) {
	b.is = true
	b.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (b *began) Write(p []byte) (int, error) {
	b.is = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *began) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func sendError(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(AsError(err).Code))
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

// receive reads a bounded JSON body and nothing behind it.
func receive(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &Error{Code: CodeUsage, Message: "request: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &Error{Code: CodeUsage, Message: "request: more than one JSON document"}
	}
	return nil
}

func (s *Server) job(w http.ResponseWriter, r *http.Request) error {
	return reply(w, r, func(ctx context.Context) (*Job, error) { return s.node.Job(ctx, r.PathValue("job")) })
}

func (s *Server) donate(w http.ResponseWriter, r *http.Request) error {
	var d Donation
	if err := receive(w, r, &d); err != nil {
		return err
	}
	return s.node.Donate(r.Context(), d)
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request) error {
	var p pauseRequest
	if err := receive(w, r, &p); err != nil {
		return err
	}
	return s.node.Pause(r.Context(), p.For)
}
