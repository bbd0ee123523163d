package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Answer is the accepted answer of one input.
type Answer struct {
	Number uint64 // of the input, from 0
	Name   string // an input file's relative path, a range's number; empty for a line
	IsPath bool   // Name is a path
	Tuple  jobs.Tuple
	Stderr []byte
	ToldBy jobs.NodeID // whose payload it is from
	Open   bool        // no answer yet
	// Provisional says that the answer stands for now: at its level only the submitter makes it final.
	Provisional bool
}

// Which says which answers Each gives.
type Which struct {
	Follow      bool // wait for what is open; else open inputs are told as such
	Provisional bool // those that are not final too; else they count as open
}

// Each calls f with every input's answer, in input order; output is only good within the call.
func (c *Collector) Each(ctx context.Context, which Which, f func(a Answer, output io.Reader) error) error {
	for shard := range c.job.Head.Shards() {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: shard}
		m, err := c.manifest(ctx, ref)
		if err != nil {
			return err
		}
		for n := range m.Units {
			if which.Follow {
				if err := c.waitFor(ctx, shard, n, which.Provisional); err != nil {
					return err
				}
			}
			if err := c.eachOf(ctx, ref, m, n, which.Provisional, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Collector) waitFor(ctx context.Context, shard uint32, n int, provisional bool) error {
	for {
		mark := c.changed.Mark()
		c.mu.Lock()
		ok := c.accepted[shard][n] != scheduler.Open && (provisional || c.finalLocked())
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err := c.rt.Wait(ctx, strand.Forever, mark); err != nil {
			return err
		}
	}
}

func (c *Collector) eachOf(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, n int, provisional bool, f func(Answer, io.Reader) error) error {
	first := m.FirstInput(n)
	names, err := c.names(ctx, ref, m, n)
	if err != nil {
		return err
	}
	c.mu.Lock()
	final := c.finalLocked()
	c.mu.Unlock()
	raw, ok, err := c.cfg.Disk.Get(unitKey(ref, uint16(n)))
	if err != nil {
		return err
	}
	var u unit
	if ok = ok && (final || provisional); ok {
		if err := jobs.Decode(raw, protocol.MaxMessage, &u); err != nil {
			return err
		}
	}
	readers, err := c.readers(&u, int(m.Units[n].Count))
	if err != nil {
		return err
	}
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	for i := range int(m.Units[n].Count) {
		a := Answer{Number: first + uint64(i), Open: !ok, Provisional: ok && !final, Tuple: jobs.Tuple{Outcome: jobs.GaveUp}}
		a.Name, a.IsPath = names(i)
		var out io.Reader = bytes.NewReader(nil)
		for _, r := range readers {
			if r.has(i) {
				a.Tuple, a.Stderr, a.ToldBy = r.head.Tuples[i], r.head.StderrOf(i), r.worker
				out = r.output(i)
			}
		}
		if err := f(a, out); err != nil {
			return err
		}
	}
	return nil
}

// names gives the names of a unit's inputs, where they have any.
func (c *Collector) names(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, n int) (func(int) (name string, path bool), error) {
	u := &m.Units[n]
	if u.Source == jobs.FromRange {
		return func(i int) (string, bool) { return strconv.FormatInt(u.From+int64(i), 10), false }, nil
	}
	var pack []byte
	if u.Source == jobs.FromBlob {
		if !c.cfg.Blobs.Has(u.Pack.Digest) {
			c.fetchNames(ctx, ref, u)
		}
		f, err := c.cfg.Blobs.Open(u.Pack.Digest)
		if errors.Is(err, fs.ErrNotExist) {
			return func(int) (string, bool) { return "", false }, nil // answers without names are answers
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if pack, err = io.ReadAll(io.LimitReader(f, jobs.MaxPack+1)); err != nil {
			return nil, err
		}
	}
	ins, err := u.OpenInputs(pack)
	if err != nil {
		return nil, err
	}
	return func(i int) (string, bool) { return ins[i].Name, ins[i].Name != "" }, nil
}

// fetchNames asks the shard's keepers for the names of a unit's inputs.
func (c *Collector) fetchNames(ctx context.Context, ref protocol.ShardRef, u *jobs.UnitSpec) {
	if set, err := c.cfg.Keepers.Keepers(ctx, ref); err == nil {
		c.keepNames(ctx, ref, u, set)
	}
}

// partReader reads the outputs of one payload in input order.
type partReader struct {
	worker jobs.NodeID
	head   *jobs.PayloadHead
	body   io.Reader
	file   io.Closer
	inputs map[int]bool
	next   int // input whose output body stands at
	left   int64
}

func (c *Collector) readers(u *unit, inputs int) ([]*partReader, error) {
	var out []*partReader
	for i := range u.Parts {
		p := &u.Parts[i]
		r := &partReader{worker: p.Worker, inputs: map[int]bool{}}
		r.body = bytes.NewReader(p.Inline)
		if len(p.Inline) == 0 {
			f, err := c.cfg.Blobs.Open(p.Payload.Digest)
			if err != nil {
				return out, fmt.Errorf("output: %w", err)
			}
			r.body, r.file = f, f
		}
		out = append(out, r)
		var err error
		if r.head, err = jobs.ReadPayloadHead(r.body, inputs); err != nil {
			return out, err
		}
		for _, n := range p.Inputs {
			r.inputs[int(n)] = true
		}
	}
	return out, nil
}

func (r *partReader) has(i int) bool { return r.inputs[i] }

// output stands body at input i's output and gives a reader of just that.
func (r *partReader) output(i int) io.Reader {
	skip := r.left
	for ; r.next < i; r.next++ {
		skip += int64(r.head.Tuples[r.next].Size)
	}
	if _, err := io.CopyN(io.Discard, r.body, skip); err != nil {
		return &failing{err}
	}
	r.left = int64(r.head.Tuples[i].Size)
	r.next = i + 1
	return &counted{r, &io.LimitedReader{R: r.body, N: r.left}}
}

// counted keeps account of what was not read of an output.
type counted struct {
	r *partReader
	l *io.LimitedReader
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.l.Read(p)
	c.r.left = c.l.N
	return n, err
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func (r *partReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}
