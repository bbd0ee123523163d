package web

import (
	"archive/zip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// answers sends the answers in input order, nothing between them, as a file to save.
func (s *Site) answers(w http.ResponseWriter, r *http.Request) error {
	return s.deliver(w, r, ".out", func(_ api.Result, output io.Reader) error {
		_, err := io.Copy(w, output)
		return err
	}, nil)
}

// archive sends the answers as a file for each input, in an archive that is made as it goes.
func (s *Site) archive(w http.ResponseWriter, r *http.Request) error {
	z := zip.NewWriter(w)
	return s.deliver(w, r, ".zip", func(res api.Result, output io.Reader) error {
		f, err := z.Create(fileName(res))
		if err == nil {
			_, err = io.Copy(f, output)
		}
		return err
	}, z.Close)
}

// deliver walks the answers that there are; those that failed have none. What breaks off does so
// for the browser too: it must not take a part for the whole.
func (s *Site) deliver(w http.ResponseWriter, r *http.Request, ending string, each func(api.Result, io.Reader) error, end func() error) error {
	j, err := s.node.Job(r.Context(), r.PathValue("job"))
	if err != nil {
		return err
	}
	asFile(w, words.Short(j.Job)+ending)
	err = s.node.Results(r.Context(), j.Job, api.ResultsOptions{}, func(res api.Result, output io.Reader) error {
		if res.Outcome != api.OutcomeOK {
			return nil
		}
		return each(res, output)
	})
	if err == nil && end != nil {
		err = end()
	}
	return err
}

// fileName is the name of an answer in an archive: that of its input where it has one. Archives
// are unpacked elsewhere: no name leads out of it.
func fileName(r api.Result) string {
	name := fmt.Sprintf("%d.out", r.N)
	if !r.IsPath {
		return name
	}
	var safe []string
	for part := range strings.FieldsFuncSeq(r.Name, func(c rune) bool { return c == '/' || c == '\\' }) {
		if part != "." && part != ".." {
			safe = append(safe, clean(part))
		}
	}
	if len(safe) == 0 {
		return name
	}
	return strings.Join(safe, "/")
}

// evidence sends the file that proves the answers, for shoal verify.
func (s *Site) evidence(w http.ResponseWriter, r *http.Request) error {
	j, err := s.node.Job(r.Context(), r.PathValue("job"))
	if err != nil {
		return err
	}
	asFile(w, words.Short(j.Job)+".evidence")
	return s.node.Evidence(r.Context(), j.Job, w)
}

// asFile has the browser save what comes.
func asFile(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}
