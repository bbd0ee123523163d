// Package web is the page that a browser shows of a node: what shoal ui opens. It is plain HTML
// made here, that works without a script; where there is one the parts of a page that have
// changed are sent again, as server-sent events, while it is open. It knows what the API says,
// and nothing else, and stands behind a door that lets in one browser at a time.
package web

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

//go:embed pages static
var files embed.FS

// Config is what a site shows.
type Config struct {
	Node   api.Node
	Feed   *api.Feed    // what changes in it
	API    http.Handler // the routes under /api/, for the browser's session
	Temp   string       // a folder for what is uploaded; it need not exist
	Logger *slog.Logger
}

// Site serves the pages.
type Site struct {
	cfg   Config
	node  api.Node
	pages *template.Template
}

// New makes a site. What a process that was killed had been sent is removed.
func New(cfg Config) *Site {
	sweep(cfg.Temp)
	pages := template.New("").Funcs(vocabulary())
	return &Site{cfg: cfg, node: cfg.Node, pages: template.Must(pages.ParseFS(files, "pages/*.html"))}
}

// Handler is all pages.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                    s.show("overview", s.overview),
		"GET /live":                   s.follow("overview", s.overview),
		"GET /donate":                 s.show("donate", s.donating),
		"GET /donate/live":            s.follow("donate", s.donating),
		"GET /submit":                 s.show("submit", s.submitting),
		"GET /jobs/{job}":             s.show("job", s.job),
		"GET /jobs/{job}/live":        s.watch,
		"GET /jobs/{job}/answers":     s.answers,
		"GET /jobs/{job}/answers.zip": s.archive,
		"GET /jobs/{job}/evidence":    s.evidence,
		"POST /jobs/{job}/cancel":     s.cancel,
		"POST /donate/start":          s.start,
		"POST /donate/limits":         s.limits,
		"POST /donate/pause":          s.pause,
		"POST /donate/resume":         s.resume,
		"POST /donate/finish":         s.finish,
		"POST /donate/whose":          s.choose,
		"POST /submit":                s.submit,
		"GET /static/{file}":          static,
	} {
		mux.HandleFunc(pattern, s.answer(h))
	}
	mux.Handle("/api/", s.cfg.API)
	mux.HandleFunc("/", s.answer(func(http.ResponseWriter, *http.Request) error {
		return &api.Error{Code: api.CodeNotFound, Message: "there is no such page"}
	}))
	return mux
}

// static serves the style, the scripts and the icon.
func static(w http.ResponseWriter, r *http.Request) error {
	name := path.Join("static", path.Base(r.PathValue("file")))
	text, err := files.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &api.Error{Code: api.CodeNotFound, Message: "there is no such file"}
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	return err
}

// page is what every template gets.
type page struct {
	Name   string // of the template
	Title  string
	Node   api.NodeStatus
	Live   string // where its news come from; "" where there are none
	Notice string
	Parts  []string // templates of what changes
	Final  bool     // nothing of it will change again
	Data   any
}

// maker makes a page for a request.
type maker func(r *http.Request) (*page, error)

// show serves a page whole.
func (s *Site) show(name string, make maker) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := make(r)
		if err != nil {
			return err
		}
		if p.Node.Peer == "" {
			status, err := s.node.Status(r.Context())
			if err != nil {
				return err
			}
			p.Node = status.Node
		}
		p.Name, p.Notice = name, notices()[r.URL.Query().Get("said")]
		return s.write(w, http.StatusOK, p)
	}
}

func (s *Site) write(w http.ResponseWriter, status int, p *page) error {
	var text bytes.Buffer
	if err := s.pages.ExecuteTemplate(&text, "page", p); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text.Bytes()) // fails only when nobody listens
	return nil
}

// answer sends the error that h returns: as a sentence to the page's own script, else as a page.
func (s *Site) answer(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := api.NewAnswering(w)
		err := h(out, r)
		switch {
		case err == nil:
		case r.Context().Err() != nil || out.Begun():
			panic(http.ErrAbortHandler) // the cut connection says that something is missing
		default:
			s.fail(w, r, err)
		}
	}
}

func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := api.AsError(err)
	status, title := http.StatusUnprocessableEntity, "That was not done"
	switch e.Code {
	case api.CodeNotFound:
		status, title = http.StatusNotFound, "Not found"
	case api.CodeUnexpected:
		status = http.StatusInternalServerError
		s.cfg.Logger.Warn("a page could not be made", "path", r.URL.Path, "error", err)
	}
	if fromScript(r) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		template.HTMLEscape(w, []byte(sentence(e.Message, e.Hint)))
		return
	}
	if s.write(w, status, &page{Name: "error", Title: title, Data: e}) != nil {
		http.Error(w, e.Message, status)
	}
}

// fromScript reports whether the page's script has sent a request, and shows what comes.
func fromScript(r *http.Request) bool { return r.Header.Get("Hx-Request") == "true" }

// said answers a wish that was granted: with a sentence for the script, else with the page that
// it came from and the sentence on it.
func said(w http.ResponseWriter, r *http.Request, back, key string) error {
	if !fromScript(r) {
		http.Redirect(w, r, back+"?said="+key, http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	template.HTMLEscape(w, []byte(notices()[key]))
	return nil
}
