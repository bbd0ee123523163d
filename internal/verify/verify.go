// Package verify is the check of an evidence file by someone who trusts nobody, on any machine and
// without a node: the records themselves (package evidence), output files against the digests
// they prove, and, where asked for, some units run again in the sandbox.
package verify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/evidence"
)

// Options say what to check beside the records.
type Options struct {
	Submitter jobs.NodeID // whose job it has to be; zero: anybody's
	Partial   bool        // units without a verdict are no fault

	Outputs string   // folder of output files; "": none
	Except  []string // names in it that are no outputs

	Rerun   int                  // units to run again, chosen at random
	Program string               // its file; "": among the blobs
	Data    []File               // data files by their names in the job
	Inputs  func() (List, error) // the job's inputs; nil: among the blobs, if they are not in the file
	Blobs   string               // folder of a home's blobs; "" or missing: none
	Cache   string               // folder for compiled programs
	// Fetch brings a blob that is neither given nor in Blobs there, from the keepers of a shard of the
	// job; nil: there is no node to ask.
	Fetch  func(ctx context.Context, job jobs.JobID, shard uint32, b jobs.Blob) error
	Logger *slog.Logger
}

// File is a file and its name in the job.
type File struct{ Path, Name string }

// Report is all that was found.
type Report struct {
	*evidence.Report
	Records uint64   // of the findings, those in the evidence itself
	Files   uint64   // of the findings, those in the folder of outputs
	Outputs *Outputs // nil: not checked
	Rerun   *Rerun   // nil: not asked for, or not possible
	Lacks   error    // what running units again lacks; it is among the findings
}

// Share is what one donor gave to the job.
type Share = evidence.Share

// Outputs is what came of comparing output files with the digests.
type Outputs struct {
	Right   uint64 // files that are the accepted output of their input
	Unnamed uint64 // of them, found by their content alone: what the inputs are called is not known here
}

// Run checks the evidence in r.
func Run(ctx context.Context, r io.Reader, o Options) (*Report, error) {
	out := &Report{}
	folder, err := openOutputs(o.Outputs, o.Except)
	if err != nil {
		return nil, err
	}
	if folder != nil {
		defer folder.close()
	}
	store := &blobs{dir: o.Blobs}
	sample := newSample(o.Rerun)
	names := namer{store: store, inputs: o.Inputs}
	each := func(u *evidence.Unit) error {
		sample.offer(u)
		if err := ctx.Err(); err != nil {
			return err
		}
		if folder == nil {
			return nil
		}
		return folder.unit(u, &names)
	}
	if out.Report, err = evidence.Check(bufio.NewReaderSize(r, 1<<16), evidence.Options{Submitter: o.Submitter, Partial: o.Partial, Unit: each}); err != nil {
		return nil, err
	}
	out.Records = out.Wrong
	if folder != nil {
		folder.rest(out.Report)
		out.Outputs, out.Files = &folder.found, out.Wrong-out.Records
	}
	if o.Rerun > 0 && out.Job != nil && len(sample.units) > 0 {
		store.fetch = func(shard uint32, b jobs.Blob) error {
			if o.Fetch == nil {
				return fs.ErrNotExist
			}
			return o.Fetch(ctx, out.Job.ID, shard, b)
		}
		again := &rerunner{o: &o, job: out.Job, blobs: store, names: &names, report: out.Report}
		out.Rerun, err = again.run(ctx, sample.units)
		if errors.Is(err, ErrCannotRerun) {
			out.Rerun, out.Lacks, err = nil, err, nil
			out.Add([]evidence.Finding{evidence.Found("the units to run again", "%v", out.Lacks)}, 1)
		}
	}
	return out, err
}

// JobOf reads of which job a file is evidence.
func JobOf(r io.Reader) (jobs.JobID, error) {
	job, err := evidence.Opening(r)
	if err != nil {
		return jobs.JobID{}, err
	}
	return job.ID, nil
}

