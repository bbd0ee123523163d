package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// raw sends one request as it is and returns the answer.
func raw(t *testing.T, c *Client, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://shoal"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestBadRequests(t *testing.T) {
	b := &bench{
		submit: func(Submission, io.Reader) (*Submitted, error) { return &Submitted{}, nil },
		job:    func(string) (*Job, error) { return nil, &Error{Code: CodeNotFound, Message: "no such job"} },
	}
	c, _ := serve(t, b)
	tests := map[string]struct {
		method, path, body string
		status             int
	}{
		"unknown route":      {"GET", "/api/v1/nothing", "", 404},
		"wrong method":       {"GET", "/api/v1/donate/pause", "", 405},
		"not JSON":           {"POST", "/api/v1/donate", "hello", 400},
		"unknown field":      {"POST", "/api/v1/donate", `{"coers":1}`, 400},
		"two documents":      {"POST", "/api/v1/donate", `{} {}`, 400},
		"number too large":   {"POST", "/api/v1/donate", `{"cores":1e400}`, 400},
		"body too large":     {"POST", "/api/v1/donate", `{"when":"` + strings.Repeat("x", maxBody) + `"}`, 413},
		"a name twice":       {"POST", "/api/v1/donate", `{"cores":1,"when":"idle","cores":2}`, 400},
		"a name twice below": {"POST", "/api/v1/donate", `{"cores":[{"a":[],"b":{},"a":1}]}`, 400},
		"too deep":           {"POST", "/api/v1/donate", strings.Repeat("[", 20_000), 400},
		"not an object":      {"POST", "/api/v1/donate", `[1]`, 400},
		"cut off":            {"POST", "/api/v1/donate", `{"cores":1`, 400},
		"no number":          {"GET", "/api/v1/jobs/x/detail?cells=-1", "", 400},
		"another folder":     {"GET", "/api/v1/jobs/..%2f..%2fkey", "", 404},
		"no page here":       {"POST", "/api/v1/page", "", 422},
		"no submission":      {"POST", "/api/v1/jobs", "", 400},
		"submission too big": {"POST", "/api/v1/jobs", strings.Repeat("x", maxSubmission+1), 400},
		"submission cut":     {"POST", "/api/v1/jobs", `{"program":"/p`, 400},
	}
	for name, test := range tests {
		status, text := raw(t, c, test.method, test.path, test.body)
		if status != test.status {
			t.Errorf("%s: status %d: %s", name, status, text)
		}
	}
	if len(b.did) > 0 {
		t.Errorf("bad requests did %v", b.did)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	arrived := make(chan struct{})
	s := NewServer(&bench{watch: func(ctx context.Context, _ func(*Job) error) error {
		arrived <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}, slog.New(slog.DiscardHandler))
	s.busy = make(chan struct{}, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	base := "http://" + l.Addr().String() + "/api/v1/"
	go http.Get(base + "jobs/x/watch")
	<-arrived
	answer, err := http.Get(base + "status")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", answer.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAsError(t *testing.T) {
	hinted := fmt.Errorf("open the home: %w", &withHint{})
	known := fmt.Errorf("try: %w", &Error{Code: CodeRefused, Message: "no", Hint: "ask"})
	for _, test := range []struct {
		err  error
		want *Error
	}{
		{nil, nil},
		{io.EOF, &Error{Code: CodeUnexpected, Message: "EOF"}},
		{hinted, &Error{Code: CodeUnexpected, Message: "open the home: in use", Hint: "stop it"}},
		{known, &Error{Code: CodeRefused, Message: "try: no", Hint: "ask"}},
	} {
		check(t, test.want, AsError(test.err))
	}
}

type withHint struct{}

func (*withHint) Error() string { return "in use" }
func (*withHint) Hint() string  { return "stop it" }

// Metrics are on the socket, and not where a browser may come.
func TestMetricsOnTheSocketAlone(t *testing.T) {
	s := NewServer(&bench{}, slog.New(slog.DiscardHandler))
	s.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "shoal_peers 3") })
	for handler, want := range map[string]int{"socket": http.StatusOK, "guarded": http.StatusNotFound} {
		h := map[string]http.Handler{"socket": s.Handler(), "guarded": s.Guarded()}[handler]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != want {
			t.Errorf("%s: %d", handler, w.Code)
		}
	}
}
