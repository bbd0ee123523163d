package verify

import (
	"context"
	"io"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
)

// List is a job's inputs in order, as a person gives them.
type List interface {
	Count() uint64
	At(i uint64) jobs.Input
}

// Lines makes an input of every line.
func Lines(r io.Reader) (List, error) { return submit.Lines(r) }

// Files makes an input of every file.
func Files(files []File) (List, error) {
	list := &fileList{files: files}
	given := make([]submit.File, len(files))
	for i, f := range files {
		given[i] = submit.File(f)
	}
	var err error
	list.Inputs, err = submit.Files(given, digests{})
	return list, err
}

// fileList is inputs that are files, and where they are.
type fileList struct {
	*submit.Inputs
	files []File
}

// digests names blobs and keeps nothing.
type digests struct{}

// Put names what it reads.
func (digests) Put(r io.Reader, _ uint64) (jobs.Blob, error) {
	h := jobs.NewBlobHasher()
	_, err := io.Copy(h, r)
	return h.Blob(), err
}

// Hold holds nothing.
func (digests) Hold(context.Context, string, jobs.Blob, time.Time) error { return nil }

// Release has nothing to let go.
func (digests) Release(context.Context, string) error { return nil }
