package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/store"
)

// puppet is a node whose job the test moves: what the commands do around a node shows best
// where the node does nothing by itself.
type puppet struct {
	api.Node // nil: a call that a test did not foresee fails it
	t        *testing.T

	submitted chan api.Submission
	deliver   chan api.Result // each with an output of its name
	failure   chan error      // ends Run
	offered   chan struct{}

	mu   sync.Mutex
	job  api.Job
	runs int

	steps []api.Submitting
	hold  chan struct{} // nil: a submission is over at once
}

func newPuppet(t *testing.T) *puppet {
	return &puppet{
		t: t, submitted: make(chan api.Submission, 1), deliver: make(chan api.Result, 100),
		failure: make(chan error, 1), offered: make(chan struct{}, 1), job: *openJob(),
	}
}

func (n *puppet) Run(ctx context.Context) error {
	n.mu.Lock()
	n.runs++
	n.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.failure:
		return err
	}
}

func (n *puppet) Metrics() http.Handler                   { return http.NotFoundHandler() }
func (n *puppet) Close() error                            { return nil }
func (n *puppet) ID(context.Context) (*api.ID, error)     { return &api.ID{Peer: alice}, nil }
func (n *puppet) Jobs(context.Context) ([]api.Job, error) { return []api.Job{n.reading()}, nil }

func (n *puppet) Status(context.Context) (*api.Status, error) {
	return &api.Status{Node: api.NodeStatus{Peer: alice}, Jobs: []api.Job{n.reading()}, Donating: api.DonateStatus{State: api.DonatingOn, Cores: 1, TotalCores: 2}}, nil
}

func (n *puppet) Peers(context.Context) ([]api.Peer, error) {
	return []api.Peer{{Peer: bob, Addr: "/ip4/192.168.1.21/tcp/4901", Roles: []string{api.RoleDonor}}}, nil
}

func (n *puppet) Offer(context.Context, string) error {
	n.offered <- struct{}{}
	return nil
}

func (n *puppet) Submitting(context.Context) ([]api.Submitting, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.steps, nil
}

func (n *puppet) Submit(_ context.Context, s api.Submission, lines io.Reader) (*api.Submitted, error) {
	if lines != nil {
		if _, err := io.Copy(io.Discard, lines); err != nil {
			return nil, err
		}
	}
	n.submitted <- s
	if n.hold != nil {
		<-n.hold
	}
	return &api.Submitted{Job: n.reading().Job, Inputs: n.reading().Inputs.Total, Units: 1, Votes: 2}, nil
}

func (n *puppet) reading() api.Job {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.job
}

func (n *puppet) change(f func(j *api.Job)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.job)
}

func (n *puppet) Job(context.Context, string) (*api.Job, error) {
	j := n.reading()
	return &j, nil
}

