package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/wasm"
)

// readInputs reads what a submission names.
func (n *Node) readInputs(s *api.Submission, lines io.Reader) (*submit.Inputs, error) {
	var in *submit.Inputs
	var err error
	switch {
	case s.Range != nil:
		in = submit.Range(s.Range[0], s.Range[1])
	case s.Lines:
		in, err = submit.Lines(lines)
	default:
		files := make([]submit.File, len(s.Files))
		for i, f := range s.Files {
			files[i] = submit.File(f)
		}
		in, err = submit.Files(files, n.blobs)
	}
	if err == nil && in.Count() == 0 {
		return nil, &api.Error{Code: api.CodeUsage, Message: "no inputs", Hint: "give files, --lines FILE or --range A..B"}
	}
	return in, faulty(err)
}

// faulty gives what is wrong with a submission its exit code.
func faulty(err error) error {
	var f *submit.Fault
	if !errors.As(err, &f) {
		return err
	}
	code := api.CodeRefused
	switch {
	case errors.Is(f.Kind, submit.ErrMissing):
		code = api.CodeNotFound
	case errors.Is(f.Kind, submit.ErrWrong):
		code = api.CodeUsage
	}
	return &api.Error{Code: code, Message: f.What, Hint: f.Do}
}

// readProgram checks a program and stores it.
func (n *Node) readProgram(path string) (jobs.Blob, error) {
	f, size, err := submit.OpenRegular(path)
	if err != nil {
		return jobs.Blob{}, faulty(err)
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
	if r, ok := errors.AsType[*wasm.Refused](err); ok {
		return &api.Error{Code: api.CodeRefused, Message: name + ": " + r.Reason, Hint: "see what the grid takes: shoal check " + name}
	}
	return err
}

// headOf makes the head that a submission asks for.
func (n *Node) headOf(s *api.Submission, program jobs.Blob, now time.Time) (jobs.Head, error) {
	h := jobs.Head{
		Created: now.Unix(), Expires: now.Add(cmp.Or(s.Expires, jobs.DefaultLife)).Unix(),
		Name: s.Name, Description: s.Description, Program: program, Args: s.Args, Seed: s.Seed,
		Limits: jobs.Limits{
			Memory: cmp.Or(s.Memory, wasm.DefaultMemory), Output: cmp.Or(s.Output, wasm.DefaultOutput), Fuel: s.Fuel,
			CPU: uint64(cmp.Or(s.Time, wasm.DefaultCPU) / time.Millisecond),
		},
		Profile: wasm.DefaultProfile,
	}
	switch s.NaN {
	case "", api.NaNLazy:
	case api.NaNEager:
		h.Profile = wasm.EagerProfile
	default:
		return h, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("--nan %.20q: lazy or eager", s.NaN), Hint: "lazy is right for all programs but those that hide data in NaNs"}
	}
	if h.Profile > 0 {
		h.Limits.Fuel = cmp.Or(h.Limits.Fuel, wasm.DefaultFuel)
	}
	var err error
	if h.Policy, err = policyOf(s); err != nil {
		return h, &api.Error{Code: api.CodeUsage, Message: err.Error(), Hint: "shoal help submit"}
	}
	for _, d := range s.Data {
		b, err := submit.File(d).Put(n.blobs)
		if err != nil {
			return h, faulty(err)
		}
		h.Data = append(h.Data, b)
	}
	return h, nil
}

// policyOf is how a submission wants its answers checked. Who names peers to trust wants no more than
// their word, unless it says so.
func policyOf(s *api.Submission) (jobs.Policy, error) {
	p := jobs.Policy{Level: jobs.Standard, Lease: uint32(cmp.Or(s.Lease, jobs.DefaultLease) / time.Second)}
	for _, t := range s.Trust {
		id, err := jobs.ParseNodeID(t)
		if err != nil {
			return p, fmt.Errorf("--trust %s: %w", t, err)
		}
		p.Trust = append(p.Trust, id)
	}
	switch {
	case s.Level != "":
		l, err := jobs.ParseLevel(s.Level)
		if err != nil {
			return p, err
		}
		p.Level = l
	case len(p.Trust) > 0:
		p.Level = jobs.Trusted
	}
	p.Votes = p.Level.Votes()
	return p, nil
}

