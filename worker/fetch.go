package worker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// prepare gets the shard's manifest, and has the job's program and data fetched beside the
// feeder: a job whose program cannot be had holds up no other. It reports whether all is here.
func (w *Worker) prepare(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (bool, error) {
	if info.manifests[ref.Shard] == nil {
		d, err := w.cfg.Keepers.Describe(ctx, ref)
		if err != nil {
			return false, err
		}
		if len(info.manifests) >= maxManifests {
			clear(info.manifests) // tasks have what they need of them
		}
		info.manifests[ref.Shard] = d.Manifest
	}
	w.mu.Lock()
	ready, begin := info.ready, !info.ready && !info.preparing
	info.preparing = info.preparing || begin
	w.mu.Unlock()
	if begin {
		w.start(func(ctx context.Context) {
			p, err := w.fetchProgram(ctx, info, ref)
			w.mu.Lock()
			info.preparing = false
			if err == nil {
				info.program, info.ready = p, true
			} else {
				info.until, info.why = w.rt.Now().Add(fetchAgain), fmt.Sprintf("its program or data cannot be had: %v", err)
			}
			w.mu.Unlock()
			w.poke()
		})
	}
	return ready, nil
}

func (w *Worker) isPreparing(info *jobInfo) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return info.preparing
}

// fetchProgram gets a job's program and data.
func (w *Worker) fetchProgram(ctx context.Context, info *jobInfo, ref protocol.ShardRef) (Program, error) {
	h := &info.job.Head
	p := Program{Job: info.job, Digest: h.Program.Digest, Own: info.own}
	set, err := w.cfg.Keepers.Keepers(ctx, ref)
	if err != nil {
		return p, err
	}
	if p.Path, err = w.bring(ctx, info, h.Program, set); err != nil {
		return p, err
	}
	for _, d := range h.Data {
		path, err := w.bring(ctx, info, d.Blob, set)
		if err != nil {
			return p, err
		}
		p.Data = append(p.Data, File{Name: d.Name, Path: path})
	}
	return p, nil
}

// bring fetches a blob of a job and gives its path.
func (w *Worker) bring(ctx context.Context, info *jobInfo, b jobs.Blob, from []jobs.NodeID) (string, error) {
	holders := append(slices.Clone(from), info.job.Head.Submitter)
	until := time.Unix(info.job.Head.Expires, 0)
	if err := w.cfg.Blobs.Fetch(ctx, workOwner(info.job.ID), b, holders, until); err != nil {
		return "", err
	}
	path, ok := w.cfg.Blobs.Path(b.Digest)
	if !ok {
		return "", fmt.Errorf("blob %s: fetched, yet not here", b.Digest)
	}
	return path, nil
}

func workOwner(id jobs.JobID) string { return "work/" + id.String() }

// fetchInputs gets the inputs of claimed units, in order, and queues them for the slots.
func (w *Worker) fetchInputs(ctx context.Context, batch []*task) {
	for _, t := range batch {
		if err := w.fetchTask(t.ctx, t); err != nil {
			w.cfg.Logger.Info("inputs could not be had; unit given back", t.key().ids(), "error", err)
			w.drop(t, true)
			continue
		}
		if w.queueFor(t).Put(ctx, w.rt, t) != nil {
			return
		}
	}
}

func (w *Worker) fetchTask(ctx context.Context, t *task) error {
	u := &t.manifest.Units[t.hold.Unit]
	set, err := w.cfg.Keepers.Keepers(ctx, t.ref)
	if err != nil {
		return err
	}
	var pack []byte
	if u.Source == jobs.FromBlob {
		if _, err := w.bring(ctx, t.info, u.Pack, set); err != nil {
			return err
		}
		if pack, err = readBlob(w.cfg.Blobs, u.Pack); err != nil {
			return err
		}
	}
	if t.inputs, err = u.OpenInputs(pack); err != nil {
		return err
	}
	t.first = t.manifest.FirstInput(int(t.hold.Unit))
	for i := range t.inputs {
		if t.inputs[i].IsBlob() {
			if _, err := w.bring(ctx, t.info, t.inputs[i].Blob, set); err != nil {
				return err
			}
		}
	}
	return nil
}

func readBlob(bs Blobs, b jobs.Blob) ([]byte, error) {
	f, err := bs.Open(b.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	_, err = io.Copy(&buf, io.LimitReader(f, int64(b.Size)+1))
	return buf.Bytes(), err
}
