package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// TestWatchingIsFlat has pages and programs watch a job of 100,000 units for a long time, and
// compares what the node holds before and after.
func TestWatchingIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("submits a large job to a real node")
	}
	g := gridtest.New(t, gridtest.Build(t))
	n := g.Start("node", "up")
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte(strings.Repeat("31\n", 100_000)), 0o644); err != nil {
		t.Fatal(err)
	}
	job, _ := n.Submit(mersenne(t), "--lines", lines, "--per-unit", "1")
	read := func(times int) {
		for range times {
			d, err := n.API.Detail(t.Context(), job, api.MaxCells)
			if err != nil {
				t.Fatal(err)
			}
			if d.Job.Units.Total != 100_000 || len(d.Map.Cells) > api.MaxCells {
				t.Fatalf("%d units in %d cells", d.Job.Units.Total, len(d.Map.Cells))
			}
			if _, err := n.API.Status(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := link(t, n)
	base := first[:strings.Index(first, "/open/")]
	session := enter(t, first)
	pages := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		for _, path := range []string{"/live", "/jobs/" + job + "/live", "/api/v1/events"} {
			listen(ctx, t, base+path, session)
		}
		return cancel
	}
	leave := pages()
	read(30)
	leave()
	before := heap(t, n)
	for range 5 {
		leave := pages()
		read(40)
		leave()
	}
	after := heap(t, n)
	t.Logf("the node holds %d KiB after 30 readings and %d KiB after 200 more", before>>10, after>>10)
	if after > before+(8<<20) {
		t.Errorf("watching made the node hold %d KiB more", (after-before)>>10)
	}
}

// enter uses a link as a browser does, and gives the session's cookie.
func enter(t *testing.T, link string) *http.Cookie {
	t.Helper()
	answer, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if len(answer.Cookies()) != 1 {
		t.Fatalf("a fresh link: %s", answer.Status)
	}
	return answer.Cookies()[0]
}

// listen reads a stream until it has said something, and goes on until ctx ends.
func listen(ctx context.Context, t *testing.T, address string, session *http.Cookie) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(session)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(answer.Body)
	if line, err := in.ReadString('\n'); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %q, %v", address, answer.Status, line, err)
	}
	go func() {
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, in) // ends with ctx
	}()
}

// onSocket is what a node answers to who can open its socket.
func onSocket(t *testing.T, n *gridtest.Node, path string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(n.Home, "api.sock"))
	}}}
	answer, err := client.Get("http://shoal" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, answer.Status, err)
	}
	return string(text)
}

// heap is what the node's process holds after a collection, as its profile on the socket says.
func heap(t *testing.T, n *gridtest.Node) int64 {
	t.Helper()
	for line := range strings.Lines(onSocket(t, n, "/debug/pprof/heap?debug=1&gc=1")) {
		var bytes int64
		if _, err := fmt.Sscanf(line, "# HeapAlloc = %d", &bytes); err == nil {
			return bytes
		}
	}
	t.Fatal("the profile does not say")
	return 0
}
