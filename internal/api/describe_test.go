package api

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testServer() *Server {
	s := NewServer(&bench{
		job:    func(string) (*Job, error) { return sampleJob(), nil },
		submit: func(Submission, io.Reader) (*Submitted, error) { return &Submitted{Job: "b5f3"}, nil },
	}, slog.New(slog.DiscardHandler))
	return s
}

// openAPIFile is the document for those who have no node at hand.
var openAPIFile = filepath.Join("..", "..", "docs", "openapi.json")

func TestOpenAPIFile(t *testing.T) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(testServer().describe()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(openAPIFile, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, text.Bytes()) {
		t.Errorf("%s tells of another API: go test ./internal/api -run OpenAPI -update", openAPIFile)
	}
}

// documented is the document as a stranger reads it: as JSON, from the node.
func documented(t *testing.T, h http.Handler) (doc struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Responses   map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
},
) {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	if err := json.Unmarshal(answer.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %q", doc.OpenAPI)
	}
	return doc
}

// Every operation of the document is a route, and what it gives is as the document says.
func TestDocumentedRoutesAreThere(t *testing.T) {
	s := testServer()
	h := s.Handler()
	doc := documented(t, h)
	server := httptest.NewServer(h)
	defer server.Close()
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if ids[op.OperationID] {
				t.Errorf("%s is the name of two operations", op.OperationID)
			}
			ids[op.OperationID] = true
			given, ok := op.Responses["200"].Content["application/json"]
			if !ok && op.Responses["200"].Content != nil {
				continue // a stream
			}
			r, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), server.URL+strings.ReplaceAll(path, "{job}", "b5f3"), strings.NewReader("{}\n"))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			switch {
			case path == "/api/v1/page" && answer.StatusCode == http.StatusUnprocessableEntity: // no page behind this server
			case !ok && answer.StatusCode != http.StatusNoContent:
				t.Errorf("%s %s: %s", method, path, answer.Status)
			case ok:
				var v any
				if err := json.NewDecoder(answer.Body).Decode(&v); err != nil || answer.StatusCode != http.StatusOK {
					t.Errorf("%s %s: %s, %v", method, path, answer.Status, err)
				}
				for _, problem := range misfits(doc.Components.Schemas, given.Schema, v, "") {
					t.Errorf("%s %s: %s", method, path, problem)
				}
			}
		}
	}
	if len(ids) < 15 {
		t.Errorf("only %d operations", len(ids))
	}
}

// misfits says where a value is not as a schema says: a small validator of the words that the
// document uses.
func misfits(all map[string]map[string]any, schema map[string]any, v any, at string) (out []string) {
	if ref, ok := schema["$ref"].(string); ok {
		return misfits(all, all[strings.TrimPrefix(ref, "#/components/schemas/")], v, at)
	}
	if choice, ok := schema["anyOf"].([]any); ok {
		for _, one := range choice {
			if len(misfits(all, one.(map[string]any), v, at)) == 0 {
				return nil
			}
		}
		return []string{at + " is none of what it may be"}
	}
	kind := schema["type"]
	is := map[any]bool{"null": v == nil}
	switch x := v.(type) {
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, x == float64(int64(x))
	case []any:
		is["array"] = true
		if items, ok := schema["items"].(map[string]any); ok {
			for _, item := range x {
				out = append(out, misfits(all, items, item, at+"[]")...)
			}
		}
	case map[string]any:
		is["object"] = true
		fields, closed := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := x[name.(string)]; !ok {
				out = append(out, at+"."+name.(string)+" is missing")
			}
		}
		for name, value := range x {
			field, ok := fields[name].(map[string]any)
			if !ok && closed {
				out = append(out, at+"."+name+" is not documented")
			} else if ok {
				out = append(out, misfits(all, field, value, at+"."+name)...)
			}
		}
	}
	if !is[kind] {
		out = append(out, at+" is no "+kind.(string))
	}
	return out
}

// Every path that a server answers is in the document: no method of any other path near the
// documented ones gets in.
func TestNoOtherRoutes(t *testing.T) {
	s := testServer()
	h, guarded := s.Handler(), s.Guarded()
	doc := documented(t, h)
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	for path := range doc.Paths {
		at := strings.ReplaceAll(path, "{job}", "b5f3")
		for _, method := range methods {
			_, told := doc.Paths[path][strings.ToLower(method)]
			mux := h.(*http.ServeMux)
			_, pattern := mux.Handler(httptest.NewRequest(method, at, nil))
			if told != (pattern != "") {
				t.Errorf("%s %s: documented %v, served by %q", method, path, told, pattern)
			}
		}
	}
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v1/", "/api/v2/status", "/api/v1/status/", "/api/v1/jobs/b5f3/", "/api/v1/jobs/b5f3/nothing", "/api/v1/donate/start", "/metrics"} {
		for _, method := range methods {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
			if answer.Code != http.StatusNotFound && answer.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status %d", method, path, answer.Code)
			}
		}
	}
	for _, path := range []string{"/api/v1/health", "/debug/pprof/", "/debug/pprof/heap", "/api/v1/page"} {
		method := "GET"
		if strings.HasSuffix(path, "page") {
			method = "POST"
		}
		for where, c := range map[string]struct {
			http.Handler
			want []int
		}{"the socket": {h, []int{200, 422}}, "a browser": {guarded, []int{404}}} {
			answer := httptest.NewRecorder()
			c.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
			if !slices.Contains(c.want, answer.Code) {
				t.Errorf("%s from %s: status %d", path, where, answer.Code)
			}
		}
	}
}
