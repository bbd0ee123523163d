package submit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/shoalgrid/shoal/jobs"
)

// Fault is what is wrong with what a person asked for. It is of one of the kinds below.
type Fault struct {
	Kind     error // ErrMissing, ErrWrong or ErrRefused
	What, Do string
}

// The kinds of faults.
var (
	ErrMissing = errors.New("not there")
	ErrWrong   = errors.New("not of the right kind")
	ErrRefused = errors.New("more than a job takes")
)

// Error says what is wrong, and where.
func (f *Fault) Error() string { return f.What }

// Hint says one thing to try.
func (f *Fault) Hint() string { return f.Do }

// Unwrap gives the kind.
func (f *Fault) Unwrap() error { return f.Kind }

// File is a file and the relative path that names it in the job.
type File struct{ Path, Name string }

// Inputs are a job's inputs, read.
type Inputs struct {
	list        []jobs.Input // files and lines
	first, last int64        // a range
	ranged      bool
	sum         jobs.Digest
}

// maxListed bounds inputs that are files or lines; a range may be longer.
const maxListed = 10_000_000

// Range makes inputs of the numbers first to last.
func Range(first, last int64) *Inputs {
	return &Inputs{ranged: true, first: first, last: last, sum: jobs.Sum([]byte("range"), fmt.Append(nil, first, "..", last))}
}

// Lines makes an input of every line of r.
func Lines(r io.Reader) (*Inputs, error) {
	in := &Inputs{}
	err := jobs.Lines(r, func(l []byte) error { return in.add(jobs.Input{Data: l}) })
	var fault *Fault
	if err != nil && !errors.As(err, &fault) {
		err = &Fault{ErrRefused, err.Error(), "give long inputs as files, one input each"}
	}
	return in, err
}

// Files makes an input of every file. Large ones go into the blob store.
func Files(files []File, bs Blobs) (*Inputs, error) {
	in := &Inputs{}
	for _, f := range files {
		x, err := readFile(f, bs)
		if err != nil {
			return nil, err
		}
		if err := in.add(x); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *Inputs) add(x jobs.Input) error {
	if len(in.list) >= maxListed {
		return &Fault{ErrRefused, "more than 10 million inputs", "use --range, or put several into one line"}
	}
	in.list = append(in.list, x)
	in.sum = jobs.Sum(in.sum[:], []byte(x.Name), []byte{0}, x.Blob.Digest[:], jobs.Encode(x.Data))
	return nil
}

// Count is the number of inputs.
func (in *Inputs) Count() uint64 {
	if in.ranged {
		return uint64(in.last) - uint64(in.first) + 1
	}
	return uint64(len(in.list))
}

// At is input i, from 0.
func (in *Inputs) At(i uint64) jobs.Input {
	if in.ranged {
		return jobs.Input{Data: strconv.AppendInt(nil, in.first+int64(i), 10)}
	}
	return in.list[i]
}

// Sum tells inputs of different content apart.
func (in *Inputs) Sum() jobs.Digest { return in.sum }

// Each gives the inputs to a splitter.
func (in *Inputs) Each(add func(jobs.Input) error, addRange func(first, last int64) error) error {
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

// readFile reads one input file, which has to stay as it is meanwhile.
func readFile(f File, bs Blobs) (jobs.Input, error) {
	x := jobs.Input{Name: f.Name}
	file, size, err := OpenRegular(f.Path)
	if err != nil {
		return x, err
	}
	defer file.Close()
	got := int64(-1)
	if size <= jobs.MaxInlineInput {
		x.Data, err = io.ReadAll(io.LimitReader(file, jobs.MaxInlineInput+1))
		got = int64(len(x.Data))
	} else if x.Blob, err = bs.Put(file, jobs.MaxBlob); err == nil {
		got = int64(x.Blob.Size)
	}
	if err == nil && got != size {
		err = &Fault{ErrWrong, f.Name + " changed while it was read", "submit again when nobody writes to it"}
	}
	return x, err
}

// OpenRegular opens a regular file and gives its size.
func OpenRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, &Fault{ErrMissing, path + ": no such file", "check the path"}
	case err != nil:
		return nil, 0, &Fault{ErrMissing, err.Error(), "check the path and its permissions"}
	case info.IsDir():
		return nil, 0, &Fault{ErrWrong, path + " is a folder", "give the files in it: " + filepath.Base(path) + "/*"}
	case !info.Mode().IsRegular():
		return nil, 0, &Fault{ErrWrong, path + " is not a regular file", "copy what it gives into a file first"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &Fault{ErrMissing, err.Error(), "check the permissions of the file"}
	}
	return f, info.Size(), nil
}

// Put stores a file that is the same for every input.
func (f File) Put(bs Blobs) (jobs.NamedBlob, error) {
	file, _, err := OpenRegular(f.Path)
	if err != nil {
		return jobs.NamedBlob{}, err
	}
	defer file.Close()
	b, err := bs.Put(file, jobs.MaxBlob)
	return jobs.NamedBlob{Name: f.Name, Blob: b}, err
}