// contentOf tells jobs of equal content, in one network.
func contentOf(network string, h *jobs.Head, in *submit.Inputs, s *api.Submission) jobs.Digest {
	sum := in.Sum()
	return jobs.Sum([]byte("shoal/content/1"), h.Program.Digest[:], jobs.Encode(h.Args), sum[:], jobs.Encode(h.Data),
		jobs.Encode(h.Limits), jobs.Encode(h.Policy), fmt.Append(nil, h.Seed, s.Local, h.Profile, h.Name, network))
}

// Submit makes a job of a submission, or attaches to the one that was made of it before.
func (n *Node) Submit(ctx context.Context, s api.Submission, lines io.Reader) (*api.Submitted, error) {
	n.steps.tell(s.Tag, func(x *api.Submitting) { x.Name, x.Step = cmp.Or(s.Name, filepath.Base(s.Program)), api.StepReading })
	defer n.steps.over(s.Tag)
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
	content := contentOf(n.network, &h, in, &s)
	if !s.New {
		if out, err := n.attach(ctx, content, &s); out != nil || err != nil {
			return out, err
		}
	}
	if err := n.canMeet(ctx, &h, &s); err != nil {
		return nil, err
	}
	n.steps.tell(s.Tag, func(x *api.Submitting) { x.Step, x.Inputs = api.StepTrying, int64(in.Count()) })
	perUnit, trials, err := n.size(ctx, &s, &h, in)
	if err != nil {
		return nil, err
	}
	if units := jobs.UnitCount(in.Count(), perUnit, ramp(&s)); units > maxUnits {
		return nil, &api.Error{
			Code: api.CodeRefused, Message: fmt.Sprintf("%d inputs are %d units of %d: at most %d units a job", in.Count(), units, perUnit, maxUnits),
			Hint: "give it as several jobs, or more inputs a unit: --per-unit " + strconv.Itoa(jobs.MaxUnitInputs),
		}
	}
	if s.DryRun {
		return n.dryRun(ctx, &h, in, perUnit, ramp(&s))
	}
	job, err := n.submitter.Create(ctx, submit.Spec{
		Head: h, PerUnit: perUnit, Ramp: ramp(&s), Inputs: in.Each, Content: content, Local: s.Local, Alone: s.Alone,
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
	if _, ok := errors.AsType[*api.Error](err); ok {
		return err
	}
	return &api.Error{Code: api.CodeRefused, Message: "the job cannot be made: " + err.Error(), Hint: "shoal help submit"}
}

// maxUnits is how many units a job of this home may have: some two thousand shards, which are
// placed in minutes and fill a few GiB. The protocol knows larger ones; nobody has tried them.
const maxUnits = 2 << 20

// ramp is whether a person waits for the answers: then the first units are small. One who chose
// the size of units gets that.
func ramp(s *api.Submission) bool { return s.Alone && s.PerUnit == 0 }

// size says how many inputs a unit gets.
func (n *Node) size(ctx context.Context, s *api.Submission, h *jobs.Head, in *submit.Inputs) (int, []trial, error) {
	_, slots := n.net.donors()
	cores := runtime.NumCPU() + slots
	if s.PerUnit > 0 {
		return min(s.PerUnit, jobs.MaxUnitInputs), nil, nil
	}
	if in.Count() <= uint64(cores) {
		return 1, nil, nil
	}
	perInput, trials, err := n.try(ctx, h, in)
	if err != nil {
		return 0, nil, refused(h.Name, err)
	}
	per := jobs.UnitInputs(in.Count(), perInput, cores)
	h.UnitTime = uint32(min(max(time.Duration(per)*perInput/time.Millisecond, 1), 1<<31))
	return per, trials, nil
}
