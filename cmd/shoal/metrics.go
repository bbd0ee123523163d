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

// metricsPart opens the port for metrics that was asked for, and gives what serves it until its
// context ends. Without one it only waits.
func metricsPart(addr string, scrape http.Handler) (part func(context.Context) error, err error) {
	if addr == "" {
		return func(ctx context.Context) error { <-ctx.Done(); return nil }, nil
	}
	var l net.Listener
	if l, err = metrics.Listen(addr); err != nil {
		return nil, &api.Error{Code: api.CodeUsage, Message: "--metrics: " + err.Error(), Hint: "name a free port of this machine: --metrics 127.0.0.1:9404"}
	}
	return func(ctx context.Context) error { return metrics.Serve(ctx, l, scrape) }, nil
}
