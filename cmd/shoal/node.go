package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/internal/words"
)

// nodeOptions is what a command asks of a node that it starts itself.
type nodeOptions struct {
	Home    string
	Config  config.Config
	Donate  bool   // lend cores from the start
	Weak    bool   // also where a lock of the sandbox is missing
	Alone   bool   // the network comes up only when a job is offered
	Passing bool   // it leaves soon, and so keeps nothing for others
	Metrics string // address to serve metrics on, beside the socket; "": none
	Version string
	Logger  *slog.Logger
}

// gridNode is a node inside this process. internal/node's is one.
type gridNode interface {
	api.Node
	// Run is the node's life: it returns when ctx has ended and every part is stopped, or
	// when the node cannot go on.
	Run(ctx context.Context) error
	// Metrics answers Prometheus.
	Metrics() http.Handler
	// Close gives the home free, after Run or without it.
	Close() error
}

// nodeOpener opens the home and makes a node of it that does nothing by itself before Run,
// but tells what the home knows. An error is a *store.InUse where another node has the home.
type nodeOpener func(o nodeOptions) (gridNode, error)

const (
	joinTime = 10 * time.Second       // for another command's node to answer after it took the home
	stopTime = 3 * time.Second        // for a node to end
	pollTime = 50 * time.Millisecond  // between two looks at whether a node answers
	askTime  = 300 * time.Millisecond // for completion: nobody waits longer for a tab
)

// nodeFlags are the flags of a command that may start a node.
type nodeFlags struct {
	set     *pflag.FlagSet
	noMDNS  bool
	listen  string
	network string
	metrics string
	boot    []string
	lends   bool // it has a flag for each wish
	named   bool // --name is the node's
}

func addNodeFlags(set *pflag.FlagSet) *nodeFlags {
	f := &nodeFlags{set: set}
	set.StringVar(&f.listen, "listen", "", "`ADDR`, a port or address:port, to listen on (4901, another if taken)")
	set.StringArrayVar(&f.boot, "bootstrap", nil, "`ADDR` of a node to join by, as shoal id prints it; remembered")
	set.BoolVar(&f.noMDNS, "no-mdns", false, "do not look for nodes on the local network")
	set.StringVar(&f.network, "network", "", "`NAME` of the grid")
	return f
}

// settings are the flags that were given, by the names that config knows.
func (f *nodeFlags) settings() map[string]string {
	given := make(map[string]string)
	for _, s := range config.Settings() {
		if flag := f.set.Lookup(s.Name); flag != nil && flag.Changed && f.sets(s) {
			given[s.Name] = flag.Value.String()
		}
	}
	if len(f.boot) > 0 {
		given["bootstrap"] = strings.Join(f.boot, ",")
	}
	if f.set.Changed("no-mdns") {
		given["mdns"] = strconv.FormatBool(!f.noMDNS)
	}
	return given
}

// sets reports whether a flag of that name means the setting: run has a --name and a --memory, too,
// which are its job's.
func (f *nodeFlags) sets(s config.Setting) bool {
	switch s.Name {
	case "listen", "network":
		return true
	case "name":
		return f.named
	}
	return s.Wish && f.lends
}

// addName is for commands that start a node to stay.
func (f *nodeFlags) addName() {
	f.named = true
	f.set.String("name", "", "`NAME` to show others beside this node's peer ID")
}

// home is the folder that the command works in.
func (p *program) home() (string, error) { return config.Home(p.homeFlag, os.LookupEnv) }

// nodeOptions puts together flags, environment and configuration file.
func (p *program) nodeOptions(given map[string]string) (nodeOptions, error) {
	home, err := p.home()
	if err != nil {
		return nodeOptions{}, wrongCall(err)
	}
	settings, err := config.Load(home, os.LookupEnv, given)
	if err != nil {
		return nodeOptions{}, wrongCall(err)
	}
	if err := settings.Validate(); err != nil {
		return nodeOptions{}, wrongCall(err)
	}
	return nodeOptions{Home: home, Config: settings, Version: version(), Logger: p.log()}, nil
}

// wrongCall makes a setting that cannot be used the caller's mistake.
func wrongCall(err error) error {
	if bad, ok := errors.AsType[*config.Error](err); ok {
		return usage(bad.Hint(), "%s", bad.Error())
	}
	return err
}

// session is a node to talk to.
type session struct {
	api.Node
	own  bool         // it lives in this process
	stop func() error // ends it if it is
}

// running is the node that runs in the home; each call finds out whether one does.
func (p *program) running() (*session, error) {
	home, err := p.home()
	if err != nil {
		return nil, wrongCall(err)
	}
	c := api.NewClient(home)
	return &session{Node: c, stop: func() error { c.Close(); return nil }}, nil
}

// answers reports whether a node runs in the home.
func answers(ctx context.Context, n api.Node) (bool, error) {
	_, err := n.ID(ctx)
	if err == nil {
		return true, nil
	}
	if api.AsError(err).Code == api.CodeNoNode {
		return false, nil
	}
	return false, err
}

