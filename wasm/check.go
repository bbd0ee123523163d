package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// A check that is not full gives each run so much CPU time, and takes so much real time.
const (
	checkCPU  = 3 * time.Second
	checkTime = 9 * time.Second
)

var errCheckTime = fmt.Errorf("did not finish within %v", checkTime)

// CheckReport is what a check found out. When the program is not accepted only Reason is
// set besides.
type CheckReport struct {
	Accepted bool   // the grid takes the program, and it gave the same answer each time
	Finished bool   // the runs came to their end, so that there is an answer
	Reason   string // why it is not accepted, or did not finish
	Report   Report // the first run
	// Interpreted says how the run in the interpreter compares: a second opinion on the
	// compiler, and "" when it agrees.
	Interpreted string
	Fixed       []string // what the program can ask for and the grid decides, for people
}

// Tuple is what others would compare of the run.
func (r Report) Tuple() jobs.Tuple {
	t := jobs.Tuple{Outcome: r.Outcome, Fuel: r.Fuel}
	switch r.Outcome {
	case jobs.OK:
		t.Output, t.Size = r.Output, r.Size
	case jobs.Exit:
		t.Exit = r.Exit
	}
	return t
}

// Check says whether the grid takes a program, by trying it: twice compiled and once
// interpreted, in fresh children, on the one input. Unless it is full, each run is stopped
// after three seconds of CPU time, and all of it after nine. An error means that nothing was
// found out.
func (s *Sandbox) Check(ctx context.Context, spec Spec, in Input, full bool) (CheckReport, error) {
	if !full {
		spec.Limits.CPU = checkCPU
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, checkTime, errCheckTime)
		defer cancel()
	}
	summary, err := s.admit(spec.Program.Path)
	if err != nil {
		return CheckReport{}.without(err)
	}
	c := CheckReport{Accepted: true, Finished: true, Fixed: fixed(summary.Imports)}
	stdin, err := readAll(in.Stdin)
	if err != nil {
		return CheckReport{}, fmt.Errorf("read the input: %w", err)
	}
	try := func(spec Spec) (Report, error) {
		in := in
		in.Stdin = bytes.NewReader(stdin)
		return s.once(ctx, spec, in)
	}
	if c.Report, err = try(spec); err != nil {
		return c.without(err)
	}
	if c.Report.Outcome == jobs.GaveUp {
		c.Finished, c.Reason = false, c.Report.Reason
		return c, nil
	}
	return c.compare(try, spec)
}

// without is what can be said when a run gave no report.
func (c CheckReport) without(err error) (CheckReport, error) {
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		return CheckReport{Reason: refused.Reason}, nil
	case errors.Is(err, errCheckTime):
		c.Finished, c.Reason = false, err.Error()
		return c, nil
	}
	return CheckReport{}, err
}

// compare runs the program again, by both engines at the same time.
func (c CheckReport) compare(try func(Spec) (Report, error), spec Spec) (CheckReport, error) {
	var second, third Report
	var secondErr, thirdErr error
	interpreted := spec
	interpreted.interpret = true
	var both sync.WaitGroup
	both.Go(func() { second, secondErr = try(spec) })
	both.Go(func() { third, thirdErr = try(interpreted) })
	both.Wait()
	if secondErr != nil {
		return c.without(secondErr)
	}
	switch {
	case thirdErr != nil && !errors.Is(thirdErr, errCheckTime):
		return c.without(thirdErr)
	case second.Outcome == jobs.GaveUp:
		c.Finished, c.Reason = false, second.Reason
	case second.Tuple() != c.Report.Tuple():
		c.Accepted, c.Reason = false, "gave two different answers to one input"
	case thirdErr != nil:
		c.Interpreted = "skipped: " + thirdErr.Error()
	case third.Outcome == jobs.GaveUp:
		c.Interpreted = "skipped: " + third.Reason
	case third.Tuple() != c.Report.Tuple():
		c.Accepted, c.Reason = false, "gave another answer when it was interpreted instead of compiled"
		c.Interpreted = "differs"
	}
	return c, nil
}

// once runs one input in a guest of its own.
func (s *Sandbox) once(ctx context.Context, spec Spec, in Input) (Report, error) {
	g, err := s.Start(ctx, spec)
	if err != nil {
		return Report{}, err
	}
	defer g.Close()
	return g.Run(ctx, in, io.Discard)
}

func readAll(r io.Reader) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	return io.ReadAll(r)
}

// fixed says what of the functions that a program imports is not what it is elsewhere.
func fixed(imports []string) []string {
	var all []string
	for _, f := range []struct {
		prefixes []string
		says     string
	}{
		{[]string{"clock_"}, "the clock starts at 2022-01-01T00:00:00Z and moves on by 1 ms each time it is read"},
		{[]string{"poll_oneoff"}, "sleeping takes no time but moves the clock on"},
		{[]string{"random_get"}, "random numbers are a function of the job's seed and the input's number"},
		{[]string{"environ_"}, "the environment is empty"},
		{[]string{"path_", "fd_prestat_"}, "there are no files but those in /in, /data, /out, /state and /tmp"},
		{[]string{"sock_"}, "there is no network: sockets fail"},
		{[]string{"proc_raise"}, "there are no signals: raising one fails"},
	} {
		has := func(prefix string) bool {
			return slices.ContainsFunc(imports, func(name string) bool { return strings.HasPrefix(name, prefix) })
		}
		if slices.ContainsFunc(f.prefixes, has) {
			all = append(all, f.says)
		}
	}
	return all
}
