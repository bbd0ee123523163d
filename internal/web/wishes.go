package web

import (
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// maxForm bounds a form without files.
const maxForm = 64 << 10

// form reads a small form.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		return nil, wrong("this form has no files")
	}
	if err := r.ParseForm(); err != nil {
		return nil, wrong("the form cannot be read: " + err.Error())
	}
	return r.PostForm, nil
}

func wrong(message string) error { return &api.Error{Code: api.CodeUsage, Message: message} }

// number is a whole number of a form; "" is 0.
func number(v url.Values, name string) (uint64, error) {
	text := v.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		return 0, wrong(name + ": not a whole number from 0")
	}
	return n, nil
}

func (s *Site) cancel(w http.ResponseWriter, r *http.Request) error {
	ref := r.PathValue("job")
	if err := s.node.Cancel(r.Context(), ref); err != nil {
		return err
	}
	return said(w, r, "/jobs/"+url.PathEscape(ref), "cancelled")
}

func (s *Site) start(w http.ResponseWriter, r *http.Request) error {
	if err := s.node.Donate(r.Context(), api.Donation{}); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", "started")
}

func (s *Site) pause(w http.ResponseWriter, r *http.Request) error {
	v, err := form(w, r)
	if err != nil {
		return err
	}
	minutes, err := number(v, "minutes")
	if err != nil {
		return err
	}
	if err := s.node.Pause(r.Context(), time.Duration(minutes)*time.Minute); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", "paused")
}

func (s *Site) resume(w http.ResponseWriter, r *http.Request) error {
	if err := s.node.Resume(r.Context()); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", "resumed")
}

func (s *Site) finish(w http.ResponseWriter, r *http.Request) error {
	if err := s.node.Finish(r.Context()); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", "finishing")
}

// multipartOf reads a form with files part by part, as it comes.
func multipartOf(w http.ResponseWriter, r *http.Request) (*multipart.Reader, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, wrong("the form cannot be read: " + err.Error())
	}
	return parts, nil
}
