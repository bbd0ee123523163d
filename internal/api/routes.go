package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
)

// route is one way into the API, with what its document says of it.
type route struct {
	method, path string
	does         string // in a few words
	serve        func(http.ResponseWriter, *http.Request) error

	query  []parameter
	takes  any    // a body like this one; nil: none
	gives  any    // an answer like this one; nil: none
	stream string // the kind of an answer that is no one document
	local  bool   // on the socket only
}

// parameter is one of the query.
type parameter struct {
	name, does string
	number     bool // whole; else it is there or not
}

// the body and the answer of a request for the page.
type pageRequest struct {
	Port int `json:"port"` // 0: any
}

// the body of a request to tell donors something.
type notifyRequest struct {
	Job  string `json:"job"` // that it is about; "": none in particular
	Text string `json:"text"`
}

// Blob names bytes that a job needs.
type Blob struct {
	Shard  uint32 `json:"shard"` // whose keepers have it
	Digest string `json:"digest"`
	Size   uint64 `json:"size"` // in bytes
}

// Page is where a browser gets in, once and soon.
type Page struct {
	Schema string `json:"schema"` // PageSchema
	Link   string `json:"link"`
}

// MarshalJSON names the schema.
func (p Page) MarshalJSON() ([]byte, error) {
	type plain Page
	p.Schema = PageSchema
	return json.Marshal(plain(p))
}

// Health says that the node answers.
type Health struct {
	OK bool `json:"ok"`
}

const base = "/api/v1"

// routes is all that the API can do.
func (s *Server) routes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "/status", does: "the node at a glance", serve: ask(s.node.Status), gives: Status{}},
		{method: get, path: "/id", does: "the node's name, and where others reach it", serve: ask(s.node.ID), gives: ID{}},
		{method: get, path: "/peers", does: "the nodes this one is connected with", serve: ask(s.node.Peers), gives: []Peer{}},
		{method: get, path: "/credit", does: "what the node did for others, by its own account, and what others earned from its own jobs", serve: ask(s.node.Credit), gives: Credit{}},
		{method: get, path: "/whose", does: "whose work the node runs, and the names that it has heard", serve: ask(s.node.Whose), gives: Whose{}},
		{method: get, path: "/notices", does: "what submitters say that the node works for, or follows, the newest first", serve: ask(s.node.Notices), gives: []Notice{}},
		{method: post, path: "/notices", does: "tell those who work for this node's jobs, or follow it, something", serve: s.notify, takes: notifyRequest{}},
		{method: get, path: "/events", does: "what changes in the node: a status document first, then status and job documents as server-sent events; Last-Event-ID goes on from there", serve: s.events, stream: eventStream},
		{method: get, path: "/openapi.json", does: "this document", serve: s.openAPI, gives: map[string]any{}},

		{method: get, path: "/jobs", does: "the jobs of this node, the newest first", serve: ask(s.node.Jobs), gives: []Job{}},
		{method: post, path: "/jobs", does: "submit a job: the submission as one line, then, where it says so, its lines", serve: s.submit, takes: Submission{}, gives: Submitted{}},
		{method: get, path: "/submitting", does: "the submissions that are under way, by the tags they gave", serve: ask(s.node.Submitting), gives: []Submitting{}},
		{method: get, path: "/jobs/{job}", does: "how far a job is", serve: s.job, gives: Job{}},
		{method: get, path: "/jobs/{job}/explain", does: "why a job is where it is, the weightiest reason first, each with something to try", serve: s.explain, gives: Explanation{}},
		{method: get, path: "/jobs/{job}/detail", does: "a job as the page shows it: its units as a map, its pace, its donors, its failures", serve: s.detail, query: []parameter{{"cells", "of the map, at most", true}}, gives: Detail{}},
		{method: get, path: "/jobs/{job}/watch", does: "a reading a line, whenever it has changed, until the job is final", serve: s.watch, stream: "application/jsonl"},
		{
			method: get, path: "/jobs/{job}/results", does: "the answers in input order: each a Result as a line, then as many bytes as it says", serve: s.results, stream: "application/octet-stream",
			query: []parameter{
				{"follow", "wait for those that are still open", false}, {"keep", "hold a copy here beyond the closing of the job", false},
				{"provisional", "also answers that are not final yet, marked", false},
				{"logs", "standard error also of inputs that did not fail", false}, {"input", "only this one, from 1", true},
			},
		},
		{method: get, path: "/jobs/{job}/evidence", does: "the records that prove the answers there are, for shoal verify", serve: s.evidence, stream: "application/cbor-seq"},
		{method: post, path: "/jobs/{job}/blobs", does: "hold a blob of a job, named by its full id, here for an hour, for shoal verify", serve: s.fetch, takes: Blob{}, local: true},
		{method: post, path: "/jobs/{job}/cancel", does: "close a job of this node's own", serve: s.cancel},
		{method: post, path: "/jobs/{job}/offer", does: "let the grid work on a job that was begun alone", serve: s.offer},

		{method: post, path: "/donate", does: "turn donating on, or change what is donated", serve: s.donate, takes: Donation{}},
		{method: post, path: "/donate/pause", does: "stop donating for a time; 0 or nothing: until resume", serve: s.pause, takes: pauseRequest{}},
		{method: post, path: "/donate/reload", does: "take up the settings of the home's file that count without a restart", serve: act(s.node.Reload)},
		{method: post, path: "/donate/resume", does: "end a pause", serve: act(s.node.Resume)},
		{method: post, path: "/donate/finish", does: "end what is running, take nothing new, then stop donating", serve: act(s.node.Finish)},

		{method: get, path: "/settings", does: "the settings as they count now", serve: ask(s.node.Settings), gives: []Setting{}},
		{method: post, path: "/settings", does: "write settings that say what is lent, by name, into the home's file, and take them up", serve: s.set, takes: map[string]string{}},

		{method: get, path: "/health", does: "whether the node answers", serve: ask(s.health), gives: Health{}, local: true},
		{method: post, path: "/page", does: "open the page for a browser, and give a link that lets one in", serve: s.page, takes: pageRequest{}, gives: Page{}, local: true},
	}
}

