package whole_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/shoalgrid/shoal/internal/whole"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "peers")
	for _, c := range []struct {
		text string
		mode fs.FileMode
	}{{"first\n", 0o644}, {"second, and longer\n", 0o600}, {"", 0o644}} {
		if err := whole.Write(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.text {
			t.Errorf("%q, not %q (%v)", got, c.text, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode() != c.mode {
			t.Errorf("mode %v, not %v", info.Mode(), c.mode)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

// What cannot be replaced stays as it is, with nothing beside it.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := whole.Write(path, []byte("text"), 0o600); err == nil {
		t.Error("replaced a folder")
	}
	if err := whole.Write(filepath.Join(dir, "none", "file"), []byte("text"), 0o600); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}
