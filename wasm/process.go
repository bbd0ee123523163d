package wasm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/wasm/link"
)

// process is the parent's side of a run child.
type process struct {
	cmd    *exec.Cmd
	line   *link.Host
	in     *bufio.Reader
	inbox  []byte        // memory of the frames received
	outbox []byte        // memory of the frames sent
	begin  []byte        // memory of the beginning of a stdin
	crash  head          // its standard error; to be read after gone only
	used   time.Duration // the child's CPU time up to its last word
	locks  []Lock

	gone   chan struct{} // closed when the process has ended
	once   sync.Once
	disown func() // undoes adopt
}

// launch starts a run child that does not know its program yet.
func (s *Sandbox) launch() (*process, error) {
	cmd := s.command(context.Background(), link.RunChild)
	c := &process{cmd: cmd, gone: make(chan struct{})}
	cmd.Stderr = &c.crash
	line, release, err := link.Open(cmd)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	release()
	if err != nil {
		line.Close()
		return nil, fmt.Errorf("start a guest's process: %w", err)
	}
	c.line = line
	c.in = bufio.NewReaderSize(line, link.InlineMax+link.FrameHead)
	disown, err := adopt(cmd.Process)
	go func() { // ends with the process
		cmd.Wait() // what it says is in cmd.ProcessState
		close(c.gone)
	}()
	if err != nil {
		c.end()
		return nil, err
	}
	c.disown = disown
	return c, nil
}

// prepare gives the child its setup and waits until it has locked itself in.
func (c *process) prepare(setup []byte) error {
	if err := c.line.Send(link.Seal(append(link.NewFrame(nil, link.KindSetup), setup...)), nil); err != nil {
		return c.died(err)
	}
	kind, payload, err := c.receive()
	if err != nil {
		return c.died(err)
	}
	switch kind {
	case link.KindReady:
		var ready link.Ready
		if err := json.Unmarshal(payload, &ready); err != nil {
			return fmt.Errorf("read that a guest is ready: %w", err)
		}
		c.used, c.locks = ready.CPU, ready.Locks
		return nil
	case link.KindFailed:
		var f link.Failure
		if err := json.Unmarshal(payload, &f); err != nil {
			return fmt.Errorf("read why a guest could not start: %w", err)
		}
		if f.Cache {
			return &badCacheError{f.Reason}
		}
		return fmt.Errorf("start a guest: %s", f.Reason)
	}
	return fmt.Errorf("start a guest: %w of kind %q", link.ErrFrame, kind)
}

// died explains a broken stream by the child's last words.
func (c *process) died(err error) error {
	c.end()
	return fmt.Errorf("the guest's process ended early: %w: %s: %s", err, c.cmd.ProcessState, c.crash.text())
}

func (c *process) receive() (byte, []byte, error) {
	kind, payload, grown, err := link.ReadFrame(c.in, c.inbox)
	c.inbox = grown
	return kind, payload, err
}

func (c *process) dead() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// reusable reports whether the child may run another input: not when it is dead, and not
// when its CPU time comes near the hard limit that the kernel holds it to.
func (c *process) reusable(l Limits) bool { return !c.dead() && c.used < l.CPU }

func (c *process) kill()          { c.cmd.Process.Kill() } // fails only when there is nothing to kill
func (c *process) suspend() error { return suspend(c.cmd.Process) }
func (c *process) proceed() error { return proceed(c.cmd.Process) }

// end kills the child and waits until it is gone.
func (c *process) end() {
	c.once.Do(func() {
		c.kill()
		c.line.Close()
		<-c.gone
		if c.disown != nil {
			c.disown()
		}
	})
}
