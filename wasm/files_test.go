package wasm_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// archive is a tar archive of the files given by name and content.
func archive(t *testing.T, namesAndContents ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for pair := range slices.Chunk(namesAndContents, 2) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: pair[0], Mode: 0o644, Size: int64(len(pair[1]))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGuestSeesItsFilesAndNoOthers(t *testing.T) {
	dir := t.TempDir()
	data := []wasm.File{
		{Name: "words", Path: write(t, filepath.Join(dir, "d1"), "some words")},
		{Name: "a.bin", Path: write(t, filepath.Join(dir, "d2"), "\x00\x01")},
	}
	input := &wasm.File{Name: "photo.raw", Path: write(t, filepath.Join(dir, "photo-on-host"), "pixels")}
	g := start(t, wasm.Spec{Program: program(t, goGuest(t, "tool")), Data: data, Limits: wasm.Limits{Memory: 64 << 20, Output: 100 << 10}})
	tree := `/ drwx------ 0 1640995200
/data drwx------ 0 1640995200
/data/a.bin -rw------- 2 1640995200
/data/words -rw------- 10 1640995200
/in drwx------ 0 1640995200
/in/photo.raw -rw------- 6 1640995200
/out drwx------ 0 1640995200
/tmp drwx------ 0 1640995200
`
	for _, c := range []struct {
		name, args string
		file       *wasm.File
		outcome    jobs.Outcome
		out        string
	}{
		{"list", "list", input, jobs.OK, tree},
		{"read", "read /in/photo.raw /data/words", input, jobs.OK, "pixelssome words"},
		{"no input file", "read /in/photo.raw", nil, jobs.Exit, ""},
		{"no host files", "read /etc/passwd", nil, jobs.Exit, ""},
		{"no way up", "read /in/../../../../etc/passwd", nil, jobs.Exit, ""},
		{
			"read-only", "write /in/photo.raw /data/words /data/new /new /tmp/new text", input, jobs.OK,
			"/in/photo.raw open /in/photo.raw: Read-only file system pixels <nil>\n" +
				"/data/words open /data/words: Read-only file system some words <nil>\n" +
				"/data/new open /data/new: Read-only file system  open /data/new: No such file or directory\n" +
				"/new open /new: Read-only file system  open /new: No such file or directory\n" +
				"/tmp/new <nil> text <nil>\n",
		},
		{"scratch", "churn", nil, jobs.OK, `"999\n" "0\n1\n2\n" "0\n1\n2\nappended"` + "\n" +
			"remove /tmp/a: Directory not empty <nil>\n[- moved]\n"},
		{
			"delivered", "write /out/b /out/a text", nil, jobs.OK,
			"/out/b <nil> text <nil>\n/out/a <nil> text <nil>\n" + archive(t, "a", "text", "b", "text"),
		},
		{
			"delivered in folders", "deliver 3", nil, jobs.OK,
			archive(t, "0/"+strings.Repeat("name", 40), "", "1/"+strings.Repeat("name", 40), "x", "2/"+strings.Repeat("name", 40), "xx"),
		},
		{"too much delivered", "deliver 1000", nil, jobs.OutputLimit, "*"},
		{"nothing is delivered by a failure", "deliver-and-fail", nil, jobs.Exit, ""},
		{"nothing is left", "list", input, jobs.OK, tree},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, out := run(t, g, wasm.Input{Args: strings.Fields(c.args), File: c.file})
			if r.Outcome != c.outcome || c.out != "*" && out != c.out {
				t.Errorf("outcome %v (%s), output:\n%s\nwant %v:\n%s", r.Outcome, r.Stderr, out, c.outcome, c.out)
			}
		})
	}
}
