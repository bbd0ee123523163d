package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Client is the node that runs in a home, seen from another process.
type Client struct {
	home string
	web  *http.Client
}

var _ Node = (*Client)(nil)

// NewClient is a client of the node that runs in the home, if one does: each call finds out.
func NewClient(home string) *Client {
	return &Client{home: home, web: &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, home) },
		ReadBufferSize:  64 << 10, // a trailer with an Error must fit
		WriteBufferSize: 64 << 10,
		IdleConnTimeout: time.Minute,
		MaxIdleConns:    2,
	}}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.web.CloseIdleConnections() }

// Status is Node's.
func (c *Client) Status(ctx context.Context) (*Status, error) { return get[*Status](ctx, c, "status") }

// ID is Node's.
func (c *Client) ID(ctx context.Context) (*ID, error) { return get[*ID](ctx, c, "id") }

// Peers is Node's.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) { return get[[]Peer](ctx, c, "peers") }

// Credit is Node's.
func (c *Client) Credit(ctx context.Context) (*Credit, error) { return get[*Credit](ctx, c, "credit") }

// Whose is Node's.
func (c *Client) Whose(ctx context.Context) (*Whose, error) { return get[*Whose](ctx, c, "whose") }

// Notify is Node's.
func (c *Client) Notify(ctx context.Context, ref, text string) error {
	return c.post(ctx, "notices", notifyRequest{Job: ref, Text: text})
}

// Notices is Node's.
func (c *Client) Notices(ctx context.Context) ([]Notice, error) {
	return get[[]Notice](ctx, c, "notices")
}

// Jobs is Node's.
func (c *Client) Jobs(ctx context.Context) ([]Job, error) { return get[[]Job](ctx, c, "jobs") }

// Job is Node's.
func (c *Client) Job(ctx context.Context, ref string) (*Job, error) {
	return get[*Job](ctx, c, jobPath(ref, ""))
}

// Detail is Node's.
func (c *Client) Detail(ctx context.Context, ref string, cells int) (*Detail, error) {
	return get[*Detail](ctx, c, jobPath(ref, "/detail?cells="+strconv.Itoa(cells)))
}

