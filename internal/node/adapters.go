package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/wasm"
	"github.com/shoalgrid/shoal/worker"
)

// table is one of the store as the doers see it.
type table struct{ t *store.Table }

func (d table) Get(key []byte) ([]byte, bool, error) { return d.t.Get(key) }

func (d table) Put(ctx context.Context, pairs ...disk.Pair) error {
	kvs := make([]store.KV, len(pairs))
	for i, p := range pairs {
		kvs[i] = store.KV{Key: p.Key, Value: p.Value}
	}
	return d.t.Put(ctx, kvs...)
}

func (d table) Delete(ctx context.Context, keys ...[]byte) error { return d.t.Delete(ctx, keys...) }

func (d table) Scan(prefix []byte, f func(key, value []byte) error) error {
	return d.t.Scan(prefix, f)
}

func (d table) DeletePrefix(ctx context.Context, prefix []byte) error {
	return d.t.DeletePrefix(ctx, prefix)
}

// blobs is the blob store together with the ways to fetch into it.
type blobs struct {
	*store.Blobs
	net      *overlay
	moves    *transfers
	received atomic.Uint64 // bytes of large blobs
	full     atomic.Bool   // the owner wishes the rest of the disk for other things
}

// keptPrefix begins the owners under which the keeper holds blobs.
const keptPrefix = "keep/"

func (b *blobs) Open(d jobs.Digest) (io.ReadCloser, error) { return b.Blobs.Open(d) }

func (b *blobs) Hold(ctx context.Context, owner string, blob jobs.Blob, until time.Time) error {
	return b.Blobs.Hold(ctx, owner, blob.Digest, until)
}

// Fetch gets a blob from its holders unless it is here, and holds it for owner.
func (b *blobs) Fetch(ctx context.Context, owner string, blob jobs.Blob, holders []jobs.NodeID, until time.Time) error {
	if !b.Has(blob.Digest) {
		var caps []store.Cap
		if strings.HasPrefix(owner, keptPrefix) {
			if b.full.Load() {
				return fmt.Errorf("%w: this disk is to keep what is free", store.ErrFull)
			}
			caps = append(caps, store.Cap{Prefix: keptPrefix, Bytes: b.Usage().Quota / 2}) // of strangers, all together
		}
		release, err := b.Reserve(owner, blob.Size, caps...)
		if err != nil {
			return err
		}
		defer release()
		if blob.Size <= protocol.MaxSmallBlob {
			err = b.fetchSmall(ctx, blob, holders)
		} else {
			err = b.fetchLarge(ctx, blob, holders, strings.HasPrefix(owner, collect.OwnerPrefix))
		}
		if err != nil {
			return err
		}
	}
	return b.Hold(ctx, owner, blob, until)
}

func (b *blobs) fetchSmall(ctx context.Context, blob jobs.Blob, holders []jobs.NodeID) error {
	err := errors.New("nobody is known to hold it")
	asked := map[jobs.NodeID]bool{b.net.Self(): true}
	for _, h := range holders {
		if asked[h] {
			continue
		}
		asked[h] = true
		var a protocol.BlobAnswer
		if err = b.net.ask(ctx, h, protocol.Blob, &protocol.BlobRequest{Blob: blob}, &a); err != nil {
			continue
		}
		if jobs.BlobOf(a.Data) != blob {
			err = fmt.Errorf("%s sent other bytes than were asked for", h.Short())
			continue
		}
		_, err = b.PutBytes(a.Data)
		return err
	}
	return fmt.Errorf("blob %s: %w", blob.Digest, err)
}

// fetchLarge gets a blob by bitswap; wanted says that somebody here waits for it.
func (b *blobs) fetchLarge(ctx context.Context, blob jobs.Blob, holders []jobs.NodeID, wanted bool) error {
	move := b.moves.pass
	if wanted {
		move = b.moves.carry
	} else if why := b.moves.why(time.Now()); why != "" {
		return errors.New(why)
	}
	host, err := b.net.up()
	if err != nil {
		return err
	}
	p, err := b.Partial(blob)
	if err != nil {
		return err
	}
	defer p.Close()
	put := func(d jobs.Digest, data []byte) error {
		if err := move(ctx, in, len(data)); err != nil {
			return err
		}
		b.received.Add(uint64(len(data)))
		return p.PutBlock(d, data)
	}
	if err := host.Fetch(ctx, blob, holders, p.Have, put); err != nil {
		return err
	}
	return p.Finish()
}

func (s blocks) BlockSize(_ context.Context, d jobs.Digest) (int, error) {
	n, ok := s.b.BlockSize(d)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return n, nil
}

// runner starts guests in the sandbox.
type runner struct {
	s      *wasm.Sandbox
	counts *counts
}

func specOf(p worker.Program) wasm.Spec {
	h := &p.Job.Head
	spec := wasm.Spec{
		Program: wasm.Program{Path: p.Path, Digest: p.Digest}, Profile: uint8(h.Profile), Seed: h.Seed, Idle: !p.Own,
		Limits: wasm.Limits{Memory: h.Limits.Memory, Output: h.Limits.Output, Fuel: h.Limits.Fuel, CPU: time.Duration(h.Limits.CPU) * time.Millisecond},
	}
	for _, d := range p.Data {
		spec.Data = append(spec.Data, wasm.File(d))
	}
	return spec
}

func (r runner) Start(ctx context.Context, p worker.Program) (worker.Guest, error) {
	g, err := r.s.Start(ctx, specOf(p))
	if err != nil {
		return nil, err
	}
	return guest{g, r.counts}, nil
}

type guest struct {
	*wasm.Guest
	counts *counts
}

func (g guest) Run(ctx context.Context, in worker.Input, stdout io.Writer) (worker.Report, error) {
	run := wasm.Input{Number: in.Number, Args: in.Args, Stdin: in.Stdin, State: in.State}
	if in.File != nil {
		run.File = &wasm.File{Name: in.File.Name, Path: in.File.Path}
	}
	r, err := g.Guest.Run(ctx, run, stdout)
	g.counts.ran(r, err, ctx.Err() != nil)
	if err != nil {
		return worker.Report{}, err
	}
	return worker.Report{Tuple: r.Tuple(), Stderr: stderrOf(r), Reason: r.Reason, CPU: r.CPU}, nil
}

// stderrOf is the end of standard error, and under it what went wrong, for the submitter.
func stderrOf(r wasm.Report) []byte {
	if r.Reason == "" || r.Outcome == jobs.OK || r.Outcome == jobs.Exit {
		return r.Stderr
	}
	out := bytes.TrimRight(r.Stderr, "\n")
	if len(out) > 0 {
		out = append(slices.Clip(out), '\n')
	}
	return append(slices.Clip(out), r.Reason...)
}
