package metrics

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestScrape reads series as Prometheus does; those of parts that register themselves are among them.
func TestScrape(t *testing.T) {
	fuel := uint64(0)
	m := New(func() Reading {
		fuel += 5
		return Reading{Fuel: fuel, Units: Counts{"agreed": 3}, Kills: Counts{CauseCrashed: 2}, Donating: "paused", Reachable: true}
	})
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "libp2p_something_total"})
	m.Registerer().MustRegister(other)
	scrape(t, m)
	text := scrape(t, m)
	for _, line := range []string{
		"shoal_worker_fuel_total 10", `shoal_job_units{state="agreed"} 3`, `shoal_job_units{state="open"} 0`, `shoal_sandbox_kills_total{cause="crashed"} 2`,
		`shoal_donating{state="paused"} 1`, `shoal_donating{state="on"} 0`, "shoal_reachable 1", "libp2p_something_total 0", "# TYPE shoal_worker_fuel_total counter",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("not scraped: %s", line)
		}
	}
	for _, name := range names() {
		if !strings.Contains(text, "# HELP "+name+" ") {
			t.Errorf("%s is not scraped", name)
		}
	}
}

// TestCardinality holds the number of series however much a node has to tell.
func TestCardinality(t *testing.T) {
	series := func(r Reading) int {
		n := 0
		for line := range strings.Lines(scrape(t, New(func() Reading { return r }))) {
			if strings.HasPrefix(line, "shoal_") {
				n++
			}
		}
		return n
	}
	many := Counts{}
	for i := range 1000 {
		many[strings.Repeat("x", i)] = 1
	}
	few := series(Reading{})
	if got := series(Reading{Jobs: many, Units: many, Inputs: many, Runs: many, Kills: many, Kept: many, Requests: many, Donating: "nothing known"}); got != few || few > 100 {
		t.Errorf("%d series, and %d of an empty reading", got, few)
	}
}

// TestDashboard holds docs/grafana.json to the metrics that there are: it asks for no other, and
// shows each.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	known := names()
	shown := map[string]bool{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q has no title, no target or no room", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`\bshoal_[a-z_]+`).FindAllString(target.Expr, -1) {
				if shown[name] = true; !slices.Contains(known, name) {
					t.Errorf("panel %q asks for %s, which there is not", p.Title, name)
				}
			}
			if strings.Contains(target.Expr, "_total") != (strings.Contains(target.Expr, "rate(") || strings.Contains(target.Expr, "increase(")) {
				t.Errorf("panel %q: a counter without a rate, or a rate of a gauge: %s", p.Title, target.Expr)
			}
		}
	}
	for _, name := range known {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestListensOnThisMachineAlone(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:0": true, "0.0.0.0:0": false, "192.0.2.1:9404": false, ":9404": false, "localhost": false} {
		l, err := Listen(addr)
		if (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
		if l != nil {
			l.Close()
		}
	}
}

func TestServe(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, New(func() Reading { return Reading{Slots: 7} }).Handler()) }()
	get := func(host, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
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
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if code, text := get("localhost:"+port, "/metrics"); code != http.StatusOK || !strings.Contains(text, "shoal_worker_slots 7") {
		t.Errorf("%d: %.100s", code, text)
	}
	if code, _ := get("rebound.example:"+port, "/metrics"); code != http.StatusForbidden {
		t.Errorf("another host's name: %d", code)
	}
	if code, _ := get("localhost", "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("another path: %d", code)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// names are the names of all metrics that are the node's own.
func names() []string {
	var names []string
	for _, m := range table() {
		names = append(names, m.name)
	}
	return names
}
