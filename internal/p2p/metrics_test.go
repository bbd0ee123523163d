package p2p

import (
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// What libp2p counts is registered under the names that the dashboard asks for.
func TestMetricsOfTheLibrary(t *testing.T) {
	registry := prometheus.NewRegistry()
	hosts := grid(t, 2, func(c *Config) { c.Metrics = registry })
	waitFor(t, "two hosts to meet", func() bool { return len(hosts[0].Peers()) > 0 && len(hosts[1].Peers()) > 0 })
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range families {
		known[f.GetName()] = true
	}
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\blibp2p_[a-z_]+`).FindAllString(string(text), -1)
	for _, name := range asked {
		if name != "libp2p_swarm_connections_closed_total" && !known[name] { // that one is there from the first close on
			t.Errorf("the dashboard asks for %s, which libp2p does not count", name)
		}
	}
	if len(asked) == 0 {
		t.Error("the dashboard shows nothing of libp2p")
	}
}
