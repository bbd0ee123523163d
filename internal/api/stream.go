package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// submit reads a Submission, a newline and, if it says so, lines to the end of the body.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) error {
	// A refusal is answered at once, while the client may still be sending.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		return fmt.Errorf("answer while reading: %w", err)
	}
	in := bufio.NewReaderSize(r.Body, 64<<10)
	text, err := readLine(in, maxSubmission)
	if err != nil {
		return &Error{Code: CodeUsage, Message: "request: " + err.Error()}
	}
	var sub Submission
	if err := json.Unmarshal(text, &sub); err != nil {
		return &Error{Code: CodeUsage, Message: "request: " + err.Error()}
	}
	if len(sub.Tag) > MaxTag {
		return refuseWhole(w, in, &Error{Code: CodeUsage, Message: "request: a tag that long"})
	}
	var lines io.Reader
	if sub.Lines {
		lines = in
	}
	done, err := s.node.Submit(r.Context(), sub, lines)
	switch {
	case err != nil && r.Context().Err() != nil:
		return err // the node ends: what that broke off is no refusal
	case err != nil:
		return refuseWhole(w, in, err)
	}
	return reply(w, r, func(context.Context) (*Submitted, error) { return done, nil })
}

// refuseWhole sends an error and then reads on for a while: a client that is still sending
// must come to read the answer before its connection is cut.
func refuseWhole(w http.ResponseWriter, rest io.Reader, err error) error {
	sendError(w, err)
	control, until := http.NewResponseController(w), time.Now().Add(drainTime)
	if control.Flush() != nil || control.SetReadDeadline(until) != nil {
		return nil // the client is gone
	}
	for buf := make([]byte, 64<<10); time.Now().Before(until); {
		if _, err := rest.Read(buf); err != nil { // the client has read the answer, and hangs up
			return nil
		}
	}
	return nil
}

// readLine reads a line of at most max bytes.
func readLine(r *bufio.Reader, max int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > max {
			return nil, fmt.Errorf("a line of more than %d bytes", max)
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// streamer writes a stream in pieces that leave at once, each within writeTimeout.
type streamer struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newStreamer begins a stream. The flush also keeps net/http from giving a short stream a
// Content-Length: then it would have no trailer.
func newStreamer(w http.ResponseWriter, kind string) (*streamer, error) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	s := &streamer{w, http.NewResponseController(w)}
	return s, s.control.Flush()
}

// Write gives the reader some time to take p.
func (s *streamer) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// line sends v as one line of JSON.
func (s *streamer) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = s.Write(append(text, '\n'))
	return err
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	var out *streamer
	return s.node.Watch(r.Context(), r.PathValue("job"), func(j *Job) (err error) {
		if out == nil {
			if out, err = newStreamer(w, "application/jsonl"); err != nil {
				return err
			}
		}
		if err := out.line(j); err != nil {
			return err
		}
		return out.control.Flush()
	})
}

func (s *Server) results(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	o := ResultsOptions{Follow: query.Has("follow"), Keep: query.Has("keep"), Logs: query.Has("logs"), Provisional: query.Has("provisional")}
	var err error
	if o.Input, err = wholeNumber(query, "input", 0); err != nil {
		return err
	}
	var out *streamer
	return s.node.Results(r.Context(), r.PathValue("job"), o, func(res Result, output io.Reader) (err error) {
		if out == nil {
			if out, err = newStreamer(w, "application/octet-stream"); err != nil {
				return err
			}
		}
		if err := out.result(res, output); err != nil {
			return err
		}
		if o.Follow {
			return out.control.Flush() // the next one may be long in coming
		}
		return nil
	})
}

func (s *Server) evidence(w http.ResponseWriter, r *http.Request) error {
	return s.node.Evidence(r.Context(), r.PathValue("job"), &lateStream{w: w, kind: "application/cbor-seq"})
}

// lateStream is a stream that begins with its first byte: until then an error is an answer.
type lateStream struct {
	w    http.ResponseWriter
	kind string
	out  *streamer
}

// Write begins the stream, or goes on with it.
func (l *lateStream) Write(p []byte) (n int, err error) {
	if l.out == nil {
		if l.out, err = newStreamer(l.w, l.kind); err != nil {
			return 0, err
		}
	}
	return l.out.Write(p)
}

// result sends one result: its header as a line, then exactly its Size bytes.
func (s *streamer) result(res Result, output io.Reader) error {
	if err := s.line(res); err != nil {
		return err
	}
	if res.Size == 0 {
		return nil
	}
	switch n, err := io.CopyN(s, output, res.Size); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("output of input %d: %d bytes, not %d", res.N, n, res.Size)
	case err != nil:
		return fmt.Errorf("output of input %d: %w", res.N, err)
	}
	return nil
}