// Page opens the node's page for a browser, and gives a link that lets one in, once and soon.
// Port 0 is any.
func (c *Client) Page(ctx context.Context, port int) (*Page, error) {
	text, err := json.Marshal(pageRequest{Port: port})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	answer, err := c.do(ctx, http.MethodPost, "page", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return decode[*Page](answer)
}

// Cancel is Node's.
func (c *Client) Cancel(ctx context.Context, ref string) error {
	return c.post(ctx, jobPath(ref, "/cancel"), nil)
}

// Offer is Node's.
func (c *Client) Offer(ctx context.Context, ref string) error {
	return c.post(ctx, jobPath(ref, "/offer"), nil)
}

// Donate is Node's.
func (c *Client) Donate(ctx context.Context, d Donation) error { return c.post(ctx, "donate", d) }

// Settings is Node's.
func (c *Client) Settings(ctx context.Context) ([]Setting, error) {
	return get[[]Setting](ctx, c, "settings")
}

// Set is Node's.
func (c *Client) Set(ctx context.Context, values map[string]string) error {
	return c.post(ctx, "settings", values)
}

// Pause is Node's.
func (c *Client) Pause(ctx context.Context, d time.Duration) error {
	return c.post(ctx, "donate/pause", pauseRequest{For: d})
}

// Reload is Node's.
func (c *Client) Reload(ctx context.Context) error { return c.post(ctx, "donate/reload", nil) }

// Resume is Node's.
func (c *Client) Resume(ctx context.Context) error { return c.post(ctx, "donate/resume", nil) }

// Finish is Node's.
func (c *Client) Finish(ctx context.Context) error { return c.post(ctx, "donate/finish", nil) }

// Submit is Node's. Lines are sent as they are read.
func (c *Client) Submit(ctx context.Context, s Submission, lines io.Reader) (*Submitted, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	body := io.Reader(bytes.NewReader(append(text, '\n')))
	if s.Lines {
		body = io.MultiReader(body, lines)
	}
	answer, err := c.do(ctx, http.MethodPost, "jobs", body)
	if err != nil {
		return nil, err
	}
	return decode[*Submitted](answer)
}

// Watch is Node's.
func (c *Client) Watch(ctx context.Context, ref string, f func(*Job) error) error {
	answer, err := c.do(ctx, http.MethodGet, jobPath(ref, "/watch"), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	in := bufio.NewReader(answer.Body)
	for {
		j := new(Job)
		if err := c.next(ctx, answer, in, j); err != nil {
			return ended(err)
		}
		if err := f(j); err != nil {
			return err
		}
	}
}

// Results is Node's.
func (c *Client) Results(ctx context.Context, ref string, o ResultsOptions, f func(Result, io.Reader) error) error {
	query := url.Values{}
	if o.Follow {
		query.Set("follow", "1")
	}
	if o.Keep {
		query.Set("keep", "1")
	}
	if o.Provisional {
		query.Set("provisional", "1")
	}
	if o.Logs {
		query.Set("logs", "1")
	}
	if o.Input > 0 {
		query.Set("input", strconv.FormatInt(o.Input, 10))
	}
	answer, err := c.do(ctx, http.MethodGet, jobPath(ref, "/results?"+query.Encode()), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	in := bufio.NewReaderSize(answer.Body, 64<<10)
	for {
		var r Result
		if err := c.next(ctx, answer, in, &r); err != nil {
			return ended(err)
		}
		output := &outputReader{c: c, ctx: ctx, answer: answer, in: in, left: r.Size}
		if err := f(r, output); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, output); err != nil {
			return err
		}
	}
}

// Fetch is Node's.
func (c *Client) Fetch(ctx context.Context, job string, b Blob) error {
	return c.post(ctx, jobPath(job, "/blobs"), b)
}

// Evidence is Node's.
func (c *Client) Evidence(ctx context.Context, ref string, w io.Writer) error {
	answer, err := c.do(ctx, http.MethodGet, jobPath(ref, "/evidence"), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	out := &noting{w: w}
	if _, err = io.Copy(out, answer.Body); err == nil {
		err = io.EOF
	}
	if out.err != nil {
		return out.err
	}
	return ended(c.broken(ctx, answer, err))
}

// noting remembers why what was read could not be written.
type noting struct {
	w   io.Writer
	err error
}

// Write is the writer's.
func (n *noting) Write(p []byte) (int, error) {
	k, err := n.w.Write(p)
	n.err = err
	return k, err
}

// next reads the next line of a stream into v. io.EOF is the end that the node meant.
func (c *Client) next(ctx context.Context, answer *http.Response, in *bufio.Reader, v any) error {
	line, err := readLine(in, maxBody)
	if err != nil {
		if len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return c.broken(ctx, answer, err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("answer of the node: %w", err)
	}
	return nil
}

// broken says why a stream can be read no further: err came out of its body.
func (c *Client) broken(ctx context.Context, answer *http.Response, err error) error {
	switch text := answer.Trailer.Get(errorTrailer); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case text != "":
		return decodeError([]byte(text))
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return c.noNode("the node in " + c.home + " ended")
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// outputReader reads one output out of a stream of results.
type outputReader struct {
	c      *Client
	ctx    context.Context // of the call whose stream it is
	answer *http.Response
	in     *bufio.Reader
	left   int64
}

// Read ends with io.EOF exactly after the output's last byte.
func (o *outputReader) Read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	n, err := o.in.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	if err == nil || o.left == 0 {
		return n, nil
	}
	if err = o.c.broken(o.ctx, o.answer, err); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func jobPath(ref, rest string) string { return "jobs/" + url.PathEscape(ref) + rest }

// do sends a request and returns an answer that is no error.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://shoal/api/v1/"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the node: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.web.Do(r)
	var dialling *net.OpError
	switch {
	case ctx.Err() != nil:
		if err == nil {
			answer.Body.Close()
		}
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrPermission):
		return nil, &Error{
			Code: CodeRefused, Message: "no access to the node in " + c.home + ": permission denied",
			Hint: "ask as the user who started it, or name a home of your own with --home DIR",
		}
	case errors.As(err, &dialling) && dialling.Op == "dial", errors.Is(err, errNoAddr):
		return nil, c.noNode("no node is running in " + c.home)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return nil, c.noNode("the node in " + c.home + " ended")
	case err != nil:
		return nil, fmt.Errorf("ask the node in %s: %w", c.home, errors.Unwrap(err)) // without method and path
	case answer.StatusCode >= http.StatusMultipleChoices:
		defer answer.Body.Close()
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		if err != nil {
			return nil, c.noNode("the node in " + c.home + " ended")
		}
		return nil, decodeError(text)
	}
	return answer, nil
}

func (c *Client) noNode(message string) *Error {
	return &Error{Code: CodeNoNode, Message: message, Hint: "start one with: shoal donate, or: shoal up"}
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		var none T
		return none, err
	}
	return decode[T](answer)
}

func decode[T any](answer *http.Response) (v T, err error) {
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("answer of the node: %w", err)
	}
	return v, nil
}

func (c *Client) post(ctx context.Context, path string, v any) error {
	var body io.Reader
	if v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		body = bytes.NewReader(text)
	}
	answer, err := c.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
