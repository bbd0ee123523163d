package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

// What a scraper may cost.
const (
	headerTimeout = 5 * time.Second
	answerTimeout = 10 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	maxCallers    = 16 // connections at a time; more of them wait
)

// Listen opens a port of this machine for scrapers: metrics tell what a machine does, and are
// for no other.
func Listen(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%q is no address and port, like 127.0.0.1:9404", addr)
	}
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s is not this machine alone: metrics are served on 127.0.0.1 or ::1", at.Addr())
	}
	return net.Listen("tcp", addr)
}

// Serve answers GET /metrics until ctx ends, and then closes l.
func Serve(ctx context.Context, l net.Listener, scrape http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", local(scrape))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	stop := context.AfterFunc(ctx, func() { web.Close() }) // a scrape that is cut short is asked again
	defer stop()
	if err := web.Serve(netutil.LimitListener(l, maxCallers)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// local refuses requests that name another host: a page in a browser on this machine could make
// its own name mean this machine, and read the answer.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "metrics are for this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
