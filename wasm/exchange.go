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
	"github.com/shoalgrid/shoal/wasm/files"
)

// run has the child run one input. A child that was killed, for whatever reason, or that no
// longer makes sense, is gone when it returns.
func (c *child) run(ctx context.Context, l Limits, in Input, stdout io.Writer) (Report, error) {
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
func (c *child) postMortem(l Limits, cause error, timedOut bool) Report {
	misbehaved := errors.Is(cause, errFrame)
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
		r.Reason = errHostMemory.Error()
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
func (c *child) exchange(l Limits, in Input, stdout io.Writer) (Report, error) {
	if err := c.give(in); err != nil {
		return Report{}, err
	}
	out := output{to: stdout, limit: l.Output, name: jobs.NewBlobHasher()}
	for {
		kind, payload, err := c.receive()
		if err != nil {
			return Report{}, &brokenError{err}
		}
		switch kind {
		case kindWant:
			err = c.feed(in.Stdin)
		case kindOutput:
			err = out.add(payload)
		case kindReport:
			return decodeReport(payload, &out)
		default:
			err = &brokenError{fmt.Errorf("%w of kind %q", errFrame, kind)}
		}
		if err != nil {
			return Report{}, err
		}
	}
}

// give sends an input, with its whole stdin when that is short.
func (c *child) give(in Input) error {
	var file *os.File
	f := newFrame(c.outbox, kindInput)
	f = putUint(f, in.Number)
	f = putUint(f, uint64(len(in.Args)))
	for _, arg := range in.Args {
		f = putText(f, arg)
	}
	if in.File == nil {
		f = putText(putText(f, ""), "")
	} else {
		if !files.ValidName(in.File.Name) {
			return fmt.Errorf("sandbox: %q cannot be the name of an input file", in.File.Name)
		}
		var err error
		if file, err = os.Open(in.File.Path); err != nil {
			return fmt.Errorf("open the input file: %w", err)
		}
		defer file.Close()
		path, err := filepath.Abs(in.File.Path)
		if err != nil {
			return fmt.Errorf("find the input file: %w", err)
		}
		f = putText(putText(f, in.File.Name), path)
	}
	n, more := 0, uint64(0)
	if in.Stdin != nil {
		if c.begin == nil {
			c.begin = make([]byte, inlineMax)
		}
		var err error
		if n, err = io.ReadFull(in.Stdin, c.begin); err == nil {
			more = 1
		} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read the input: %w", err)
		}
	}
	f = putBytes(putUint(f, more), c.begin[:n])
	c.outbox = f
	if len(f) > frameMax {
		return fmt.Errorf("the arguments of an input take %d bytes; at most %d are possible", len(f), frameMax)
	}
	if err := c.link.send(sealFrame(f), file); err != nil {
		return &brokenError{err}
	}
	return nil
}

// feed sends the next chunk of stdin, or an empty one at its end.
func (c *child) feed(stdin io.Reader) error {
	if cap(c.outbox) < frameHead+chunkSize {
		c.outbox = make([]byte, frameHead+chunkSize)
	}
	f := newFrame(c.outbox, kindStdin)
	n, err := io.ReadFull(stdin, f[frameHead:frameHead+chunkSize])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the input: %w", err)
	}
	if err := c.link.send(sealFrame(f[:frameHead+n]), nil); err != nil {
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
		return &brokenError{fmt.Errorf("%w: more output than the limit", errFrame)}
	}
	o.name.Write(p) // never fails
	if _, err := o.to.Write(p); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

func decodeReport(payload []byte, out *output) (Report, error) {
	var r Report
	if len(payload) == 0 {
		return r, &brokenError{errFrame}
	}
	f := fields{rest: payload[1:]}
	r.Outcome = jobs.Outcome(payload[0])
	r.Exit = uint32(f.uint())
	r.Fuel = f.uint()
	r.PeakMemory = f.uint()
	r.CPU = time.Duration(f.uint()) // of the child, in total
	r.Reason = f.text()
	r.Stderr = append([]byte(nil), f.bytes()...)
	rest := f.bytes()
	if f.bad || !r.Outcome.Valid() || len(r.Stderr) > StderrKept {
		return r, &brokenError{errFrame}
	}
	if len(rest) > 0 {
		if err := out.add(rest); err != nil {
			return r, err
		}
	}
	blob := out.name.Blob()
	r.Output, r.Size = blob.Digest, blob.Size
	return r, nil
}
