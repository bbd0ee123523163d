package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench is a Node made of functions: each test sets those it needs.
type bench struct {
	Node    // nil: a call that a test did not expect panics, and the server answers nothing
	submit  func(Submission, io.Reader) (*Submitted, error)
	job     func(ref string) (*Job, error)
	watch   func(ctx context.Context, f func(*Job) error) error
	results func(ctx context.Context, o ResultsOptions, f func(Result, io.Reader) error) error
	did     []string

	evidence func(w io.Writer) error
}

func (b *bench) Status(context.Context) (*Status, error) { return sampleStatus(), nil }
func (b *bench) ID(context.Context) (*ID, error)         { return sampleID(), nil }
func (b *bench) Peers(context.Context) ([]Peer, error)   { return samplePeers(), nil }
func (b *bench) Jobs(context.Context) ([]Job, error)     { return []Job{*sampleJob()}, nil }
func (b *bench) Job(_ context.Context, ref string) (*Job, error) {
	return b.job(ref)
}
func (b *bench) Credit(context.Context) (*Credit, error) { return sampleCredit(), nil }
func (b *bench) Detail(_ context.Context, _ string, cells int) (*Detail, error) {
	b.did = append(b.did, fmt.Sprintf("detail %d", cells))
	return sampleDetail(), nil
}
func (b *bench) Submitting(context.Context) ([]Submitting, error) { return sampleSubmitting(), nil }
func (b *bench) Explain(_ context.Context, ref string) (*Explanation, error) {
	b.did = append(b.did, "explain "+ref)
	return sampleExplanation(), nil
}
func (b *bench) Submit(_ context.Context, s Submission, lines io.Reader) (*Submitted, error) {
	return b.submit(s, lines)
}
func (b *bench) Watch(ctx context.Context, _ string, f func(*Job) error) error {
	return b.watch(ctx, f)
}
func (b *bench) Results(ctx context.Context, _ string, o ResultsOptions, f func(Result, io.Reader) error) error {
	return b.results(ctx, o, f)
}
func (b *bench) Evidence(_ context.Context, _ string, w io.Writer) error { return b.evidence(w) }
func (b *bench) Fetch(_ context.Context, job string, x Blob) error {
	return b.note("fetch %s %v", job, x)
}
func (b *bench) note(format string, args ...any) error {
	b.did = append(b.did, fmt.Sprintf(format, args...))
	return nil
}
func (b *bench) Cancel(_ context.Context, ref string) error { return b.note("cancel %s", ref) }
func (b *bench) Offer(_ context.Context, ref string) error  { return b.note("offer %s", ref) }
func (b *bench) Donate(_ context.Context, d Donation) error {
	return b.note("donate %s", mustEncode(d))
}
func (b *bench) Pause(_ context.Context, d time.Duration) error { return b.note("pause %s", d) }
func (b *bench) Reload(context.Context) error                   { return b.note("reload") }
func (b *bench) Resume(context.Context) error                   { return b.note("resume") }
func (b *bench) Settings(context.Context) ([]Setting, error) {
	return []Setting{{Schema: SettingSchema, Name: "cores", Value: "2", Default: "0", Wish: true}}, nil
}
func (b *bench) Set(_ context.Context, values map[string]string) error {
	return b.note("set %v", values)
}
func (b *bench) Whose(context.Context) (*Whose, error)     { return sampleWhose(), nil }
func (b *bench) Notices(context.Context) ([]Notice, error) { return sampleNotices(), nil }
func (b *bench) Notify(_ context.Context, ref, text string) error {
	return b.note("notify %s: %s", ref, text)
}
func (b *bench) Finish(context.Context) error { return b.note("finish") }

