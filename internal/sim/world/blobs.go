package world

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
)

// blobs is the bytes that a node has, by name.
type blobs struct {
	n *node
	m map[jobs.Digest][]byte
}

func newBlobs(n *node) *blobs { return &blobs{n: n, m: map[jobs.Digest][]byte{}} }

// view is a node's blobs in the hands of one process.
type view struct {
	p *process
	b *blobs
}

func (p *process) view() view { return view{p, p.blobs} }

// Has reports whether a blob is here.
func (v view) Has(d jobs.Digest) bool {
	_, ok := v.b.m[d]
	return ok
}

// Path gives a blob's path, which here is its name.
func (v view) Path(d jobs.Digest) (string, bool) {
	if v.p.w.opt.Defect == WrongProgram {
		return "another", v.Has(d)
	}
	return d.String(), v.Has(d)
}

// Open gives a blob's bytes.
func (v view) Open(d jobs.Digest) (io.ReadCloser, error) {
	v.p.m.Check()
	data, ok := v.b.m[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Put stores bytes.
func (v view) Put(r io.Reader, limit uint64) (jobs.Blob, error) {
	v.p.m.Check()
	data, err := io.ReadAll(io.LimitReader(r, int64(min(limit, 1<<30))+1))
	if err != nil {
		return jobs.Blob{}, err
	}
	if v.p.disk.full || v.p.disk.locked {
		return jobs.Blob{}, errFull
	}
	b := jobs.BlobOf(data)
	v.b.m[b.Digest] = data
	return b, nil
}

// Hold keeps a blob: here nothing is dropped.
func (v view) Hold(context.Context, string, jobs.Blob, time.Time) error {
	v.p.m.Check()
	return nil
}

// Release lets a blob go: here nothing is dropped.
func (v view) Release(context.Context, string) error {
	v.p.m.Check()
	return nil
}

// Fetch gets a blob from whoever of its holders has it and is reached. What a liar sends in its
// place is found out by its name.
func (v view) Fetch(ctx context.Context, _ string, b jobs.Blob, holders []jobs.NodeID, _ time.Time) error {
	w := v.p.w
	for _, h := range holders {
		if v.Has(b.Digest) {
			break
		}
		from := w.byID[h]
		if from == nil || from == v.p.node {
			continue
		}
		w.sends("blob", 0)
		if err := strand.Sleep(ctx, v.p.m, 2*w.latency()); err != nil {
			return err
		}
		if from.p == nil || !w.reaches(v.p.node, from) || !w.reaches(from, v.p.node) || w.chance(w.fate.lossPPM) && !w.healed {
			continue
		}
		data, ok := from.blobs.m[b.Digest]
		if from.lie != nil && from.lie.kind == withholding {
			data = []byte("not what was asked for")
		}
		if ok && jobs.BlobOf(data) == b && !v.p.disk.full && !v.p.disk.locked {
			v.b.m[b.Digest] = data
			w.answers("blob", len(data))
		}
	}
	if !v.Has(b.Digest) {
		return fmt.Errorf("blob %s: nobody reached holds it", b.Digest)
	}
	return nil
}
