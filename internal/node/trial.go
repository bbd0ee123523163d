package node

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/wasm"
)

// trial is an input that was run before its job was made.
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
func (n *Node) try(ctx context.Context, h *jobs.Head, in *submit.Inputs) (perInput time.Duration, done []trial, err error) {
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
	last := in.Count() - 1
	for _, i := range slices.Compact([]uint64{0, last / 2, last}) {
		began := time.Now()
		r, out, err := n.tryOne(ctx, g, h, in.At(i), i)
		perInput = max(perInput, time.Since(began))
		if err != nil || r.Outcome == jobs.GaveUp {
			break // it takes longer than the trial: that is what was to be learnt
		}
		perInput = max(min(perInput, r.CPU), time.Microsecond)
		if len(out) <= tryOutput {
			done = append(done, trial{i, r.Tuple(), stderrOf(r), out})
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
		m, _, err := n.submitter.Manifest(job, shard)
		if err != nil {
			return 0, 0, 0, err
		}
		if number >= m.First+m.Inputs() {
			continue
		}
		at := m.First
		for u := range m.Units {
			next := at + uint64(m.Units[u].Count)
			if number < next {
				return shard, uint16(u), int(number - at), nil
			}
			at = next
		}
	}
	return 0, 0, 0, errors.New("no such input")
}
