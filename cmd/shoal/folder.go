package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// folder is where the outputs of one job become files. The file manifestName in it lists what
// shoal wrote, so that nothing else is ever overwritten; sha256sum -c reads it too:
//
//	# answers of shoal job b5f3k2qa…
//	<sha256>  texts/a.txt
//
// A line is in the list before its file is in the folder: of a crash in between, a line
// without a file is left, which is harmless.
type folder struct {
	dir     string // as the person named it
	root    *os.Root
	list    *os.File
	torn    bool              // the list ends within a line
	job     string            // whose answers are in it; "" in a new one
	written map[string]string // digest by name
}

const (
	manifestName = ".shoal-answers"
	manifestHead = "# answers of shoal job "
	partPrefix   = ".shoal-part-"
)

// openFolder makes the folder, or takes one that has only what shoal wrote.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, unwritable(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder for answers: %w", err)
	}
	f := &folder{dir: dir, root: root, written: make(map[string]string)}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) open() error {
	if err := f.readList(); err != nil {
		return err
	}
	if err := f.survey(); err != nil {
		return err
	}
	// That nothing can be written here should be known before any work, not after it.
	part := partPrefix + rand.Text()
	if _, err := f.write(part, strings.NewReader("")); err != nil {
		return unwritable(f.dir, err)
	}
	return f.root.Remove(part)
}

func unwritable(dir string, err error) error {
	return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("folder %s: %s", dir, unwrapPath(err)), Hint: "name a folder that can be written with -d DIR"}
}

// readList reads what was written before, but for a last line that a crash has cut.
func (f *folder) readList() error {
	text, err := f.root.ReadFile(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the list of answers in %s: %w", f.dir, err)
	}
	f.torn = len(text) > 0 && !bytes.HasSuffix(text, []byte("\n"))
	for line := range strings.Lines(string(text)) {
		line, whole := strings.CutSuffix(line, "\n")
		if !whole {
			break
		}
		if job, ok := strings.CutPrefix(line, manifestHead); ok {
			f.job = job
			continue
		}
		if sum, name, ok := parseSum(line); ok {
			f.written[name] = sum
		}
	}
	return nil
}

// survey removes parts that a crash left, and refuses files of others.
func (f *folder) survey() error {
	return fs.WalkDir(f.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look into the folder for answers: %w", err)
		case d.IsDir() || path == manifestName:
			return nil
		case strings.HasPrefix(path, partPrefix):
			return f.root.Remove(path)
		case f.written[path] == "":
			return foreign(f.dir, path)
		}
		return nil
	})
}

// begin binds the folder to a job.
func (f *folder) begin(job string) error {
	if f.job != "" && f.job != job {
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("folder %s has the answers of job %s", f.dir, words.Short(f.job)),
			Hint: fmt.Sprintf("the job goes on; shoal results %s -d OTHER delivers it", words.Short(job))}
	}
	list, err := f.root.OpenFile(manifestName, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return unwritable(f.dir, err)
	}
	f.list = list
	head := ""
	if f.torn {
		head = "\n"
	}
	if f.job == "" {
		head += manifestHead + job + "\n"
	}
	f.job = job
	_, err = io.WriteString(list, head)
	return err
}

// put writes an output whole under its name, and returns where that is.
func (f *folder) put(name string, output io.Reader) (string, error) {
	slashed := filepath.ToSlash(name)
	if !filepath.IsLocal(name) || slashed == manifestName || strings.HasPrefix(slashed, partPrefix) {
		return "", fmt.Errorf("an answer that wants to be the file %q", name)
	}
	part := partPrefix + rand.Text()
	sum, err := f.write(part, output)
	if err == nil {
		err = f.place(part, slashed, sum)
	}
	if err != nil {
		if gone := f.root.Remove(part); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return "", fmt.Errorf("write the answer %s: %w", filepath.Join(f.dir, name), err)
	}
	return filepath.Join(f.dir, name), nil
}

// write stores an output under a name that nobody looks at, and returns its digest.
func (f *folder) write(part string, output io.Reader) (string, error) {
	file, err := f.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), output)
	return hex.EncodeToString(hash.Sum(nil)), errors.Join(err, file.Close())
}

// place gives a part its name, unless a file of that name is not what shoal wrote there.
func (f *folder) place(part, name, sum string) error {
	there, err := f.digest(name)
	switch {
	case err != nil:
		return err
	case there == sum && f.written[name] == sum: // delivered before
		return f.root.Remove(part)
	case there != "" && there != f.written[name]:
		return &api.Error{Code: api.CodeUsage, Message: "the file was changed since shoal wrote it", Hint: "keep it elsewhere, or name a new folder with -d DIR"}
	}
	if _, err := fmt.Fprintf(f.list, "%s\n", formatSum(sum, name)); err != nil {
		return err
	}
	f.written[name] = sum
	if dir := filepath.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return f.root.Rename(part, name)
}

// digest is that of a file in the folder; "" if there is none.
func (f *folder) digest(name string) (string, error) {
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), err
}

func (f *folder) close() error {
	var err error
	if f.list != nil {
		err = f.list.Close()
	}
	return errors.Join(err, f.root.Close())
}

// sha256sum writes a name with a line end or backslash in it escaped, after a backslash.
var (
	escape   = strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
	unescape = strings.NewReplacer("\\\\", "\\", "\\n", "\n", "\\r", "\r")
)

func formatSum(sum, name string) string {
	if escaped := escape.Replace(name); escaped != name {
		return "\\" + sum + "  " + escaped
	}
	return sum + "  " + name
}

func parseSum(line string) (sum, name string, ok bool) {
	line, escaped := strings.CutPrefix(line, "\\")
	sum, name, ok = strings.Cut(line, "  ")
	if escaped {
		name = unescape.Replace(name)
	}
	return sum, name, ok && len(sum) == sha256.Size*2 && name != ""
}
