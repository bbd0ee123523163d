package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
)

// What a browser may send in one form.
const (
	maxUpload  = 1 << 30 // bytes, together
	maxFiles   = 10_000
	maxField   = 16 << 20 // bytes of one field: lines are one
	uploadName = "upload-"
)

// upload is a form as it comes in: files go into a folder of their own, which is gone when the
// job is submitted: the node has its copies then.
type upload struct {
	dir    string
	fields map[string]string
	sub    api.Submission
}

// sweep removes uploads that nobody will finish.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, uploadName+"*")) // the pattern is sound
	for _, path := range left {
		os.RemoveAll(path)
	}
}

func (s *Site) submit(w http.ResponseWriter, r *http.Request) error {
	parts, err := multipartOf(w, r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.cfg.Temp, 0o700); err != nil {
		return fmt.Errorf("make room for an upload: %w", err)
	}
	u := &upload{fields: map[string]string{}}
	if u.dir, err = os.MkdirTemp(s.cfg.Temp, uploadName); err != nil {
		return fmt.Errorf("make room for an upload: %w", err)
	}
	defer os.RemoveAll(u.dir)
	if err := u.read(parts); err != nil {
		return err
	}
	lines, err := u.submission()
	if err != nil {
		return err
	}
	done, err := s.node.Submit(r.Context(), u.sub, lines)
	if err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	back := "/jobs/" + done.Job
	if done.Attached {
		back += "?said=attached"
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// read takes the parts of a form.
func (u *upload) read(parts *multipart.Reader) error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrong("the form cannot be read: " + err.Error())
		}
		if err := u.take(part); err != nil {
			return err
		}
	}
}

// take takes a field, or a file that was chosen.
func (u *upload) take(part *multipart.Part) error {
	name := part.FormName()
	if part.FileName() == "" {
		text, err := io.ReadAll(io.LimitReader(part, maxField+1))
		if err != nil {
			return wrong("the form cannot be read: " + err.Error())
		}
		if len(text) > maxField || len(u.fields) > 32 {
			return wrong(name + ": too long; shoal submit --lines FILE takes more")
		}
		u.fields[name] = string(text)
		return nil
	}
	if len(u.sub.Files) >= maxFiles {
		return wrong(fmt.Sprintf("more than %d files: shoal submit takes more", maxFiles))
	}
	f, err := os.CreateTemp(u.dir, "part-") // never by a name that came with it
	if err != nil {
		return fmt.Errorf("keep an upload: %w", err)
	}
	if _, err := io.Copy(f, part); err != nil {
		return errors.Join(wrong("the file did not arrive: "+err.Error()), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("keep an upload: %w", err)
	}
	switch name {
	case "program":
		u.sub.Program, u.sub.Name = f.Name(), baseName(part.FileName())
	case "files":
		u.sub.Files = append(u.sub.Files, api.File{Path: f.Name(), Name: baseName(part.FileName())})
	}
	return nil
}

// baseName is the plain name of a file, as any system writes it.
func baseName(name string) string {
	return filepath.Base(name[strings.LastIndexAny(name, `/\`)+1:])
}

// submission is the job that the form asks for, and its lines where it has some.
func (u *upload) submission() (lines io.Reader, err error) {
	if u.sub.Program == "" {
		return nil, &api.Error{Code: api.CodeUsage, Message: "no program was chosen", Hint: "choose a .wasm file"}
	}
	if name := strings.TrimSpace(u.fields["name"]); name != "" {
		u.sub.Name = name
	}
	files := u.sub.Files
	u.sub.Files = nil
	switch u.fields["inputs"] {
	case "range":
		var r [2]int64
		for i, name := range []string{"from", "to"} {
			if r[i], err = strconv.ParseInt(strings.TrimSpace(u.fields[name]), 10, 64); err != nil {
				return nil, wrong("the numbers " + name + ": not a whole number")
			}
		}
		u.sub.Range = &r
	case "lines":
		text := strings.TrimSuffix(strings.ReplaceAll(u.fields["lines"], "\r\n", "\n"), "\n")
		if text == "" {
			return nil, wrong("there is no line")
		}
		u.sub.Lines, lines = true, bufio.NewReader(strings.NewReader(text+"\n"))
	case "files":
		if len(files) == 0 {
			return nil, wrong("no input file was chosen")
		}
		u.sub.Files = files
	default:
		return nil, wrong("say what the inputs are")
	}
	return lines, nil
}