// runningOrOwn is the node that runs in the home, or one that is started in this process
// and served on the home's socket like any other. The returned context ends with the node.
func (p *program) runningOrOwn(ctx context.Context, o nodeOptions) (*session, context.Context, error) {
	s, err := p.running()
	if err != nil {
		return nil, nil, err
	}
	switch up, err := answers(ctx, s); {
	case err != nil:
		return nil, nil, err
	case up:
		return s, ctx, nil
	}
	own, ownCtx, err := p.start(ctx, o)
	if inUse, ok := errors.AsType[*store.InUse](err); ok { // by a command that began a moment before this one
		return p.joinOther(ctx, s, inUse)
	}
	return own, ownCtx, err
}

// joinOther waits until the node that has just taken the home answers.
func (p *program) joinOther(ctx context.Context, s *session, inUse *store.InUse) (*session, context.Context, error) {
	deadline := time.NewTimer(joinTime)
	defer deadline.Stop()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		switch up, err := answers(ctx, s); {
		case err != nil:
			return nil, nil, err
		case up:
			return s, ctx, nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return nil, nil, inUse
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// errNodeEnded is why a context ended when its node did so without a word.
var errNodeEnded = errors.New("the node ended")

// start opens a node in this process, lets it run, and serves it on the home's socket.
func (p *program) start(ctx context.Context, o nodeOptions) (*session, context.Context, error) {
	scrapes, err := openMetrics(o.Metrics)
	if err != nil {
		return nil, nil, err
	}
	n, err := p.open(o)
	if err != nil {
		return nil, nil, errors.Join(err, scrapes.close())
	}
	l, err := api.Listen(o.Home)
	if err != nil {
		return nil, nil, errors.Join(err, scrapes.close(), n.Close())
	}
	// The node outlives ctx: after Ctrl-C it is ended in order, by stop.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	parts := make(chan error, 4)
	server, page := newServer(n, o)
	go func() { parts <- live(life, end, n.Run) }()
	go func() { parts <- live(life, end, func(ctx context.Context) error { return server.Serve(ctx, l) }) }()
	go func() { parts <- live(life, end, page.Run) }()
	go func() {
		parts <- live(life, end, func(ctx context.Context) error { return scrapes.serve(ctx, n.Metrics()) })
	}()
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(<-parts, <-parts, <-parts, <-parts, n.Close()) }()

	calls, endCalls := context.WithCancelCause(ctx)
	context.AfterFunc(life, func() { endCalls(context.Cause(life)) })
	c := api.NewClient(o.Home)
	return &session{Node: c, own: true, stop: func() error {
		c.Close()
		end(nil)
		select {
		case err := <-ended:
			return err
		case <-time.After(stopTime):
			return fmt.Errorf("the node in %s did not end within %s", o.Home, stopTime)
		}
	}}, calls, nil
}

// live runs a part of a node. When it ends by itself all parts do, and the command is told
// through its context; what goes wrong after that is returned.
func live(ctx context.Context, end context.CancelCauseFunc, part func(context.Context) error) error {
	err := part(ctx)
	switch {
	case ctx.Err() == nil:
		end(cmp.Or(err, errNodeEnded))
		return nil
	case errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// runningOrHome is the node that runs in the home, or what the home alone can tell.
func (p *program) runningOrHome(ctx context.Context) (*session, error) {
	s, err := p.running()
	if err != nil {
		return nil, err
	}
	if up, err := answers(ctx, s); up || err != nil {
		return s, err
	}
	o, err := p.nodeOptions(nil)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(o.Home, keyFile)); err != nil {
		return s, nil // never used: there is nothing to read
	}
	n, err := p.open(o)
	if inUse, ok := errors.AsType[*store.InUse](err); ok {
		s, _, err = p.joinOther(ctx, s, inUse)
		return s, err
	}
	if err != nil {
		return nil, err
	}
	return &session{Node: homeOnly{n}, own: true, stop: n.Close}, nil
}

// keyFile is there in every home that was used.
const keyFile = "key"

// homeOnly is a home without a running node: what it does not hold, only the grid knows.
type homeOnly struct{ api.Node }

// Job is read from the home.
func (h homeOnly) Job(ctx context.Context, ref string) (*api.Job, error) {
	j, err := h.Node.Job(ctx, ref)
	return j, onlyGridKnows(ref, err)
}

// Explain is read from the home.
func (h homeOnly) Explain(ctx context.Context, ref string) (*api.Explanation, error) {
	e, err := h.Node.Explain(ctx, ref)
	return e, onlyGridKnows(ref, err)
}

// Watch gives one reading: a home by itself gets no further, and is not to be held meanwhile.
func (h homeOnly) Watch(ctx context.Context, ref string, f func(*api.Job) error) error {
	j, err := h.Job(ctx, ref)
	if err != nil {
		return err
	}
	if err := f(j); err != nil || j.Final {
		return err
	}
	return noNode("no node is running, so nothing more is heard of job %s here", words.Short(j.Job))
}

// noNode is what takes a node that runs.
func noNode(format string, args ...any) error {
	return &api.Error{Code: api.CodeNoNode, Message: fmt.Sprintf(format, args...)}
}

func onlyGridKnows(ref string, err error) error {
	if e := api.AsError(err); e != nil && e.Code == api.CodeNotFound && strings.HasPrefix(e.Message, "no job ") {
		return noNode("no node is running, and this home does not know job %s", ref)
	}
	return err
}
