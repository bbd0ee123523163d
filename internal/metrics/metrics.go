// Package metrics tells Prometheus what a node does. A Reading is taken when somebody scrapes:
// nothing is counted twice, and nothing costs anything between two scrapes. Every label has a
// closed set of values, so that neither jobs nor peers make series.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is one node's metrics: its own, those of its process, and those of the parts that
// register with it.
type Metrics struct{ registry *prometheus.Registry }

// New makes metrics of what read tells.
func New(read func() Reading) *Metrics {
	m := &Metrics{prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(read))
	return m
}

// Registerer takes in the metrics of other parts.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// collector makes series of a Reading.
type collector struct {
	read  func() Reading
	table []metric
	descs []*prometheus.Desc // of table
}

func newCollector(read func() Reading) *collector {
	c := &collector{read: read, table: table()}
	for _, m := range c.table {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, labels, nil))
	}
	return c
}

// Describe is prometheus.Collector's.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	r := c.read()
	for i, m := range c.table {
		if m.label == "" {
			to <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.one(&r))
			continue
		}
		values := m.many(&r)
		for _, label := range m.values {
			to <- prometheus.MustNewConstMetric(c.descs[i], m.kind, values[label], label)
		}
	}
}