// blobs is the folder in which a home keeps blobs, whole files, each named by its digest; and the
// way to those that are not there, of a shard of the job.
type blobs struct {
	dir   string                        // "": none
	fetch func(uint32, jobs.Blob) error // nil: what is not there is not to be had
}

func (b *blobs) path(d jobs.Digest) string {
	name := d.String()
	return filepath.Join(b.dir, name[:2], name)
}

// bring gives the path of a blob, which is fetched if it has to be.
func (b *blobs) bring(shard uint32, blob jobs.Blob) (string, error) {
	if b.dir == "" {
		return "", fs.ErrNotExist
	}
	p := b.path(blob.Digest)
	_, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) && b.fetch != nil {
		err = b.fetch(shard, blob)
	}
	return p, err
}

// read gives a blob of at most jobs.MaxPack bytes, checked.
func (b *blobs) read(shard uint32, blob jobs.Blob) ([]byte, error) {
	if blob.Size > jobs.MaxPack {
		return nil, fs.ErrNotExist
	}
	p, err := b.bring(shard, blob)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(p)
	if err != nil {
		return nil, err
	}
	if jobs.BlobOf(raw) != blob {
		return nil, fmt.Errorf("blob %s: its file has other bytes", blob.Digest)
	}
	return raw, nil
}

// file gives the path of a blob whose bytes were checked.
func (b *blobs) file(shard uint32, blob jobs.Blob) (string, error) {
	p, err := b.bring(shard, blob)
	if err == nil {
		err = isBlob(p, blob)
	}
	return p, err
}

var errOther = errors.New("its bytes are not those that the job names")

// isBlob reports whether a file has the bytes that blob names.
func isBlob(path string, blob jobs.Blob) error {
	got, err := blobOf(path)
	if err == nil && got != blob {
		err = errOther
	}
	return err
}

func blobOf(path string) (jobs.Blob, error) {
	f, err := os.Open(path)
	if err != nil {
		return jobs.Blob{}, err
	}
	defer f.Close()
	h := jobs.NewBlobHasher()
	if _, err := io.Copy(h, f); err != nil {
		return jobs.Blob{}, err
	}
	return h.Blob(), nil
}

// namer finds a unit's inputs: in the file itself, as the person gave them, or among a home's
// blobs.
type namer struct {
	store  *blobs
	inputs func() (List, error)
	list   List
	err    error
}

// ErrNoInputs means that the inputs of a unit are not to be had.
var ErrNoInputs = errors.New("its inputs are not here: give them as they were given to submit")

// of gives a unit's inputs, proved by the digest in its manifest.
func (n *namer) of(u *evidence.Unit) ([]jobs.Input, error) {
	if u.Spec.Source != jobs.FromBlob {
		return u.Spec.OpenInputs(nil)
	}
	if n.inputs != nil && n.list == nil && n.err == nil {
		n.list, n.err = n.inputs()
	}
	if n.err != nil {
		return nil, n.err
	}
	if n.list != nil {
		return n.given(u)
	}
	pack, err := n.store.read(u.Shard, u.Spec.Pack)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoInputs
	}
	if err != nil {
		return nil, err
	}
	return u.Spec.OpenInputs(pack)
}

// given takes a unit's inputs from those that the person gave, if they are the ones.
func (n *namer) given(u *evidence.Unit) ([]jobs.Input, error) {
	end := u.First + uint64(u.Spec.Count)
	if n.list.Count() < end {
		return nil, fmt.Errorf("%d inputs were given, it has inputs %d to %d", n.list.Count(), u.First+1, end)
	}
	ins := make([]jobs.Input, 0, u.Spec.Count)
	for i := u.First; i < end; i++ {
		ins = append(ins, n.list.At(i))
	}
	pack := jobs.Encode(ins)
	if jobs.BlobOf(pack) != u.Spec.Pack {
		return nil, errors.New("the inputs that were given are not those of the job")
	}
	return u.Spec.OpenInputs(pack)
}
