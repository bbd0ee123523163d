package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/wasm"
)

// Rerun is what came of running units again.
type Rerun struct {
	Units    uint64 // run
	Inputs   uint64 // with an answer, in these units
	Same     uint64 // of them, answered the same here
	Unjudged uint64 // of them, given up by this machine
}

// picked is a unit that is run again: what is left of it after the check.
type picked struct {
	evidence.Unit
	answers []scheduler.InputVerdict
}

// sample is some of the units, each set of them as likely as any other.
type sample struct {
	size  int
	seen  int64
	units []picked
}

func newSample(n int) *sample { return &sample{size: n} }

// offer takes a unit into the sample, or not (Vitter's algorithm R). Nobody who made the file can
// know which units it will be.
func (s *sample) offer(u *evidence.Unit) {
	if s.size == 0 {
		return
	}
	s.seen++
	if len(s.units) < s.size {
		s.units = append(s.units, pick(u))
		return
	}
	n, err := rand.Int(rand.Reader, big.NewInt(s.seen))
	if err == nil && n.Int64() < int64(s.size) {
		s.units[n.Int64()] = pick(u)
	}
}

func pick(u *evidence.Unit) picked {
	p := picked{Unit: *u}
	for i := range u.Verdict.Inputs() {
		p.answers = append(p.answers, u.Verdict.Input(i))
	}
	p.Verdict = nil
	return p
}

type rerunner struct {
	o      *Options
	job    *jobs.Job
	blobs  *blobs
	names  *namer
	report *evidence.Report
	temp   string
	did    Rerun
}

// ErrCannotRerun means that what running a unit again needs is not to be had here.
var ErrCannotRerun = errors.New("they cannot be run here")

func (r *rerunner) run(ctx context.Context, units []picked) (_ *Rerun, err error) {
	spec, err := r.spec()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotRerun, err)
	}
	sandbox, err := wasm.New(wasm.Options{CacheDir: r.o.Cache, AllowWeak: true, Logger: r.o.Logger})
	if err != nil {
		return nil, err
	}
	if r.temp, err = os.MkdirTemp("", "shoal-verify-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.temp)) }()
	g, err := sandbox.Start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotRerun, err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	slices.SortFunc(units, func(a, b picked) int { return int(int64(a.Number) - int64(b.Number)) })
	for i := range units {
		ins, err := r.names.of(&units[i].Unit)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCannotRerun, evidence.WhereUnit(units[i].Number, units[i].First, units[i].Spec.Count), err)
		}
		if err := r.unit(ctx, g, &units[i], ins); err != nil {
			return nil, err
		}
	}
	return &r.did, nil
}

// spec is how the job's program runs, with the files it needs, each checked.
func (r *rerunner) spec() (wasm.Spec, error) {
	h := &r.job.Head
	spec := wasm.Spec{
		Profile: uint8(h.Profile), Seed: h.Seed,
		Limits: wasm.Limits{Memory: h.Limits.Memory, Output: h.Limits.Output, Fuel: h.Limits.Fuel, CPU: time.Duration(h.Limits.CPU) * time.Millisecond},
	}
	if h.Profile > jobs.Profile(wasm.MaxProfile) {
		return spec, fmt.Errorf("the job is of profile %d, this shoal has up to %d", h.Profile, wasm.MaxProfile)
	}
	var err error
	if spec.Program.Path, err = r.find(0, h.Program, r.o.Program); err != nil {
		return spec, fmt.Errorf("its program: %w", err)
	}
	spec.Program.Digest = h.Program.Digest
	for _, d := range h.Data {
		i := slices.IndexFunc(r.o.Data, func(f File) bool { return f.Name == d.Name })
		given := ""
		if i >= 0 {
			given = r.o.Data[i].Path
		}
		p, err := r.find(0, d.Blob, given)
		if err != nil {
			return spec, fmt.Errorf("its data file %s: %w", d.Name, err)
		}
		spec.Data = append(spec.Data, wasm.File{Name: d.Name, Path: p})
	}
	return spec, nil
}

// find is a file with the bytes of a blob: the given one, or one of the home's, fetched from a shard's
// keepers if it has to be.
func (r *rerunner) find(shard uint32, blob jobs.Blob, given string) (string, error) {
	if given != "" {
		return given, isBlob(given, blob)
	}
	p, err := r.blobs.file(shard, blob)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is not in this home, and no node runs here to ask the grid for it", blob.Digest)
	}
	return p, err
}

// unit runs one unit's inputs and compares what comes of each with what was accepted.
func (r *rerunner) unit(ctx context.Context, g *wasm.Guest, u *picked, ins []jobs.Input) error {
	where := evidence.WhereUnit(u.Number, u.First, u.Spec.Count)
	r.did.Units++
	for i, want := range u.answers {
		if want.State == scheduler.Stuck {
			continue
		}
		number := u.First + uint64(i)
		in, close, err := r.input(u.Shard, number, &ins[i])
		if err != nil {
			return fmt.Errorf("%w: input %d: %w", ErrCannotRerun, number+1, err)
		}
		got, err := g.Run(ctx, in, io.Discard)
		close()
		if err != nil {
			return err
		}
		r.did.Inputs++
		switch t := got.Tuple(); {
		case t.Outcome == jobs.GaveUp:
			r.did.Unjudged++
		case t == want.Tuple:
			r.did.Same++
		default:
			r.report.Add([]evidence.Finding{evidence.Found(where, "run again, input %d gives %s, not %s", number+1, tupleWords(t), tupleWords(want.Tuple))}, 1)
		}
	}
	return nil
}

func tupleWords(t jobs.Tuple) string {
	switch t.Outcome {
	case jobs.OK:
		return fmt.Sprintf("%d bytes of output %s with %d instructions", t.Size, t.Output, t.Fuel)
	case jobs.Exit:
		return fmt.Sprintf("exit code %d with %d instructions", t.Exit, t.Fuel)
	}
	return fmt.Sprintf("%s with %d instructions", t.Outcome, t.Fuel)
}

// input is what the guest is run on, as a donor's guest was.
func (r *rerunner) input(shard uint32, number uint64, in *jobs.Input) (run wasm.Input, done func(), err error) {
	template := r.job.Head.Args
	run, done = wasm.Input{Number: number, Args: in.Args(template, number)}, func() {}
	file := ""
	if in.IsBlob() {
		if file, err = r.find(shard, in.Blob, r.givenFile(number)); err != nil {
			return run, done, err
		}
		f, err := os.Open(file)
		if err != nil {
			return run, done, err
		}
		run.Stdin, done = f, func() { f.Close() }
	} else {
		run.Stdin = bytes.NewReader(in.Data)
	}
	if in.Name == "" || !jobs.WantsFile(template) {
		return run, done, nil
	}
	if file == "" {
		file = path.Join(r.temp, "input")
		if err := os.WriteFile(file, in.Data, 0o600); err != nil {
			return run, done, err
		}
	}
	run.File = &wasm.File{Name: path.Base(in.Name), Path: file}
	return run, done, nil
}

// givenFile is where the person has the file of an input, if that is known.
func (r *rerunner) givenFile(number uint64) string {
	if l, ok := r.names.list.(*fileList); ok && number < uint64(len(l.files)) {
		return l.files[number].Path
	}
	return ""
}
