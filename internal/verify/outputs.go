package verify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
)

// folder is output files that are compared with what evidence proves of them.
type folder struct {
	root  *os.Root
	left  map[string]jobs.Digest // files that no answer was found to be, by name
	same  map[jobs.Digest][]string
	found Outputs
	wrong []evidence.Finding
	total uint64
}

func openOutputs(dir string, except []string) (*folder, error) {
	if dir == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, left: map[string]jobs.Digest{}, same: map[jobs.Digest][]string{}}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains(except, name) {
			return err
		}
		b, err := blobOf(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		f.left[name] = b.Digest
		f.same[b.Digest] = append(f.same[b.Digest], name)
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func (f *folder) close() { f.root.Close() } // only read

// unit compares the outputs of a unit's inputs.
func (f *folder) unit(u *evidence.Unit, names *namer) error {
	ins, err := names.of(u)
	if err != nil && !errors.Is(err, ErrNoInputs) {
		f.find(u, "what its inputs are called: %v", err)
	}
	for i := range u.Verdict.Inputs() {
		in := u.Verdict.Input(i)
		if in.State == scheduler.Stuck || in.Tuple.Outcome != jobs.OK {
			continue
		}
		number := u.First + uint64(i)
		if err != nil {
			f.byContent(u, number, in.Tuple.Output)
			continue
		}
		name := strconv.FormatUint(number+1, 10) + ".out"
		if ins[i].Name != "" {
			name = ins[i].Name
		}
		switch got, there := f.left[name]; {
		case !there:
			f.find(u, "the output of input %d, %s, is not there", number+1, name)
		case got != in.Tuple.Output:
			f.find(u, "%s is not the accepted output of input %d", name, number+1)
			delete(f.left, name)
		default:
			f.found.Right++
			delete(f.left, name)
		}
	}
	return nil
}

// byContent looks for an output among all files: its name is not known.
func (f *folder) byContent(u *evidence.Unit, number uint64, want jobs.Digest) {
	for {
		names := f.same[want]
		if len(names) == 0 {
			f.find(u, "no file has the output of input %d", number+1)
			return
		}
		f.same[want] = names[1:]
		if _, free := f.left[names[0]]; free {
			delete(f.left, names[0])
			f.found.Right++
			f.found.Unnamed++
			return
		}
	}
}

func (f *folder) find(u *evidence.Unit, format string, args ...any) {
	f.total++
	if len(f.wrong) < evidence.MaxFindings {
		where := evidence.WhereUnit(u.Number, u.First, u.Spec.Count)
		f.wrong = append(f.wrong, evidence.Found(where, format, args...))
	}
}

// rest adds what was found to the report, with the files that are no output at all.
func (f *folder) rest(r *evidence.Report) {
	names := make([]string, 0, len(f.left))
	for name := range f.left {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f.total++
		if len(f.wrong) < evidence.MaxFindings {
			f.wrong = append(f.wrong, evidence.Found("the folder of outputs", "%s is the accepted output of no input", name))
		}
	}
	r.Add(f.wrong, f.total)
}
