package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/wasm"
)

// Defaults of a job (DESIGN §5).
const (
	defaultExpires = 14 * 24 * time.Hour
	defaultLease   = 2 * time.Minute
	maxListed      = 10_000_000 // inputs that are lines or files
)

// inputs are a submission's inputs, read.
type inputs struct {
	list   []jobs.Input // files and lines
	first  int64        // a range
	last   int64
	ranged bool
	sum    jobs.Digest
}

func (in *inputs) count() uint64 {
	if in.ranged {
		return uint64(in.last) - uint64(in.first) + 1
	}
	return uint64(len(in.list))
}

// at is input i, from 0.
func (in *inputs) at(i uint64) jobs.Input {
	if in.ranged {
		return jobs.Input{Data: strconv.AppendInt(nil, in.first+int64(i), 10)}
	}
	return in.list[i]
}

func (in *inputs) each(add func(jobs.Input) error, addRange func(first, last int64) error) error {
	if in.ranged {
		return addRange(in.first, in.last)
	}
	for _, x := range in.list {
		if err := add(x); err != nil {
			return err
		}
	}
	return nil
}

// readInputs reads what a submission names. Large files go into the blob store.
func (n *Node) readInputs(s *api.Submission, lines io.Reader) (*inputs, error) {
	in := &inputs{}
	add := func(x jobs.Input) error {
		if len(in.list) >= maxListed {
			return &api.Error{Code: api.CodeRefused, Message: "more than 10 million inputs", Hint: "use --range, or put several into one line"}
		}
		in.list = append(in.list, x)
		in.sum = jobs.Sum(in.sum[:], []byte(x.Name), []byte{0}, x.Blob.Digest[:], jobs.Encode(x.Data))
		return nil
	}
	switch {
	case s.Range != nil:
		in.ranged, in.first, in.last = true, s.Range[0], s.Range[1]
		in.sum = jobs.Sum([]byte("range"), fmt.Append(nil, in.first, "..", in.last))
	case s.Lines:
		if err := jobs.Lines(lines, func(l []byte) error { return add(jobs.Input{Data: l}) }); err != nil {
			return nil, &api.Error{Code: api.CodeRefused, Message: err.Error(), Hint: "give long inputs as files, one input each"}
		}
	default:
		for _, f := range s.Files {
			x, err := n.readFile(f)
			if err != nil {
				return nil, err
			}
			if err := add(x); err != nil {
				return nil, err
			}
		}
	}
	if in.count() == 0 {
		return nil, &api.Error{Code: api.CodeUsage, Message: "no inputs", Hint: "give files, --lines FILE or --range A..B"}
	}
	return in, nil
}

// readFile reads one input file, that has to stay as it is meanwhile.
func (n *Node) readFile(f api.File) (jobs.Input, error) {
	x := jobs.Input{Name: f.Name}
	file, size, err := openRegular(f.Path)
	if err != nil {
		return x, err
	}
	defer file.Close()
	if size <= jobs.MaxInlineInput {
		x.Data, err = io.ReadAll(io.LimitReader(file, jobs.MaxInlineInput+1))
		if err == nil && int64(len(x.Data)) != size {
			err = &api.Error{Code: api.CodeUnexpected, Message: f.Name + " changed while it was read", Hint: "submit again when nobody writes to it"}
		}
		return x, err
	}
	x.Blob, err = n.blobs.Put(file, jobs.MaxBlob)
	if err == nil && int64(x.Blob.Size) != size {
		err = &api.Error{Code: api.CodeUnexpected, Message: f.Name + " changed while it was read", Hint: "submit again when nobody writes to it"}
	}
	return x, err
}

