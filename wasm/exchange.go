package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/child"
	"github.com/shoalgrid/shoal/wasm/files"
	"github.com/shoalgrid/shoal/wasm/link"
)

// run has the child run one input. A child that was killed, for whatever reason, or that no
// longer makes sense, is gone when it returns.
func (c *process) run(ctx context.Context, l Limits, in Input, stdout io.Writer) (Report, error) {
	stop := context.AfterFunc(ctx, c.kill)
	watch := c.watch(l.CPU)
	report, err := c.exchange(l, in, stdout)
	watch.stop()
	if !stop() || watch.fired() {
		c.end() // the kill may have come when the report was already here
	}
	var broken *brokenError
	switch {
	case err == nil:
		total := report.CPU
		report.CPU, c.used = total-c.used, total
		return report, nil
	case ctx.Err() != nil:
		return Report{}, context.Cause(ctx)
	case errors.As(err, &broken):
		return c.postMortem(l, broken.cause, watch.fired()), nil
	}
	return Report{}, err
}

// lastWords is how long a child that has closed its stream may take to end.
const lastWords = time.Second

// postMortem reports on the input in the middle of which the stream to the child broke.
func (c *process) postMortem(l Limits, cause error, timedOut bool) Report {
	misbehaved := errors.Is(cause, link.ErrFrame)
	if !misbehaved {
		select { // how it ends by itself says more than a kill
		case <-c.gone:
		case <-time.After(lastWords):
		}
	}
	c.end()
	state, crash := c.cmd.ProcessState, c.crash.text()
	r := Report{Outcome: jobs.GaveUp, CPU: state.UserTime() + state.SystemTime() - c.used}
	switch {
	case timedOut:
		r.Reason = fmt.Sprintf("used more than %v of CPU time", l.CPU)
	case outOfMemory(crash):
		r.Reason = child.ErrHostMemory.Error()
	case misbehaved:
		r.Reason = "the guest's process did what it should not: " + cause.Error()
	default:
		r.Reason = strings.TrimSuffix("the guest's process ended: "+state.String()+": "+crash, ": ")
	}
	return r
}

// brokenError is a stream that broke in the middle of an input: the child is dead, or
// says what no child says.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return "talk to the guest's process: " + e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

// exchange sends an input and answers the child until it reports.
func (c *process) exchange(l Limits, in Input, stdout io.Writer) (Report, error) {
	if err := c.give(in); err != nil {
		return Report{}, err
	}
	out := output{to: stdout, limit: l.Output, name: jobs.NewBlobHasher()}
	var state []byte
	for {
		kind, payload, err := c.receive()
		if err != nil {
			return Report{}, &brokenError{err}
		}
		switch kind {
		case link.KindState:
			state, err = keep(in.State, state, payload)
		case link.KindWant:
			err = c.feed(in.Stdin)
		case link.KindOutput:
			err = out.add(payload)
		case link.KindReport:
			return out.finish(payload)
		default:
			err = &brokenError{fmt.Errorf("%w of kind %q", link.ErrFrame, kind)}
		}
		if err != nil {
			return Report{}, err
		}
	}
}

// keep gathers the parts of a state, and has it kept when it is whole.
func keep(to State, before, payload []byte) ([]byte, error) {
	state, whole, err := link.AddState(before, payload)
	if err == nil && to == nil {
		err = fmt.Errorf("%w: a state that nobody wants", link.ErrFrame)
	}
	if err != nil {
		return nil, &brokenError{err}
	}
	if !whole {
		return state, nil
	}
	to.Save(state)
	return nil, nil
}

// give sends an input, with its whole stdin when that is short.
func (c *process) give(in Input) error {
	message := link.Input{Number: in.Number, Args: in.Args}
	var state []byte
	if in.State != nil {
		if state = in.State.Load(); len(state) > link.StateMax {
			state = nil
		}
		message.Keep, message.State = true, uint64(len(state))
	}
	var file *os.File
	if in.File != nil {
		var err error
		if file, message.File, err = open(*in.File); err != nil {
			return err
		}
		defer file.Close()
	}
	if in.Stdin != nil {
		if c.begin == nil {
			c.begin = make([]byte, link.InlineMax)
		}
		n, err := io.ReadFull(in.Stdin, c.begin)
		if err != nil && !atEnd(err) {
			return fmt.Errorf("read the input: %w", err)
		}
		message.Stdin, message.More = c.begin[:n], err == nil
	}
	c.outbox = message.Append(link.NewFrame(c.outbox, link.KindInput))
	if len(c.outbox) > link.FrameMax {
		return fmt.Errorf("the arguments of an input take %d bytes; at most %d are possible", len(c.outbox), link.FrameMax)
	}
	if err := c.line.Send(link.Seal(c.outbox), file); err != nil {
		return &brokenError{err}
	}
	for len(state) > 0 {
		c.outbox, state = link.StateFrame(c.outbox, state)
		if err := c.line.Send(c.outbox, nil); err != nil {
			return &brokenError{err}
		}
	}
	return nil
}

// open opens an input file for a child that cannot.
func open(f File) (*os.File, link.File, error) {
	if !files.ValidName(f.Name) {
		return nil, link.File{}, fmt.Errorf("sandbox: %q cannot be the name of an input file", f.Name)
	}
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return nil, link.File{}, fmt.Errorf("find the input file: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, link.File{}, fmt.Errorf("open the input file: %w", err)
	}
	return file, link.File{Name: f.Name, Path: path}, nil
}

// atEnd reports whether a read in full met the end.
func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// feed sends the next chunk of stdin, or an empty one at its end.
func (c *process) feed(stdin io.Reader) error {
	if cap(c.outbox) < link.FrameHead+link.ChunkSize {
		c.outbox = make([]byte, link.FrameHead+link.ChunkSize)
	}
	f := link.NewFrame(c.outbox, link.KindStdin)
	n, err := io.ReadFull(stdin, f[link.FrameHead:link.FrameHead+link.ChunkSize])
	if err != nil && !atEnd(err) {
		return fmt.Errorf("read the input: %w", err)
	}
	if err := c.line.Send(link.Seal(f[:link.FrameHead+n]), nil); err != nil {
		return &brokenError{err}
	}
	return nil
}

// output passes on what a guest writes, and names it.
type output struct {
	to    io.Writer
	name  *jobs.BlobHasher
	size  uint64
	limit uint64
}

func (o *output) add(p []byte) error {
	if o.size += uint64(len(p)); o.size > o.limit {
		return &brokenError{fmt.Errorf("%w: more output than the limit", link.ErrFrame)}
	}
	o.name.Write(p) // never fails
	if _, err := o.to.Write(p); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// finish makes the report to the caller of the child's.
func (o *output) finish(payload []byte) (Report, error) {
	r, err := link.DecodeReport(payload)
	if err != nil {
		return Report{}, &brokenError{err}
	}
	if len(r.Output) > 0 {
		if err := o.add(r.Output); err != nil {
			return Report{}, err
		}
	}
	blob := o.name.Blob()
	return Report{
		Outcome: r.Outcome, Exit: r.Exit, Output: blob.Digest, Size: blob.Size, Fuel: r.Fuel, Reason: r.Reason, CPU: r.CPU,
		Stderr: append([]byte(nil), r.Stderr[max(0, len(r.Stderr)-StderrKept):]...), PeakMemory: r.PeakMemory,
	}, nil
}
