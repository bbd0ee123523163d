package wasm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/files"
)

// child is the parent's side of a run child.
type child struct {
	cmd    *exec.Cmd
	link   *link
	in     *bufio.Reader
	inbox  []byte        // memory of the frames received
	outbox []byte        // memory of the frames sent
	begin  []byte        // memory of the beginning of a stdin
	crash  head          // its standard error; to be read after gone only
	used   time.Duration // the child's CPU time up to its last word

	locks []Lock

	gone chan struct{} // closed when the process has ended
	once sync.Once
}

// launch starts a run child that does not know its program yet.
func (s *Sandbox) launch() (*child, error) {
	cmd := s.command(context.Background(), runChild)
	c := &child{cmd: cmd, gone: make(chan struct{})}
	cmd.Stderr = &c.crash
	link, release, err := openLink(cmd)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	release()
	if err != nil {
		link.Close()
		return nil, fmt.Errorf("start a guest's process: %w", err)
	}
	c.link = link
	c.in = bufio.NewReaderSize(link, inlineMax+frameHead)
	go func() { // ends with the process
		cmd.Wait() // what it says is in cmd.ProcessState
		close(c.gone)
	}()
	return c, nil
}

// prepare gives the child its setup and waits until it has locked itself in.
func (c *child) prepare(setup []byte) error {
	if err := c.link.send(sealFrame(append(newFrame(nil, kindSetup), setup...)), nil); err != nil {
		return c.died(err)
	}
	kind, payload, err := c.receive()
	if err != nil {
		return c.died(err)
	}
	switch kind {
	case kindReady:
		var ready readiness
		if err := json.Unmarshal(payload, &ready); err != nil {
			return fmt.Errorf("read that a guest is ready: %w", err)
		}
		c.used, c.locks = ready.CPU, ready.Locks
		return nil
	case kindFailed:
		var f failure
		if err := json.Unmarshal(payload, &f); err != nil {
			return fmt.Errorf("read why a guest could not start: %w", err)
		}
		if f.Cache {
			return &badCacheError{f.Reason}
		}
		return fmt.Errorf("start a guest: %s", f.Reason)
	}
	return fmt.Errorf("start a guest: %w of kind %q", errFrame, kind)
}

// died explains a broken stream by the child's last words.
func (c *child) died(err error) error {
	c.end()
	return fmt.Errorf("the guest's process ended early: %w: %s: %s", err, c.cmd.ProcessState, c.crash.text())
}

func (c *child) receive() (byte, []byte, error) {
	kind, payload, grown, err := readFrame(c.in, c.inbox)
	c.inbox = grown
	return kind, payload, err
}

func (c *child) dead() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// reusable reports whether the child may run another input: not when it is dead, and not
// when its CPU time comes near the hard limit that the kernel holds it to.
func (c *child) reusable(l Limits) bool { return !c.dead() && c.used < l.CPU }

func (c *child) kill()          { c.cmd.Process.Kill() } // fails only when there is nothing to kill
func (c *child) suspend() error { return suspend(c.cmd.Process) }
func (c *child) proceed() error { return proceed(c.cmd.Process) }

// end kills the child and waits until it is gone.
func (c *child) end() {
	c.once.Do(func() {
		c.kill()
		c.link.Close()
	})
	<-c.gone
}

// run has the child run one input.
func (c *child) run(ctx context.Context, l Limits, in Input, stdout io.Writer) (Report, error) {
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	watch := c.watch(l.CPU)
	defer watch.stop()
	report, err := c.exchange(l, in, stdout)
	var broken *brokenError
	switch {
	case err == nil:
		total := report.CPU
		report.CPU, c.used = total-c.used, total
		return report, nil
	case ctx.Err() != nil:
		return Report{}, context.Cause(ctx)
	case !errors.As(err, &broken):
		return Report{}, err
	}
	c.end()
	report = Report{Outcome: jobs.GaveUp, Reason: "the guest's process ended: " + c.cmd.ProcessState.String()}
	switch crash := c.crash.text(); {
	case watch.fired():
		report.Reason = fmt.Sprintf("used more than %v of CPU time", l.CPU)
	case outOfMemory(crash):
		report.Reason = errHostMemory.Error()
	case crash != "":
		report.Reason += ": " + crash
	}
	report.CPU = c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime() - c.used
	return report, nil
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
		return &brokenError{errors.New("more output than the limit")}
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
