package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/internal/api"
)

// deliverTo opens the folder for a job and puts outputs into it, by name.
func deliverTo(t *testing.T, dir, job string, outputs map[string]string) error {
	t.Helper()
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.begin(job); err != nil {
		return err
	}
	for name, text := range outputs {
		if _, err := f.put(name, strings.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func isUsage(err error) bool { return err != nil && api.AsError(err).Code == api.CodeUsage }

func TestFolderTakesItsOwnBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	outputs := map[string]string{"a.txt": "a", "deep/er/b.txt": "", "name with\nline \\ end": "c"}
	for range 2 {
		if err := deliverTo(t, dir, "job", outputs); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range outputs {
		if got := read(t, filepath.Join(dir, name)); got != text {
			t.Errorf("%q: %q", name, got)
		}
	}
}

func TestFolderOverwritesNothingElse(t *testing.T) {
	tests := map[string]func(dir string) error{
		"a foreign file": func(dir string) error {
			write(t, filepath.Join(dir, "mine"), "mine")
			return deliverTo(t, dir, "job", nil)
		},
		"a foreign file below": func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
				return err
			}
			write(t, filepath.Join(dir, "sub", "mine"), "mine")
			return deliverTo(t, dir, "job", nil)
		},
		"a changed answer": func(dir string) error {
			if err := deliverTo(t, dir, "job", map[string]string{"a": "answer"}); err != nil {
				return err
			}
			write(t, filepath.Join(dir, "a"), "edited")
			return deliverTo(t, dir, "job", map[string]string{"a": "answer"})
		},
		"another job": func(dir string) error {
			if err := deliverTo(t, dir, "one", map[string]string{"a": "one"}); err != nil {
				return err
			}
			return deliverTo(t, dir, "two", map[string]string{"a": "two"})
		},
		"a file in place of the folder": func(dir string) error {
			write(t, filepath.Join(dir, "file"), "")
			return deliverTo(t, filepath.Join(dir, "file"), "job", nil)
		},
	}
	for name, test := range tests {
		if err := test(t.TempDir()); !isUsage(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Names come from the job, which may be a stranger's.
func TestFolderKeepsAnswersInside(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	if err := deliverTo(t, dir, "job", map[string]string{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/x", "a/../../x", "", ".", manifestName, partPrefix + "x"} {
		if err := deliverTo(t, dir, "job", map[string]string{name: "bad"}); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := deliverTo(t, dir, "job", map[string]string{"link/x": "bad"}); err == nil {
		t.Error("a link led outside")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// A crash may leave a part, a line without its file, and half a line.
func TestFolderAfterACrash(t *testing.T) {
	dir := t.TempDir()
	if err := deliverTo(t, dir, "job", map[string]string{"a": "a"}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, partPrefix+"x"), "half")
	list := read(t, filepath.Join(dir, manifestName))
	write(t, filepath.Join(dir, manifestName), list+formatSum(strings.Repeat("0", 64), "b")+"\n0123")
	if err := deliverTo(t, dir, "job", map[string]string{"a": "a", "b": "b"}); err != nil {
		t.Fatal(err)
	}
	if err := deliverTo(t, dir, "job", map[string]string{"b": "b"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, partPrefix+"x")); !os.IsNotExist(err) {
		t.Errorf("the part is still there: %v", err)
	}
}

func TestFolderShowsNoHalfAnswer(t *testing.T) {
	dir := t.TempDir()
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := f.begin("job"); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the node ended")
	if _, err := f.put("a", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != manifestName {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestSumLinesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(1, 50, -1).Draw(t, "name")
		sum := strings.Repeat("ab", 32)
		line := formatSum(sum, name)
		gotSum, gotName, ok := parseSum(line)
		if !ok || gotSum != sum || gotName != name || strings.ContainsAny(line, "\n\r") {
			t.Fatalf("%q: %q, %q, %t", line, gotSum, gotName, ok)
		}
	})
}