func openRegular(path string) (*os.File, int64, error) {
	name := filepath.Base(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, &api.Error{Code: api.CodeNotFound, Message: path + ": no such file", Hint: "check the path"}
	case err != nil:
		return nil, 0, &api.Error{Code: api.CodeNotFound, Message: err.Error(), Hint: "check the path and its permissions"}
	case info.IsDir():
		return nil, 0, &api.Error{Code: api.CodeUsage, Message: path + " is a folder", Hint: "give the files in it: " + name + "/*"}
	case !info.Mode().IsRegular():
		return nil, 0, &api.Error{Code: api.CodeUsage, Message: path + " is not a regular file", Hint: "copy what it gives into a file first"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &api.Error{Code: api.CodeNotFound, Message: err.Error(), Hint: "check the permissions of the file"}
	}
	return f, info.Size(), nil
}

// readProgram checks a program and stores it.
func (n *Node) readProgram(path string) (jobs.Blob, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return jobs.Blob{}, err
	}
	defer f.Close()
	if err := wasm.Inspect(f); err != nil {
		return jobs.Blob{}, refused(filepath.Base(path), err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return jobs.Blob{}, err
	}
	return n.blobs.Put(f, uint64(size))
}

// refused turns the sandbox's no into words for a person.
func refused(name string, err error) error {
	var r *wasm.Refused
	if errors.As(err, &r) {
		return &api.Error{Code: api.CodeRefused, Message: name + ": " + r.Reason, Hint: "see what the grid takes: shoal check " + name}
	}
	return err
}

// headOf makes the head that a submission asks for.
func (n *Node) headOf(s *api.Submission, program jobs.Blob, now time.Time) (jobs.Head, error) {
	h := jobs.Head{
		Created: now.Unix(), Expires: now.Add(or(s.Expires, defaultExpires)).Unix(),
		Name: s.Name, Program: program, Args: s.Args, Seed: s.Seed,
		Limits: jobs.Limits{
			Memory: or(s.Memory, wasm.DefaultMemory), Output: or(s.Output, wasm.DefaultOutput), Fuel: s.Fuel,
			CPU: uint64(or(s.Time, wasm.DefaultCPU) / time.Millisecond),
		},
		Policy:  jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: uint32(or(s.Lease, defaultLease) / time.Second)},
		Profile: profiles()[len(profiles())-1],
	}
	if h.Profile > 0 {
		h.Limits.Fuel = or(h.Limits.Fuel, wasm.DefaultFuel)
	}
	usage := func(err error) error {
		return &api.Error{Code: api.CodeUsage, Message: err.Error(), Hint: "shoal help submit"}
	}
	for _, t := range s.Trust {
		id, err := jobs.ParseNodeID(t)
		if err != nil {
			return h, usage(fmt.Errorf("--trust %s: %w", t, err))
		}
		h.Policy.Trust = append(h.Policy.Trust, id)
	}
	level := s.Level
	if level == "" && len(s.Trust) > 0 {
		level = jobs.Trusted.String()
	}
	if level != "" {
		l, err := jobs.ParseLevel(level)
		if err != nil {
			return h, usage(err)
		}
		h.Policy.Level = l
	}
	switch h.Policy.Level {
	case jobs.Trusted:
		h.Policy.Votes = 1
	case jobs.Strong, jobs.Paranoid:
		return h, &api.Error{Code: api.CodeRefused, Message: "level " + h.Policy.Level.String() + " is not offered by this release", Hint: "use --verify standard"}
	}
	for _, d := range s.Data {
		f, _, err := openRegular(d.Path)
		if err != nil {
			return h, err
		}
		b, err := n.blobs.Put(f, jobs.MaxBlob)
		f.Close()
		if err != nil {
			return h, err
		}
		h.Data = append(h.Data, jobs.NamedBlob{Name: d.Name, Blob: b})
	}
	return h, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// contentOf tells jobs of equal content.
func contentOf(h *jobs.Head, in *inputs, s *api.Submission) jobs.Digest {
	return jobs.Sum([]byte("shoal/content/1"), h.Program.Digest[:], jobs.Encode(h.Args), in.sum[:], jobs.Encode(h.Data),
		jobs.Encode(h.Limits), jobs.Encode(h.Policy), fmt.Append(nil, h.Seed, s.Local, h.Profile, h.Name))
}

// trial is an input that was run before the job was made.
type trial struct {
	number uint64
	tuple  jobs.Tuple
	stderr []byte
	output []byte
}

// tryFor bounds the trial of a job's first, middle and last input together.
const (
	tryFor    = 10 * time.Second
	tryOutput = 64 << 10
)

// try runs the first, middle and last input, to learn what an input costs. It gives what it
// learnt and the results, which are the job's first.
func (n *Node) try(ctx context.Context, h *jobs.Head, in *inputs) (perInput time.Duration, done []trial, err error) {
	path, _ := n.blobs.Path(h.Program.Digest)
	spec := wasm.Spec{
		Program: wasm.Program{Path: path, Digest: h.Program.Digest}, Profile: uint8(h.Profile), Seed: h.Seed,
		Limits: wasm.Limits{Memory: h.Limits.Memory, Output: h.Limits.Output, Fuel: h.Limits.Fuel, CPU: tryFor},
	}
	for _, d := range h.Data {
		p, _ := n.blobs.Path(d.Blob.Digest)
		spec.Data = append(spec.Data, wasm.File{Name: d.Name, Path: p})
	}
	g, err := n.sandbox.Start(ctx, spec)
	if err != nil {
		return 0, nil, err
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	last := in.count() - 1
	for _, i := range slices.Compact([]uint64{0, last / 2, last}) {
		began := time.Now()
		r, out, err := n.tryOne(ctx, g, h, in.at(i), i)
		perInput = max(perInput, time.Since(began))
		if err != nil || r.Outcome == jobs.GaveUp {
			break // it takes longer than the trial: that is what was to be learnt
		}
		perInput = max(min(perInput, r.CPU), time.Microsecond)
		if len(out) <= tryOutput {
			done = append(done, trial{i, tupleOf(r), stderrOf(r), out})
		}
	}
	return perInput, done, nil
}

func (n *Node) tryOne(ctx context.Context, g *wasm.Guest, h *jobs.Head, in jobs.Input, number uint64) (wasm.Report, []byte, error) {
	run := wasm.Input{Number: number, Args: in.Args(h.Args, number), Stdin: bytes.NewReader(in.Data)}
	b := in.Blob
	if in.IsBlob() {
		f, err := n.blobs.Open(b.Digest)
		if err != nil {
			return wasm.Report{}, nil, err
		}
		defer f.Close()
		run.Stdin = f
	}
	if in.Name != "" && jobs.WantsFile(h.Args) {
		if !in.IsBlob() {
			var err error
			if b, err = n.blobs.PutBytes(in.Data); err != nil {
				return wasm.Report{}, nil, err
			}
		}
		p, _ := n.blobs.Path(b.Digest)
		run.File = &wasm.File{Name: filepath.Base(in.Name), Path: p}
	}
	var out keepSome
	r, err := g.Run(ctx, run, &out)
	return r, out.b, err
}

// keepSome keeps an output as long as it is small.
type keepSome struct{ b []byte }

func (k *keepSome) Write(p []byte) (int, error) {
	if len(k.b) <= tryOutput {
		k.b = append(k.b, p[:min(len(p), tryOutput+1-len(k.b))]...)
	}
	return len(p), nil
}

// Submit makes a job of a submission, or attaches to the one that was made of it before.
func (n *Node) Submit(ctx context.Context, s api.Submission, lines io.Reader) (*api.Submitted, error) {
	program, err := n.readProgram(s.Program)
	if err != nil {
		return nil, err
	}
	in, err := n.readInputs(&s, lines)
	if err != nil {
		return nil, err
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.Program)
	}
	h, err := n.headOf(&s, program, time.Now())
	if err != nil {
		return nil, err
	}
	content := contentOf(&h, in, &s)
	if !s.New {
		if out, err := n.attach(ctx, content, &s); out != nil || err != nil {
			return out, err
		}
	}
	perUnit, trials, err := n.size(ctx, &s, &h, in)
	if err != nil {
		return nil, err
	}
	if s.DryRun {
		return n.dryRun(&h, in, perUnit)
	}
	job, err := n.submitter.Create(ctx, submit.Spec{
		Head: h, PerUnit: perUnit, Inputs: in.each, Content: content, Local: s.Local, Alone: s.Alone,
	})
	if err != nil {
		return nil, createError(err)
	}
	if err := n.saveTrials(ctx, job, trials); err != nil {
		return nil, err
	}
	return n.begin(ctx, job, &s)
}

func createError(err error) error {
	var known *api.Error
	if errors.As(err, &known) {
		return err
	}
	return &api.Error{Code: api.CodeRefused, Message: "the job cannot be made: " + err.Error(), Hint: "shoal help submit"}
}

// size says how many inputs a unit gets.
func (n *Node) size(ctx context.Context, s *api.Submission, h *jobs.Head, in *inputs) (int, []trial, error) {
	_, slots := n.net.donors()
	cores := n.slots() + slots
	if s.PerUnit > 0 {
		return min(s.PerUnit, jobs.MaxUnitInputs), nil, nil
	}
	if in.count() <= uint64(cores) {
		return 1, nil, nil
	}
	perInput, trials, err := n.try(ctx, h, in)
	if err != nil {
		return 0, nil, refused(h.Name, err)
	}
	per := jobs.UnitInputs(in.count(), perInput, cores)
	h.UnitTime = uint32(min(max(time.Duration(per)*perInput/time.Millisecond, 1), 1<<31))
	return per, trials, nil
}

// saveTrials gives the worker the results that there are already.
func (n *Node) saveTrials(ctx context.Context, job *jobs.Job, trials []trial) error {
	for _, t := range trials {
		shard, unit, i, err := n.locate(job, t.number)
		if err != nil {
			return err
		}
		if err := n.worker.SaveInput(ctx, refOf(job, shard), unit, i, t.tuple, t.stderr, t.output); err != nil {
			return err
		}
	}
	return nil
}

// locate finds the unit that an input is in.
func (n *Node) locate(job *jobs.Job, number uint64) (shard uint32, unit uint16, i int, err error) {
	for shard = range job.Head.Shards() {
		m, err := n.submitter.Manifest(job, shard)
		if err != nil {
			return 0, 0, 0, err
		}
		if number >= m.First+m.Inputs() {
			continue
		}
		at := m.First
		for u := range m.Units {
			if next := at + uint64(m.Units[u].Count); number < next {
				return shard, uint16(u), int(number - at), nil
			} else {
				at = next
			}
		}
	}
	return 0, 0, 0, errors.New("no such input")
}