// serve puts b on the socket of a new home and returns a client of it. stop ends the node.
func serve(t testing.TB, b Node) (c *Client, stop func()) {
	t.Helper()
	home := t.TempDir()
	l, err := Listen(home)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- NewServer(b, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	c = NewClient(home)
	t.Cleanup(func() { c.Close(); stop() })
	return c, stop
}

func TestDocumentsCross(t *testing.T) {
	b := &bench{job: func(ref string) (*Job, error) {
		if ref != "b5f3/.. ?" {
			return nil, fmt.Errorf("asked for %q", ref)
		}
		return sampleJob(), nil
	}}
	c, _ := serve(t, b)
	ctx := t.Context()
	check(t, sampleStatus(), first(c.Status(ctx)))
	check(t, sampleID(), first(c.ID(ctx)))
	check(t, samplePeers(), first(c.Peers(ctx)))
	check(t, sampleWhose(), first(c.Whose(ctx)))
	check(t, sampleNotices(), first(c.Notices(ctx)))
	check(t, []Job{*sampleJob()}, first(c.Jobs(ctx)))
	check(t, sampleJob(), first(c.Job(ctx, "b5f3/.. ?")))
	check(t, []Setting{{Schema: SettingSchema, Name: "cores", Value: "2", Default: "0", Wish: true}}, first(c.Settings(ctx)))
	check(t, sampleDetail(), first(c.Detail(ctx, "abc", 100_000)))
	check(t, sampleSubmitting(), first(c.Submitting(ctx)))
	check(t, sampleExplanation(), first(c.Explain(ctx, "abc")))
	for _, err := range []error{
		c.Cancel(ctx, "abc"), c.Offer(ctx, "abc"), c.Donate(ctx, Donation{Settings: map[string]string{"cores": "2"}}),
		c.Pause(ctx, time.Hour), c.Reload(ctx), c.Resume(ctx), c.Finish(ctx), c.Set(ctx, map[string]string{"cores": "2"}), c.Notify(ctx, "abc", "thanks"), c.Fetch(ctx, "abc", Blob{3, "00ff", 7}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	check(t, []string{"detail 2048", "explain abc", "cancel abc", "offer abc", `donate {"settings":{"cores":"2"}}`, "pause 1h0m0s", "reload", "resume", "finish", "set map[cores:2]", "notify abc: thanks", "fetch abc {3 00ff 7}"}, b.did)
}

type answer[T any] struct {
	v   T
	err error
}

func first[T any](v T, err error) answer[T] { return answer[T]{v, err} }

func check[T any](t *testing.T, want T, got any) {
	t.Helper()
	if a, ok := got.(answer[T]); ok {
		if a.err != nil {
			t.Errorf("%T: %v", want, a.err)
			return
		}
		got = a.v
	}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("%T (-want +got):\n%s", want, diff)
	}
}

func TestSubmitSendsLinesAsTheyCome(t *testing.T) {
	heard := make(chan string)
	c, _ := serve(t, &bench{submit: func(s Submission, lines io.Reader) (*Submitted, error) {
		part := make([]byte, 4)
		if _, err := io.ReadFull(lines, part); err != nil {
			return nil, err
		}
		heard <- string(part)
		rest, err := io.ReadAll(lines)
		return &Submitted{Job: s.Program, Message: string(rest)}, err
	}})
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, "one\n")
		<-heard // deadlocks the test if the node did not read it yet
		io.WriteString(w, "two\nthree")
		w.Close()
	}()
	got, err := c.Submit(t.Context(), Submission{Program: "/p.wasm", Lines: true}, r)
	if err != nil {
		t.Fatal(err)
	}
	check(t, &Submitted{Schema: SubmittedSchema, Job: "/p.wasm", Message: "two\nthree"}, got)
}

func TestSubmissionCrosses(t *testing.T) {
	want := Submission{
		Program: "/p.wasm", Name: "p", Args: []string{"{}", "a\nb"}, Files: []File{{Path: "/a", Name: "a"}},
		Data: []File{{Path: "/d", Name: "d"}}, Range: &[2]int64{-3, 9}, Memory: 1, Output: 2, Fuel: 3, Time: 4, Seed: 5,
		Expires: 6, Level: "standard", Trust: []string{"12D3"}, PerUnit: 7, Lease: 8, New: true, Local: true, DryRun: true, Alone: true,
	}
	for i := range 40_000 { // more than fits into any other body
		want.Files = append(want.Files, File{Path: fmt.Sprintf("/home/someone/texts/%d.txt", i), Name: fmt.Sprint(i)})
	}
	c, _ := serve(t, &bench{submit: func(s Submission, lines io.Reader) (*Submitted, error) {
		if lines != nil {
			return nil, errors.New("lines that nobody sent")
		}
		if diff := cmp.Diff(want, s); diff != "" {
			return nil, errors.New(diff)
		}
		return &Submitted{}, nil
	}})
	if _, err := c.Submit(t.Context(), want, nil); err != nil {
		t.Fatal(err)
	}
}

