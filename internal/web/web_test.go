package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// sample is a node whose answers a test gives: what the pages make of them is what is tested.
type sample struct {
	api.Node // nil: a call that no test foresaw fails it
	status   api.Status
	detail   api.Detail
	settings []api.Setting
	details  map[string]*api.Detail
	peers    []api.Peer
	credit   api.Credit
	whose    api.Whose
	did      []string
	sub      func(api.Submission, string) (*api.Submitted, error)
}

func (n *sample) Status(context.Context) (*api.Status, error)         { return &n.status, nil }
func (n *sample) Peers(context.Context) ([]api.Peer, error)           { return n.peers, nil }
func (n *sample) Settings(context.Context) ([]api.Setting, error)     { return n.settings, nil }
func (n *sample) Job(_ context.Context, ref string) (*api.Job, error) { return &n.of(ref).Job, nil }
func (n *sample) Detail(_ context.Context, ref string, _ int) (*api.Detail, error) {
	return n.of(ref), nil
}

// of is the job of that name, or the one that a test gave.
func (n *sample) of(ref string) *api.Detail {
	if d := n.details[ref]; d != nil {
		return d
	}
	return &n.detail
}

func (n *sample) Explain(_ context.Context, ref string) (*api.Explanation, error) {
	if d := n.details[ref]; d != nil && d.Job.Waits == "" {
		return &api.Explanation{Reasons: []api.Reason{{Code: api.WhyWorking, What: "donors work on it"}}}, nil
	} else if d != nil {
		return &api.Explanation{Reasons: []api.Reason{{Code: api.WhyNoDonors, What: d.Job.Waits, Try: "shoal peers"}}}, nil
	}
	return &api.Explanation{Reasons: []api.Reason{{Code: api.WhyNoPeers, What: n.detail.Job.Waits, Try: "shoal peers"}}}, nil
}

func (n *sample) Credit(context.Context) (*api.Credit, error) { return &n.credit, nil }
func (n *sample) Whose(context.Context) (*api.Whose, error)   { return &n.whose, nil }

func (n *sample) Pause(_ context.Context, d time.Duration) error {
	n.did = append(n.did, "pause "+d.String())
	return nil
}

func (n *sample) Set(_ context.Context, values map[string]string) error {
	n.did = append(n.did, fmt.Sprint("set ", values))
	return nil
}

func (n *sample) Cancel(context.Context, string) error {
	return &api.Error{Code: api.CodeRefused, Message: "job <b>abc</b> is not this node's own", Hint: "ask its submitter"}
}

func (n *sample) Submit(_ context.Context, s api.Submission, lines io.Reader) (*api.Submitted, error) {
	text := ""
	if lines != nil {
		b, err := io.ReadAll(lines)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	return n.sub(s, text)
}

func (n *sample) Results(_ context.Context, _ string, _ api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	for i, name := range []string{"a.txt", "../../etc/passwd", ""} {
		if err := f(api.Result{N: int64(i + 1), Name: name, IsPath: name != "", Outcome: api.OutcomeOK, Size: 1}, strings.NewReader("x")); err != nil {
			return err
		}
	}
	return &api.Error{Code: api.CodeUnexpected, Message: "disk on fire"}
}

func newSample() *sample {
	n := &sample{status: api.Status{Donating: api.DonateStatus{State: api.DonatingOn, Cores: 1, TotalCores: 4}}}
	n.detail = api.Detail{Job: api.Job{Job: strings.Repeat("b", 52), Name: "count.wasm", Own: true, State: api.JobOpen, Units: api.Units{Total: 3, Open: 3}, Inputs: api.Inputs{Total: 3}}}
	n.settings = []api.Setting{{Name: "cores", Value: "0", Wish: true, About: "programs at a time; 0 is one for each"}, {Name: "when", Value: "idle", Wish: true}, {Name: "listen", Value: "4901"}}
	return n
}

func (n *sample) site(t *testing.T) http.Handler {
	t.Helper()
	return New(Config{Node: n, Feed: api.NewFeed(n), API: http.NotFoundHandler(), Temp: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}).Handler()
}

func ask(h http.Handler, method, path, kind, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const formKind = "application/x-www-form-urlencoded"

// The scripts of others are those of the release that their names say (npm's htmx.org 4.0.1,
// 0BSD: dist/htmx.min.js and dist/ext/hx-sse.min.js).
func TestVendoredScripts(t *testing.T) {
	for name, want := range map[string]string{
		"htmx-4.0.1.min.js":   "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"hx-sse-4.0.1.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
	} {
		text, err := files.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s is another file: %s", name, got)
		}
	}
}

// Without a script every page is whole, says how to see news, and its forms lead back to it.
func TestPagesWithoutScript(t *testing.T) {
	n := newSample()
	h := n.site(t)
	for path, want := range map[string]string{
		"/": "My jobs", "/donate": "Limits", "/submit": "Inputs", "/jobs/bbbbbbbb": "count.wasm",
	} {
		w := ask(h, "GET", path, "", "")
		text := w.Body.String()
		if w.Code != 200 || !strings.Contains(text, want) || !strings.Contains(text, "</html>") {
			t.Errorf("%s: status %d, %.300s", path, w.Code, text)
		}
		if path != "/submit" && !strings.Contains(text, `<noscript><meta http-equiv="refresh"`) {
			t.Errorf("%s does not show news without a script", path)
		}
		for _, bad := range []string{" style=", "<style", "onclick", "javascript:", "<script>"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q, which its policy forbids", path, bad)
			}
		}
	}
	w := ask(h, "POST", "/donate/pause", formKind, "minutes=60")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/donate?said=paused" {
		t.Errorf("a form sent without script: status %d to %q", w.Code, w.Header().Get("Location"))
	}
	if text := ask(h, "GET", "/donate?said=paused", "", "").Body.String(); !strings.Contains(text, "Paused.") {
		t.Error("the page does not say that it was done")
	}
	w = ask(h, "POST", "/donate/pause", formKind, "", "Hx-Request: true")
	if w.Code != 200 || w.Body.String() != "Paused." {
		t.Errorf("a form sent by the script: status %d, %q", w.Code, w.Body)
	}
	if got := strings.Join(n.did, ", "); got != "pause 1h0m0s, pause 0s" {
		t.Errorf("it did %s", got)
	}
}