// Handler is all routes, for the socket.
func (s *Server) Handler() http.Handler {
	mux := s.mux(true)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Guarded is the routes for behind a door, where a browser may come: not those that tell about
// the process, or let others in.
func (s *Server) Guarded() http.Handler { return s.mux(false) }

func (s *Server) mux(local bool) *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		if local || !r.local {
			mux.HandleFunc(r.method+" "+base+r.path, s.answer(r.serve))
		}
	}
	return mux
}

// ask serves what the node says.
func ask[T any](say func(context.Context) (T, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error { return reply(w, r, say) }
}

// act serves what the node does.
func act(do func(context.Context) error) func(http.ResponseWriter, *http.Request) error {
	return func(_ http.ResponseWriter, r *http.Request) error { return do(r.Context()) }
}

func (s *Server) health(context.Context) (Health, error) { return Health{OK: true}, nil }

func (s *Server) job(w http.ResponseWriter, r *http.Request) error {
	return reply(w, r, func(ctx context.Context) (*Job, error) { return s.node.Job(ctx, r.PathValue("job")) })
}

func (s *Server) detail(w http.ResponseWriter, r *http.Request) error {
	cells, err := wholeNumber(r.URL.Query(), "cells", DefaultCells)
	if err != nil {
		return err
	}
	return reply(w, r, func(ctx context.Context) (*Detail, error) {
		return s.node.Detail(ctx, r.PathValue("job"), int(min(cells, MaxCells)))
	})
}

func (s *Server) cancel(_ http.ResponseWriter, r *http.Request) error {
	return s.node.Cancel(r.Context(), r.PathValue("job"))
}

func (s *Server) offer(_ http.ResponseWriter, r *http.Request) error {
	return s.node.Offer(r.Context(), r.PathValue("job"))
}

func (s *Server) donate(w http.ResponseWriter, r *http.Request) error {
	var d Donation
	if err := receive(w, r, &d); err != nil {
		return err
	}
	return s.node.Donate(r.Context(), d)
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request) error {
	var p pauseRequest
	if err := receive(w, r, &p); err != nil {
		return err
	}
	return s.node.Pause(r.Context(), p.For)
}

func (s *Server) set(w http.ResponseWriter, r *http.Request) error {
	values := map[string]string{}
	if err := receive(w, r, &values); err != nil {
		return err
	}
	return s.node.Set(r.Context(), values)
}

func (s *Server) notify(w http.ResponseWriter, r *http.Request) error {
	var n notifyRequest
	if err := receive(w, r, &n); err != nil {
		return err
	}
	return s.node.Notify(r.Context(), n.Job, n.Text)
}

func (s *Server) fetch(w http.ResponseWriter, r *http.Request) error {
	var b Blob
	if err := receive(w, r, &b); err != nil {
		return err
	}
	return s.node.Fetch(r.Context(), r.PathValue("job"), b)
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	var p pageRequest
	if err := receive(w, r, &p); err != nil {
		return err
	}
	if s.Page == nil {
		return &Error{Code: CodeRefused, Message: "this node has no page"}
	}
	return reply(w, r, func(ctx context.Context) (*Page, error) {
		link, err := s.Page(ctx, p.Port)
		return &Page{Link: link}, err
	})
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(s.describe())
}
