package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/worker"
)

// oracle is what every program answers to an input, when run by somebody honest.
func oracle(program jobs.Digest, input []byte) []byte {
	s := sha256.Sum256(append(program[:], input...))
	return fmt.Appendf(nil, "%x", s[:8])
}

// tupleOf is the tuple of an answer.
func tupleOf(out []byte) jobs.Tuple {
	return jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf(out).Digest, Size: uint64(len(out)), Fuel: 1000 + uint64(len(out))}
}

// runner runs programs by asking the oracle, or a liar.
type runner struct{ p *process }

// Start implements worker.Runner.
func (r runner) Start(ctx context.Context, prog worker.Program) (worker.Guest, error) {
	r.p.m.Check()
	if err := strand.Sleep(ctx, r.p.m, r.p.w.between(time.Millisecond, 100*time.Millisecond)); err != nil {
		return nil, err
	}
	if k := r.p.w.workOf(prog.Job.ID); k != nil && k.cheat != nil && k.cheat.bomb == dud {
		return nil, errors.New("the program is no module that this machine can run")
	}
	return guest{r.p, prog}, nil
}

type guest struct {
	p    *process
	prog worker.Program
}

// Run implements worker.Guest.
func (g guest) Run(ctx context.Context, in worker.Input, stdout io.Writer) (worker.Report, error) {
	p, w := g.p, g.p.w
	data, err := io.ReadAll(in.Stdin)
	if err != nil {
		return worker.Report{}, err
	}
	if w.opt.Defect == WrongInput {
		data = append(data, '0')
	}
	k := w.workOf(g.prog.Job.ID)
	x := w.seen.begins(p, k, g.prog, in.Number, data)
	takes := k.takes * 100 / time.Duration(p.speed)
	if p.lie != nil {
		takes = p.lie.takes(takes)
	}
	if k.cheat != nil && k.cheat.bomb != noBomb {
		return g.explodes(ctx, k, x)
	}
	if err := strand.Sleep(ctx, p.m, takes); err != nil {
		x.end(dropped)
		return worker.Report{}, err
	}
	p.m.Check()
	if w.opt.Defect == RunTwice {
		x.gave(nil)
		x = w.seen.begins(p, k, g.prog, in.Number, data)
	}
	out := w.opt.Defect.output(p, in.Number, oracle(g.prog.Digest, data))
	if k.dice {
		out = fmt.Appendf(out, "%d", p.m.Uint64()%3)
	}
	if p.lie != nil {
		truth := out
		if out = p.lie.output(k, in.Number, truth); !bytes.Equal(out, truth) {
			p.lie.lied()
		}
	}
	x.gave(out)
	_, err = stdout.Write(out)
	return worker.Report{Tuple: tupleOf(out), CPU: takes}, err
}

// explodes runs a bomb.
func (g guest) explodes(ctx context.Context, k *work, x ending) (worker.Report, error) {
	p, takes := g.p, k.takes
	if k.cheat.bomb == mine {
		takes = time.Duration(k.job.Head.Limits.CPU) * time.Millisecond
	}
	err := strand.Sleep(ctx, p.m, takes)
	if err == nil && k.cheat.bomb == crash {
		err = errors.New("the guest's process is gone")
	}
	if err != nil {
		x.end(dropped)
		return worker.Report{}, err
	}
	p.m.Check()
	x.gave(nil)
	if k.cheat.bomb == trap {
		return worker.Report{Tuple: jobs.Tuple{Outcome: jobs.Trap, Fuel: 7}, CPU: takes}, nil
	}
	return worker.Report{Tuple: jobs.Tuple{Outcome: jobs.GaveUp}, Reason: "its time on this machine was over", CPU: takes}, nil
}

// Pause implements worker.Guest.
func (guest) Pause() error { return nil }

// Resume implements worker.Guest.
func (guest) Resume() error { return nil }

// Close implements worker.Guest.
func (guest) Close() error { return nil }
