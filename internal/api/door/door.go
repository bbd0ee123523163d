// Package door is the way in for a browser on this machine: a port of 127.0.0.1 that is closed
// until the node's owner asks, and closes again when nobody has used it for a while.
//
// What goes through must have been sent to this very place (Host), by one of its own pages
// (Origin), and with a session: a cookie that only a one-time link gives, and only a command
// that can open the home's socket gets such a link. Sessions outlive the process: their key and
// the port are in a file of the home, so that an open page finds a node that was restarted.
package door

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Config says what is behind a door. The zero value of a time means its default.
type Config struct {
	Home    string       // folder of the file that outlives the process
	Handler http.Handler // what a session may reach
	Logger  *slog.Logger
	Idle    time.Duration // without a request after which the door closes: 2 h
	LinkFor time.Duration // that a link can be used: 2 min
	Headers time.Duration // that a request's headers may take: 5 s
	Stall   time.Duration // that a request's body may stand still: 30 s
}

// What a client may cost, and how long things are good.
const (
	idleTime      = 2 * time.Hour
	linkTime      = 2 * time.Minute
	sessionTime   = 7 * 24 * time.Hour
	noteTime      = time.Minute // between two notes of the last use in the home
	maxLinks      = 16          // given and not used yet
	maxRequests   = 64          // at a time
	maxCallers    = 128         // connections at a time; more of them wait
	maxHeader     = 32 << 10    // bytes
	headerTimeout = 5 * time.Second
	stallTimeout  = 30 * time.Second
	keepTime      = time.Minute // of an idle connection
	closeTime     = time.Second
)

// Door opens and closes the port.
type Door struct {
	cfg  Config
	asks chan ask
	busy chan struct{} // a place for each request under way

	mu    sync.Mutex
	keys  keys
	links map[[32]byte]time.Time // hash of a link's secret: until when it is good
	last  time.Time              // of the last request
	calls int                    // under way
}

// ask is one wish for a link.
type ask struct {
	port   int
	answer chan answer
}

type answer struct {
	link string
	err  error
}

// New makes a door that is closed. Run makes it work.
func New(cfg Config) *Door {
	cfg.Idle, cfg.LinkFor = cmp.Or(cfg.Idle, idleTime), cmp.Or(cfg.LinkFor, linkTime)
	cfg.Headers, cfg.Stall = cmp.Or(cfg.Headers, headerTimeout), cmp.Or(cfg.Stall, stallTimeout)
	return &Door{cfg: cfg, asks: make(chan ask), busy: make(chan struct{}, maxRequests), links: map[[32]byte]time.Time{}}
}

// Link opens the door if it is closed, and gives an address that lets one browser in, once and
// soon. Port 0 is any free one; a door that is open already stays where it is.
func (d *Door) Link(ctx context.Context, port int) (string, error) {
	a := ask{port: port, answer: make(chan answer, 1)}
	select {
	case d.asks <- a:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	got := <-a.answer
	return got.link, got.err
}

// Run opens the door when a link is asked for, or at once where a node that was killed had left
// it open, and closes it when it is unused. It returns when ctx has ended and the port is free.
func (d *Door) Run(ctx context.Context) error {
	var open *opened
	if left, ok := d.recall(); ok {
		var err error
		if open, err = d.open(ctx, left.Port); err != nil {
			d.cfg.Logger.Warn("an open page has to be opened anew with shoal ui", "error", err)
		}
	}
	tick := time.NewTicker(min(d.cfg.Idle/4, noteTime))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			open.close()
			return nil
		case a := <-d.asks:
			link, err := d.give(ctx, &open, a.port)
			a.answer <- answer{link, err}
		case now := <-tick.C:
			if open == nil {
				continue
			}
			if d.unused(now) {
				open.close()
				open = nil
				d.forget()
				continue
			}
			d.note(open.port)
		}
	}
}

// give makes a link, and opens the door for it if it is closed.
func (d *Door) give(ctx context.Context, open **opened, port int) (string, error) {
	if *open == nil {
		var err error
		if *open, err = d.open(ctx, port); err != nil {
			return "", err
		}
	}
	at := (*open).port
	if port != 0 && port != at {
		return "", fmt.Errorf("the page is open on port %d already", at)
	}
	d.note(at)
	return "http://" + net.JoinHostPort(localhost, strconv.Itoa(at)) + linkPath + d.newLink(time.Now()), nil
}

// opened is the door while it is open.
type opened struct {
	port int
	web  *http.Server
	done chan struct{} // closed when no request is under way any more
}

func (d *Door) open(ctx context.Context, port int) (*opened, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", net.JoinHostPort(localhost, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("open a port for the page: %w", err)
	}
	o := &opened{port: l.Addr().(*net.TCPAddr).Port, done: make(chan struct{})}
	if err := d.unlock(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	o.web = &http.Server{
		Handler:           d.check(o.port),
		ReadHeaderTimeout: d.cfg.Headers, // a body has another: see steady
		IdleTimeout:       keepTime,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(d.cfg.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(o.done)
		if err := o.web.Serve(netutil.LimitListener(l, maxCallers)); !errors.Is(err, http.ErrServerClosed) {
			d.cfg.Logger.Warn("the page is closed", "error", err)
		}
	}()
	return o, nil
}

// close frees the port; requests under way get a moment.
func (o *opened) close() {
	if o == nil {
		return
	}
	grace, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if o.web.Shutdown(grace) != nil { // an open page never stops listening
		_ = o.web.Close() // the port is free either way
	}
	<-o.done
}

// use counts a request in; the result counts it out.
func (d *Door) use() (done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.calls--
		d.last = time.Now()
	}
}

func (d *Door) unused(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls > 0 {
		d.last = now
	}
	return now.Sub(d.last) > d.cfg.Idle
}