// Names, reasons and standard error are strangers' words.
func TestStrangersWordsAreWords(t *testing.T) {
	n := newSample()
	evil := "</title><script>alert(1)</script>\x1b[2J\u202egnp"
	n.detail.Job.Name, n.detail.Job.Waits = evil, evil
	n.detail.Failures = []api.Result{{N: 1, Name: evil, Stderr: evil, Reason: evil, ToldBy: evil}}
	n.detail.Shares = []api.Share{{Peer: evil, Units: 1}}
	n.status.Jobs = []api.Job{n.detail.Job}
	n.status.Working = []api.Work{{Job: evil, Name: evil, Submitter: evil}}
	n.status.Donating.Reasons = []string{evil}
	h := n.site(t)
	for _, path := range []string{"/", "/jobs/bbbbbbbb", "/donate"} {
		text := ask(h, "GET", path, "", "").Body.String()
		if strings.Contains(text, "<script>alert") || strings.ContainsAny(text, "\x1b") {
			t.Errorf("%s shows strangers' words as its own", path)
		}
	}
	if text := ask(h, "GET", "/jobs/bbbbbbbb", "", "").Body.String(); strings.Contains(text[:strings.Index(text, "</h1>")], "\u202e") {
		t.Error("a name turns the words around it")
	}
	if w := ask(h, "POST", "/jobs/bbbbbbbb/cancel", formKind, "", "Hx-Request: true"); w.Code != 422 || w.Body.String() != "Job &lt;b&gt;abc&lt;/b&gt; is not this node&#39;s own. Ask its submitter." {
		t.Errorf("a refusal: status %d, %q", w.Code, w.Body)
	}
}

func TestBadForms(t *testing.T) {
	n := newSample()
	h := n.site(t)
	for name, c := range map[string]struct {
		method, path, kind, body string
		want                     int
	}{
		"unknown page":      {"GET", "/nothing", "", "", 404},
		"unknown file":      {"GET", "/static/..%2fweb.go", "", "", 404},
		"effects by GET":    {"GET", "/donate/pause", "", "", 404},
		"no number":         {"POST", "/donate/pause", formKind, "minutes=soon", 422},
		"negative":          {"POST", "/donate/pause", formKind, "minutes=-5", 422},
		"too long":          {"POST", "/donate/limits", formKind, "cores=" + strings.Repeat("1", maxForm), 422},
		"no form":           {"POST", "/submit", "", "", 422},
		"nothing in a form": {"POST", "/submit", "multipart/form-data; boundary=x", "--x--\r\n", 422},
		"a form cut off":    {"POST", "/submit", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"program\"; filename=\"p\"\r\n\r\nabc", 422},
	} {
		if w := ask(h, c.method, c.path, c.kind, c.body); w.Code != c.want {
			t.Errorf("%s: status %d, not %d", name, w.Code, c.want)
		}
	}
	if len(n.did) > 0 {
		t.Errorf("bad forms did %v", n.did)
	}
}

