package door

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// house is a door with a page behind it, and a browser that knows no better.
type house struct {
	*Door
	t    *testing.T
	base string

	stop func()
}

func open(t *testing.T, cfg Config) *house {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	if cfg.Handler == nil {
		cfg.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page "+r.URL.Path) })
	}
	h := &house{Door: New(cfg), t: t}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *house) link() string {
	h.t.Helper()
	link, err := h.Link(h.t.Context(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.base, _, _ = strings.Cut(link, linkPath)
	return link
}

// ask sends a request with headers "Name: value"; "Host: value" is where it claims to go.
func (h *house) ask(method, url, body string, headers ...string) *http.Response {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// enter uses a link, and gives the header line of the session.
func (h *house) enter() string {
	h.t.Helper()
	answer := h.ask("GET", h.link(), "")
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
		h.t.Fatalf("a fresh link: status %d, cookies %v", answer.StatusCode, answer.Cookies())
	}
	c := answer.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Domain != "" || c.Path != "/" {
		h.t.Errorf("the session's cookie: %v", c)
	}
	return "Cookie: " + c.Name + "=" + c.Value
}

func TestWhoComesIn(t *testing.T) {
	h := open(t, Config{Home: t.TempDir()})
	cookie := h.enter()
	port := strings.TrimPrefix(h.base, "http://127.0.0.1:")
	const json, form = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
	same := "Origin: " + h.base
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		want               int
	}{
		"no session":                     {"GET", "/", "", nil, 401},
		"no session, no such path":       {"GET", "/no/such/path", "", nil, 401},
		"no session, with effects":       {"POST", "/api/v1/donate/pause", "{}", []string{json, same}, 401},
		"a made-up session":              {"GET", "/", "", []string{cookie + "x"}, 401},
		"another session's end":          {"GET", "/", "", []string{cookie[:len(cookie)-8] + "AAAAAAAA"}, 401},
		"a session":                      {"GET", "/jobs", "", []string{cookie}, 200},
		"by name":                        {"GET", "/", "", []string{cookie, "Host: localhost:" + port}, 200},
		"wrong host":                     {"GET", "/", "", []string{cookie, "Host: evil.example:" + port}, 403},
		"wrong host, no session":         {"GET", "/", "", []string{"Host: evil.example"}, 403},
		"host without port":              {"GET", "/", "", []string{cookie, "Host: 127.0.0.1"}, 403},
		"wrong origin":                   {"GET", "/", "", []string{cookie, "Origin: https://evil.example"}, 403},
		"wrong origin, no session":       {"POST", "/", "", []string{"Origin: https://evil.example"}, 403},
		"no origin of its own":           {"POST", "/", "{}", []string{cookie, json, "Origin: null"}, 403},
		"origin of another port":         {"POST", "/", "{}", []string{cookie, json, "Origin: http://127.0.0.1:1"}, 403},
		"origin over TLS":                {"POST", "/", "{}", []string{cookie, json, "Origin: https://127.0.0.1:" + port}, 403},
		"script of another port":         {"GET", "/", "", []string{cookie, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"}, 403},
		"framed elsewhere":               {"GET", "/", "", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
		"a link to the page":             {"GET", "/", "", []string{cookie, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200},
		"a form sent from elsewhere":     {"POST", "/", "a=1", []string{cookie, form, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403},
		"effects, sent by nobody":        {"POST", "/", "{}", []string{cookie, json}, 403},
		"effects, JSON":                  {"POST", "/", "{}", []string{cookie, json, same}, 200},
		"effects, form":                  {"POST", "/", "a=1", []string{cookie, form, same}, 200},
		"effects, by the browser's word": {"POST", "/", "{}", []string{cookie, json, "Sec-Fetch-Site: same-origin"}, 200},
		"effects, nothing to say":        {"POST", "/", "", []string{cookie, same}, 200},
		"effects, plain text":            {"POST", "/", "{}", []string{cookie, "Content-Type: text/plain", same}, 415},
		"effects, of no kind":            {"POST", "/", "{}", []string{cookie, same}, 415},
		"deleting, sent by nobody":       {"DELETE", "/", "", []string{cookie}, 403},
		"a link that was used":           {"GET", linkPath + "x", "", nil, 401},
		"session in the address":         {"GET", "/?" + strings.TrimPrefix(cookie, "Cookie: "), "", nil, 401},
	} {
		answer := h.ask(c.method, h.base+c.path, c.body, c.headers...)
		if answer.StatusCode != c.want {
			t.Errorf("%s: status %d, not %d", name, answer.StatusCode, c.want)
		}
		for header, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := answer.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, not %q", name, header, got, want)
			}
		}
		if csp := answer.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the page may do too much: %s", name, csp)
		}
	}
}

// Without a session no path can be told from another.
func TestStrangersLearnNoPaths(t *testing.T) {
	h := open(t, Config{Home: t.TempDir()})
	h.link()
	var first string
	for _, path := range []string{"/", "/api/v1/status", "/api/v1/nothing", "/static/htmx.js", "/open/", "/debug/pprof/", "/../x"} {
		answer := h.ask("GET", h.base+path, "")
		text, _ := io.ReadAll(answer.Body)
		if first == "" {
			first = string(text)
		}
		if answer.StatusCode != 401 || string(text) != first {
			t.Errorf("%s: status %d, %q", path, answer.StatusCode, text)
		}
	}
}

func TestLinksAreForOneUseAndSoon(t *testing.T) {
	h := open(t, Config{Home: t.TempDir()})
	link := h.link()
	if got := h.ask("GET", link, "", "Host: evil.example").StatusCode; got != 403 {
		t.Errorf("under another name: status %d", got)
	}
	if got := h.ask("HEAD", link, "").StatusCode; got != 401 {
		t.Errorf("only looked at: status %d", got)
	}
	for i, want := range []int{200, 401} {
		if got := h.ask("GET", link, "").StatusCode; got != want {
			t.Errorf("use %d: status %d, not %d", i+1, got, want)
		}
	}
	now := time.Now()
	late := h.newLink(now)
	if h.useLink(late, now.Add(linkTime)) {
		t.Error("a link was good for too long")
	}
	oldest := h.newLink(now)
	for i := range maxLinks {
		h.newLink(now.Add(time.Duration(i+1) * time.Second))
	}
	if h.useLink(oldest, now) || len(h.Door.links) != maxLinks {
		t.Errorf("%d links are kept", len(h.Door.links))
	}
}

// An open page finds a node that was restarted, with the session that it had.
func TestSessionsOutliveTheNode(t *testing.T) {
	home := t.TempDir()
	h := open(t, Config{Home: home})
	cookie := h.enter()
	base := h.base
	h.stop()
	h = open(t, Config{Home: home})
	if h.link(); h.base != base {
		t.Fatalf("the page was at %s and is at %s", base, h.base)
	}
	if got := h.ask("GET", base+"/", "", cookie).StatusCode; got != 200 {
		t.Errorf("with the old session: status %d", got)
	}
	h.stop()

	if err := os.Chmod(filepath.Join(home, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	h = open(t, Config{Home: home})
	h.link()
	if got := h.ask("GET", h.base+"/", "", cookie).StatusCode; got != 401 {
		t.Errorf("with a session signed by what others could read: status %d", got)
	}
}

func TestUnusedDoorCloses(t *testing.T) {
	home := t.TempDir()
	inside, leave := make(chan struct{}), make(chan struct{})
	h := open(t, Config{Home: home, Idle: 40 * time.Millisecond, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-leave
	})})
	if _, err := os.Stat(filepath.Join(home, keyFile)); !os.IsNotExist(err) {
		t.Errorf("before anybody asked: %v", err)
	}
	cookie := h.enter()
	going := make(chan int)
	go func() { going <- h.ask("GET", h.base+"/", "", cookie).StatusCode }()
	<-inside
	began := time.Now()
	for tick := time.NewTicker(5 * time.Millisecond); time.Since(began) < 4*h.cfg.Idle; <-tick.C { // it is not unused
	}
	close(leave)
	if got := <-going; got != 200 {
		t.Errorf("status %d while the door was in use", got)
	}
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(filepath.Join(home, keyFile)); os.IsNotExist(err) {
			break
		}
	}
	if r, err := http.Get(h.base); err == nil {
		r.Body.Close()
		t.Error("it has forgotten its sessions and is open")
	}
	if h.ask("GET", h.link(), "").StatusCode != 200 {
		t.Error("it does not open again")
	}
}