// A node that refuses in the middle of lines is heard, however much is still to be sent.
func TestRefusalWhileSending(t *testing.T) {
	want := &Error{Code: CodeRefused, Message: "line 2 is too long", Hint: "shorten it"}
	c, _ := serve(t, &bench{submit: func(Submission, io.Reader) (*Submitted, error) { return nil, want }})
	for range 20 {
		endless := strings.NewReader(strings.Repeat("0123456789\n", 1<<17))
		_, err := c.Submit(t.Context(), Submission{Lines: true}, endless)
		var got *Error
		if !errors.As(err, &got) {
			t.Fatalf("got %v", err)
		}
		check(t, want, got)
	}
}

func TestLinesCutShortAreNoJob(t *testing.T) {
	c, _ := serve(t, &bench{submit: func(_ Submission, lines io.Reader) (*Submitted, error) {
		_, err := io.ReadAll(lines)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the node read %v", err)
		}
		return nil, err
	}})
	broken := errors.New("disk on fire")
	r, w := io.Pipe()
	go func() { io.WriteString(w, "one\n"); w.CloseWithError(broken) }()
	if _, err := c.Submit(t.Context(), Submission{Lines: true}, r); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type outputs []string

func (o outputs) send(f func(Result, io.Reader) error) error {
	for i, text := range o {
		r := Result{N: int64(i + 1), Outcome: OutcomeOK, Size: int64(len(text))}
		if err := f(r, strings.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

func TestResultsCross(t *testing.T) {
	sent := outputs{"", "a\n", strings.Repeat("\x00\n{}", 1<<20), "last"}
	c, _ := serve(t, &bench{results: func(_ context.Context, o ResultsOptions, f func(Result, io.Reader) error) error {
		if !o.Keep || o.Follow {
			return fmt.Errorf("options %+v", o)
		}
		return sent.send(f)
	}})
	for _, skip := range []int64{-1, 3} { // an output that is not read does not disturb the next
		var got outputs
		err := c.Results(t.Context(), "x", ResultsOptions{Keep: true}, func(r Result, out io.Reader) error {
			if r.N == skip {
				got = append(got, sent[skip-1])
				return nil
			}
			text, err := io.ReadAll(out)
			got = append(got, string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		check(t, sent, got)
	}
}

// Each result arrives when it is there, not when the next one is.
func TestResultsFollow(t *testing.T) {
	go1 := make(chan struct{})
	c, _ := serve(t, &bench{results: func(_ context.Context, _ ResultsOptions, f func(Result, io.Reader) error) error {
		if err := (outputs{"one"}).send(f); err != nil {
			return err
		}
		<-go1
		return (outputs{"two"}).send(f)
	}})
	var got []string
	err := c.Results(t.Context(), "x", ResultsOptions{Follow: true}, func(r Result, out io.Reader) error {
		text, err := io.ReadAll(out)
		if got = append(got, string(text)); len(got) == 1 {
			close(go1)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, []string{"one", "two"}, got)
}

func TestErrorsCross(t *testing.T) {
	want := &Error{Code: CodeNotFound, Message: "no job abc — „nirgends“\nhere", Hint: "see: shoal status"}
	failing := func(text string) func(context.Context, ResultsOptions, func(Result, io.Reader) error) error {
		return func(_ context.Context, _ ResultsOptions, f func(Result, io.Reader) error) error {
			if text == "" {
				return want
			}
			return errors.Join(f(Result{Size: 4}, io.MultiReader(strings.NewReader(text), failReader{want})))
		}
	}
	for name, results := range map[string]func(context.Context, ResultsOptions, func(Result, io.Reader) error) error{
		"before a stream": failing(""), "within an output": failing("ab"),
	} {
		c, _ := serve(t, &bench{results: results})
		err := c.Results(t.Context(), "x", ResultsOptions{}, func(_ Result, out io.Reader) error {
			_, err := io.ReadAll(out)
			return err
		})
		got := AsError(err)
		if got == nil || got.Code != want.Code || got.Hint != want.Hint || !strings.HasSuffix(got.Message, want.Message) {
			t.Errorf("%s: got %#v", name, got)
		}
	}
	c, _ := serve(t, &bench{job: func(string) (*Job, error) { return nil, want }})
	_, err := c.Job(t.Context(), "abc")
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	check(t, want, got)
}

type failReader struct{ err error }

func (r failReader) Read([]byte) (int, error) { return 0, r.err }

func TestLongErrorInTrailer(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	c, _ := serve(t, &bench{watch: func(_ context.Context, f func(*Job) error) error {
		return errors.Join(f(sampleJob()), &Error{Code: CodeFailed, Message: long, Hint: long})
	}})
	err := c.Watch(t.Context(), "x", func(*Job) error { return nil })
	if got := AsError(err); got == nil || got.Code != CodeFailed || len(got.Message) > maxErrorText || !strings.HasSuffix(got.Hint, "…") {
		t.Errorf("got %.200v", err)
	}
}

func TestWatchCrosses(t *testing.T) {
	c, _ := serve(t, &bench{watch: func(_ context.Context, f func(*Job) error) error {
		for i := range 3 {
			j := sampleJob()
			j.Inputs.Done = int64(i)
			if err := f(j); err != nil {
				return err
			}
		}
		return nil
	}})
	var got []int64
	if err := c.Watch(t.Context(), "x", func(j *Job) error { got = append(got, j.Inputs.Done); return nil }); err != nil {
		t.Fatal(err)
	}
	check(t, []int64{0, 1, 2}, got)
	enough := errors.New("enough")
	if err := c.Watch(t.Context(), "x", func(*Job) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// untilGone is a watch that goes on until its client leaves or the node ends.
func untilGone(left chan<- struct{}) func(context.Context, func(*Job) error) error {
	return func(ctx context.Context, f func(*Job) error) error {
		defer close(left)
		if err := f(sampleJob()); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestLeavingEndsTheWatch(t *testing.T) {
	left := make(chan struct{})
	c, _ := serve(t, &bench{watch: untilGone(left)})
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := c.Watch(ctx, "x", func(*Job) error { cancel(why); return nil }); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	<-left
}

func TestNodeEndsUnderAWatch(t *testing.T) {
	left := make(chan struct{})
	c, stop := serve(t, &bench{watch: untilGone(left)})
	err := c.Watch(t.Context(), "x", func(*Job) error { go stop(); return nil })
	if got := AsError(err); got == nil || got.Code != CodeNoNode || !strings.Contains(got.Message, "ended") {
		t.Errorf("got %v", err)
	}
}

// A home of another user's has a node, to which this one may not speak: that is not "no node".
func TestTheNodeOfAnotherUser(t *testing.T) {
	c := NewClient(t.TempDir())
	c.web.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { // root may do all
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
	}
	_, err := c.Status(t.Context())
	if e := AsError(err); e == nil || e.Code != CodeRefused || !strings.Contains(e.Message, "permission denied") || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
}

func TestNoNode(t *testing.T) {
	for name, home := range map[string]string{"short": t.TempDir(), "long": deepHome(t)} {
		_, err := NewClient(home).Status(t.Context())
		if got := AsError(err); got == nil || got.Code != CodeNoNode || got.Hint == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c, stop := serve(t, &bench{})
	stop()
	if _, err := c.ID(t.Context()); AsError(err) == nil || AsError(err).Code != CodeNoNode {
		t.Errorf("after its end: got %v", err)
	}
}

// Evidence crosses byte for byte; what goes wrong does, too, before the first byte and after it.
func TestEvidenceCrosses(t *testing.T) {
	wrong := &Error{Code: CodeNotFound, Message: "no such job", Hint: "look elsewhere"}
	for _, c := range []struct {
		name string
		text string
		err  error
	}{{"whole", strings.Repeat("evidence", 1<<17), nil}, {"nothing", "", nil}, {"refused", "", wrong}, {"broken off", "evi", wrong}} {
		t.Run(c.name, func(t *testing.T) {
			client, _ := serve(t, &bench{evidence: func(w io.Writer) error {
				if c.text != "" {
					if _, err := io.WriteString(w, c.text); err != nil {
						return err
					}
				}
				return c.err
			}})
			var got strings.Builder
			err := client.Evidence(t.Context(), "b5f3", &got)
			if got.String() != c.text {
				t.Errorf("%d bytes crossed, not %d", got.Len(), len(c.text))
			}
			var known *Error
			if c.err == nil && err != nil || c.err != nil && (!errors.As(err, &known) || *known != *wrong) {
				t.Errorf("error %v, not %v", err, c.err)
			}
		})
	}
}