func TestLimitsSetOnlyWhatChanged(t *testing.T) {
	n := newSample()
	h := n.site(t)
	v := url.Values{"cores": {"4"}, "when": {"always"}, "listen": {"1"}, "nonsense": {"1"}} // 4 is what 0 shows as
	if w := ask(h, "POST", "/donate/limits", formKind, v.Encode()); w.Code != http.StatusSeeOther {
		t.Errorf("status %d", w.Code)
	}
	if got := strings.Join(n.did, ", "); got != "set map[when:always]" {
		t.Errorf("it did %s", got)
	}
}

func TestSubmit(t *testing.T) {
	n := newSample()
	temp := t.TempDir()
	h := New(Config{Node: n, Feed: api.NewFeed(n), Temp: temp, API: http.NotFoundHandler(), Logger: slog.New(slog.DiscardHandler)}).Handler()
	var got api.Submission
	var lines, program string
	n.sub = func(s api.Submission, text string) (*api.Submitted, error) {
		b, err := os.ReadFile(s.Program)
		got, lines, program = s, text, string(b)
		return &api.Submitted{Job: "abc"}, err
	}
	part := func(name, file, text string) string {
		if file != "" {
			file = `; filename="` + file + `"`
		}
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"" + file + "\r\n\r\n" + text + "\r\n"
	}
	body := part("program", `C:\dir\..\count.wasm`, "\x00asm") + part("inputs", "", "lines") + part("lines", "", "one\r\n\r\nthree") + "--x--\r\n"
	w := ask(h, "POST", "/submit", "multipart/form-data; boundary=x", body)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/jobs/abc" {
		t.Fatalf("status %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	if lines != "one\n\nthree\n" || program != "\x00asm" || got.Name != "count.wasm" || !got.Lines || got.Range != nil {
		t.Errorf("submitted %+v with lines %q", got, lines)
	}
	body = part("program", "p", "x") + part("inputs", "", "files") + part("files", "../../a.txt", "1") + part("files", "b", "2") + "--x--\r\n"
	if w := ask(h, "POST", "/submit", "multipart/form-data; boundary=x", body); w.Code != http.StatusSeeOther || len(got.Files) != 2 || got.Files[0].Name != "a.txt" {
		t.Errorf("status %d, files %+v", w.Code, got.Files)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("uploads are left: %v, %v", left, err)
	}
}

// An archive has no name that leads out of it, and one that broke off does not look whole.
func TestArchive(t *testing.T) {
	for _, c := range []struct {
		r    api.Result
		want string
	}{
		{api.Result{N: 1, Name: "a/b.txt", IsPath: true}, "a/b.txt"},
		{api.Result{N: 2, Name: "../../etc/passwd", IsPath: true}, "etc/passwd"},
		{api.Result{N: 3, Name: `..\..\x`, IsPath: true}, "x"},
		{api.Result{N: 4, Name: "/..", IsPath: true}, "4.out"},
		{api.Result{N: 5, Name: "17"}, "5.out"},
	} {
		if got := fileName(c.r); got != c.want {
			t.Errorf("%q is named %q, not %q", c.r.Name, got, c.want)
		}
	}
	server := httptest.NewServer(newSample().site(t))
	defer server.Close()
	answer, err := http.Get(server.URL + "/jobs/bbbbbbbb/answers.zip")
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	if err == nil && answer.StatusCode == http.StatusOK {
		t.Error("an archive that broke off ended like a whole one")
	}
}

// However large a job is, its page is not.
func TestPagesAreBounded(t *testing.T) {
	n := newSample()
	n.detail.Map.PerCell = 500
	for i := range api.MaxCells {
		n.detail.Map.Cells = append(n.detail.Map.Cells, []api.Units{{Total: 500, Agreed: 500}, {Total: 500, Open: 500}, {Total: 500, Running: 1, Open: 499}}[i%3])
	}
	for range api.MaxFailures {
		n.detail.Failures = append(n.detail.Failures, api.Result{N: 1, Stderr: strings.Repeat("e", 64<<10)})
	}
	text := ask(n.site(t), "GET", "/jobs/bbbbbbbb", "", "").Body.String()
	if len(text) > 256<<10 {
		t.Errorf("the page has %d bytes", len(text))
	}
	if cells := strings.Count(text, "v11h-11z"); cells != api.MaxCells {
		t.Errorf("%d cells are drawn", cells)
	}
}
