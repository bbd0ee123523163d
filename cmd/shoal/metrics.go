package main

import (
	"context"
	"net"
	"net/http"

	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/metrics"
)

// addMetricsFlag is where a node shows its metrics beside its socket.
func (f *nodeFlags) addMetricsFlag(set *pflag.FlagSet) {
	set.StringVar(&f.metrics, "metrics", "", "`ADDR` of this machine, like 127.0.0.1:9404, for Prometheus (the node's socket alone)")
}

// metricsPort is the port for metrics that was asked for; the zero one only waits.
type metricsPort struct{ l net.Listener }

func openMetrics(addr string) (metricsPort, error) {
	if addr == "" {
		return metricsPort{}, nil
	}
	l, err := metrics.Listen(addr)
	if err != nil {
		return metricsPort{}, &api.Error{Code: api.CodeUsage, Message: "--metrics: " + err.Error(), Hint: "name a free port of this machine: --metrics 127.0.0.1:9404"}
	}
	return metricsPort{l}, nil
}

// serve answers on the port until ctx ends.
func (m metricsPort) serve(ctx context.Context, scrape http.Handler) error {
	if m.l == nil {
		<-ctx.Done()
		return nil
	}
	return metrics.Serve(ctx, m.l, scrape)
}

func (m metricsPort) close() error {
	if m.l == nil {
		return nil
	}
	return m.l.Close()
}