func (n *puppet) Watch(ctx context.Context, ref string, f func(*api.Job) error) error {
	j := n.reading()
	if err := f(&j); err != nil || j.Final {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (n *puppet) Results(ctx context.Context, _ string, o api.ResultsOptions, f func(api.Result, io.Reader) error) error {
	for {
		select {
		case r, more := <-n.deliver:
			if !more {
				return nil
			}
			r.Size = int64(len(r.Name))
			if err := f(r, strings.NewReader(r.Name)); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// call is one command in a home of its own.
type call struct {
	out, said *safeBuffer
	code      chan int
	interrupt context.CancelCauseFunc
}

// safeBuffer is what a command has written, for a test that waits for it.
type safeBuffer struct {
	mu      sync.Mutex
	b       strings.Builder
	written sync.Cond
}

func newSafeBuffer() *safeBuffer {
	b := &safeBuffer{}
	b.written.L = &b.mu
	return b
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written.Broadcast()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// awaits returns once text has been written.
func (b *safeBuffer) awaits(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !strings.Contains(b.b.String(), text) {
		b.written.Wait()
	}
}

// begin starts a command whose own node is n.
func begin(t *testing.T, home string, n *puppet, args ...string) *call {
	t.Helper()
	c := &call{out: newSafeBuffer(), said: newSafeBuffer(), code: make(chan int, 1)}
	ctx, cancel := context.WithCancelCause(t.Context())
	c.interrupt = cancel
	open := func(o nodeOptions) (gridNode, error) { return n, os.MkdirAll(o.Home, 0o700) }
	p := newProgram(strings.NewReader(""), c.out, c.said, open)
	go func() { c.code <- p.run(ctx, append(args, "--home", home)) }()
	return c
}

// submission waits for what a command submits.
func (c *call) submission(t *testing.T, n *puppet) api.Submission {
	t.Helper()
	select {
	case s := <-n.submitted:
		return s
	case code := <-c.code:
		t.Fatalf("exit code %d before a submission; said %q", code, c.said.String())
		return api.Submission{}
	}
}

// ends waits for a command and checks its exit code.
func (c *call) ends(t *testing.T, want int) {
	t.Helper()
	if got := <-c.code; got != want {
		t.Errorf("exit code %d, not %d; said %q", got, want, c.said.String())
	}
}

// program writes a program and returns its path.
func programFile(t *testing.T, dir string) string {
	path := filepath.Join(dir, "echo.wasm")
	if err := os.WriteFile(path, guests()["echo.wasm"], 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunDeliversAsAnswersCome(t *testing.T) {
	dir := t.TempDir()
	n := newPuppet(t)
	c := begin(t, filepath.Join(dir, "home"), n, "run", programFile(t, dir), "--range", "1..2", "--local")
	if s := c.submission(t, n); !s.Alone || !s.Local || *s.Range != [2]int64{1, 2} {
		t.Errorf("submitted %+v", s)
	}
	n.deliver <- api.Result{N: 1, Name: "one\n", Outcome: api.OutcomeOK}
	c.out.awaits("one\n") // before there is a second
	n.deliver <- api.Result{N: 2, Name: "two\n", Outcome: api.OutcomeOK}
	n.change(func(j *api.Job) { j.State, j.Final, j.Inputs = api.JobDone, true, api.Inputs{Total: 2, Done: 2} })
	close(n.deliver)
	c.ends(t, 0)
	if c.out.String() != "one\ntwo\n" || c.said.String() != "" {
		t.Errorf("wrote %q, said %q", c.out.String(), c.said.String())
	}
}

// moving is a puppet whose job goes on as the test says.
type moving struct {
	*puppet
	readings chan api.Job
}

func (n moving) Watch(ctx context.Context, _ string, f func(*api.Job) error) error {
	for {
		select {
		case j := <-n.readings:
			n.change(func(now *api.Job) { *now = j })
			if err := f(&j); err != nil || j.Final {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// A job is shown on each stretch of its way, with a bar on a terminal, and of no other submission.
func TestEveryPhaseIsShown(t *testing.T) {
	dir := t.TempDir()
	n := moving{newPuppet(t), make(chan api.Job)}
	n.hold = make(chan struct{})
	said, out := newSafeBuffer(), newSafeBuffer()
	p := newProgram(strings.NewReader(""), out, said, func(o nodeOptions) (gridNode, error) { return n, os.MkdirAll(o.Home, 0o700) })
	p.ui.screen.tty = true
	code := make(chan int, 1)
	go func() {
		code <- p.run(t.Context(), []string{"run", programFile(t, dir), "--range", "1..2", "--local", "--home", filepath.Join(dir, "home")})
	}()
	sub := <-n.submitted
	step := func(s api.Submitting, shows string) {
		s.Tag, s.Step = sub.Tag, api.StepPlacing
		n.mu.Lock()
		n.steps = []api.Submitting{s, {Tag: "other", Step: api.StepReading}}
		n.mu.Unlock()
		said.awaits(shows)
	}
	step(api.Submitting{Asked: 5, Bytes: 40 << 20, Sent: 10 << 20}, "upload  [#####...............] 10 MiB sent, the job has 40 MiB")
	step(api.Submitting{Asked: 5, Bytes: 40 << 20, Sent: 90 << 20, Receipts: 3}, "custody [############........] 3 of 5 copies held")
	close(n.hold)
	n.readings <- *openJob()
	said.awaits("run     [##############......] 84/120 inputs")
	n.deliver <- api.Result{N: 1, Name: "one\n", Outcome: api.OutcomeOK}
	j := *doneJob()
	j.Inputs = api.Inputs{Total: 2, Done: 2}
	n.readings <- j
	said.awaits("collect [##########..........] 1 of 2 answers taken")
	n.deliver <- api.Result{N: 2, Name: "two\n", Outcome: api.OutcomeOK}
	close(n.deliver)
	if got := <-code; got != 0 || strings.Contains(said.String(), "reading") || out.String() != "one\ntwo\n" {
		t.Errorf("exit code %d, said %q, wrote %q", got, said.String(), out.String())
	}
}

func TestCtrlCDetaches(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*api.Job)
		want   string
	}{
		"held by the grid": {func(j *api.Job) { j.Held, j.Keepers = 5, 5 }, "detached: the job goes on; come back with: shoal watch b5f3k2qa"},
		"only here":        {func(j *api.Job) { j.Held = 0 }, "stopped: what is done is kept"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n := newPuppet(t)
			n.change(test.change)
			c := begin(t, filepath.Join(dir, "home"), n, "run", programFile(t, dir), "--range", "1..2", "--local")
			c.submission(t, n)
			n.deliver <- api.Result{N: 1, Name: "x", Outcome: api.OutcomeOK}
			c.out.awaits("x")
			c.interrupt(errInterrupted)
			c.ends(t, api.CodeInterrupted)
			if !strings.Contains(c.said.String(), test.want) || strings.Contains(c.said.String(), "error:") {
				t.Errorf("said %q", c.said.String())
			}
		})
	}
}

func TestOfferSaysWhoHelps(t *testing.T) {
	dir := t.TempDir()
	n := newPuppet(t)
	c := begin(t, filepath.Join(dir, "home"), n, "run", programFile(t, dir), "--range", "1..2")
	<-n.offered
	c.said.awaits("also using 1 donor on this LAN")
	c.interrupt(errInterrupted)
	c.ends(t, api.CodeInterrupted)
}

// A node that cannot go on is why its command failed, not that some call to it did.
func TestNodeFailsUnderACommand(t *testing.T) {
	dir := t.TempDir()
	n := newPuppet(t)
	c := begin(t, filepath.Join(dir, "home"), n, "run", programFile(t, dir), "--range", "1..2", "--local")
	c.submission(t, n)
	n.failure <- &api.Error{Code: api.CodeUnexpected, Message: "network: port 4901 is in use", Hint: "name another with --listen"}
	c.ends(t, api.CodeUnexpected)
	if c.said.String() != "error: network: port 4901 is in use\nhint:  name another with --listen\n" {
		t.Errorf("said %q", c.said.String())
	}
}

// Of two commands that begin at once in one home, the second joins the first one's node.
func TestSecondCommandJoins(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	program := programFile(t, dir)
	n := newPuppet(t)
	late := newSafeBuffer()
	opening := make(chan struct{})
	refuse := func(nodeOptions) (gridNode, error) {
		close(opening)
		return nil, fmt.Errorf("open the home: %w", &store.InUse{Home: home, PID: 1})
	}
	code := make(chan int, 1)
	second := newProgram(strings.NewReader(""), io.Discard, late, refuse)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	go func() {
		code <- second.run(t.Context(), []string{"submit", program, "--range", "1..2", "--home", home})
	}()
	<-opening // nobody answered yet
	first := begin(t, home, n, "donate")
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, late.String())
	}
	<-n.submitted
	first.interrupt(errTerminated)
	first.ends(t, 0)
}

func TestDonateSaysWhatItLendsAndEnds(t *testing.T) {
	home := t.TempDir()
	c := begin(t, home, newPuppet(t), "donate")
	c.said.awaits("lending 1 of 2 cores")
	c.said.awaits("no files and no network")
	c.interrupt(errInterrupted)
	c.ends(t, api.CodeInterrupted)
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("left in the home: %v, %v", left, err)
	}
}

func TestAReaderThatLeavesIsNoError(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var said bytes.Buffer
	p := newProgram(nil, w, &said, nil)
	_, stop := interruptible(t.Context()) // as main does: a broken pipe is an error, no signal
	defer stop()
	if code := p.run(t.Context(), []string{"version"}); code != api.CodeInterrupted || said.Len() > 0 {
		t.Errorf("exit code %d, said %q", code, said.String())
	}
}

// A command that is ended in the middle of a question says nothing of the question.
func TestEndedWhileItAsks(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	said := newSafeBuffer()
	open := func(nodeOptions) (gridNode, error) {
		end(errTerminated)
		return nil, fmt.Errorf("ask: %w", ctx.Err())
	}
	code := newProgram(strings.NewReader(""), io.Discard, said, open).run(ctx, []string{"up", "--home", t.TempDir()})
	if code != api.CodeInterrupted || said.String() != "" {
		t.Errorf("exit code %d, said %q", code, said.String())
	}
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), api.CodeUnexpected},
		{usage("", "x"), api.CodeUsage},
		{fmt.Errorf("wrapped: %w", &api.Error{Code: api.CodeRefused}), api.CodeRefused},
		{errors.Join(errInterrupted, errors.New("and the node did not end")), api.CodeInterrupted},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d", test.err, got)
		}
	}
}
