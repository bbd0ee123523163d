package p2p

import (
	"context"
	"log"
	"log/slog"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// LibraryLogs sends what the network's libraries log to a handler, as debugging aids. It is to
// be called once, when the program starts, because they have one logger a process; otherwise
// they write to stderr. What kad-dht and bitswap log is lost: it says nothing about this node.
func LibraryLogs(to slog.Handler) {
	quiet := demoted{to}
	gologshim.SetDefaultHandler(quiet)
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(quiet, slog.LevelWarn).Writer())
	golog.SetupLogging(golog.Config{Level: golog.LevelFatal})
}

// demoted makes a library's warnings and errors debugging records: what a library calls an
// error is often a peer that went away. Its own debugging records are dropped.
type demoted struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }
