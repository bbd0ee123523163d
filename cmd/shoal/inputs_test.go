package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
)

func TestInputNames(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"work/texts/a.txt", "work/texts/b.txt", "work/[x].txt", "far/x/a.txt", "far/y/a.txt", "far/y/z/c.txt"} {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, f)
	}
	t.Chdir(filepath.Join(dir, "work"))
	for name, test := range map[string]struct{ given, want []string }{
		"inside":       {[]string{"texts/a.txt", "./texts/../texts/b.txt"}, []string{"texts/a.txt", "texts/b.txt"}},
		"globs":        {[]string{"texts/*.txt"}, []string{"texts/a.txt", "texts/b.txt"}},
		"no glob":      {[]string{"[x].txt"}, []string{"[x].txt"}},
		"absolute one": {[]string{filepath.Join(dir, "far/x/a.txt")}, []string{"a.txt"}},
		"outside":      {[]string{"../far/x/a.txt", "../far/y/a.txt", "../far/y/z/c.txt"}, []string{"x/a.txt", "y/a.txt", "y/z/c.txt"}},
		"both":         {[]string{"texts/a.txt", "../far/x/a.txt"}, []string{"texts/a.txt", "a.txt"}},
	} {
		files, err := inputFiles(test.given)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Name)
			if _, err := os.Stat(f.Path); err != nil || !filepath.IsAbs(f.Path) {
				t.Errorf("%s: path %s: %v", name, f.Path, err)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// However inputs are given, what the grid sees are relative paths of nothing but the names
// below a common folder.
func TestInputNamesStayInside(t *testing.T) {
	segment := rapid.StringMatching(`[a-c]{1,2}|\.\.|\.`)
	rapid.Check(t, func(t *rapid.T) {
		var files []api.File
		for range rapid.IntRange(1, 6).Draw(t, "files") {
			path := strings.Join(rapid.SliceOfN(segment, 1, 5).Draw(t, "path"), "/") + "/f"
			if rapid.Bool().Draw(t, "absolute") {
				path = "/" + path
			}
			whole, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, api.File{Path: whole, Name: path})
		}
		nameInputs(files)
		for _, f := range files {
			if err := jobs.ValidPath(f.Name); err != nil || !strings.HasSuffix(f.Path, f.Name) {
				t.Fatalf("%s is called %q: %v", f.Path, f.Name, err)
			}
		}
	})
}

func TestNamesThatCollide(t *testing.T) {
	for name, names := range map[string][]string{
		"the same":          {"a", "b", "a"},
		"a file and folder": {"a/b/c", "x", "a/b"},
		"no path":           {"a\\b"},
	} {
		var files []api.File
		for _, n := range names {
			files = append(files, api.File{Path: "/" + n, Name: n})
		}
		if err := checkNames(files); !isUsage(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "14d": 14 * 24 * time.Hour, "0.5d": 12 * time.Hour, "1500ms": 1500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "d", "-1h", "0s", "1w", "1e9d", "999999999d", "10 s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := durationValue{time.Duration(rapid.Int64Range(1, 1<<60).Draw(t, "d"))}
		if got, err := parseDuration(d.String()); err != nil || got != d.Duration {
			t.Fatalf("%v is written %s, read %v, %v", d.Duration, d.String(), got, err)
		}
	})
}

// distance is checked against the definition, slow as it is.
func TestDistance(t *testing.T) {
	var slow func(a, b string) int
	slow = func(a, b string) int {
		switch {
		case a == "" || b == "":
			return len(a) + len(b)
		case a[0] == b[0]:
			return slow(a[1:], b[1:])
		}
		least := min(slow(a[1:], b), slow(a, b[1:]), slow(a[1:], b[1:]))
		if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
			least = min(least, slow(a[2:], b[2:]))
		}
		return 1 + least
	}
	word := rapid.StringMatching(`[abc]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := distance(a, b), slow(a, b); got != want {
			t.Fatalf("%q, %q: %d, not %d", a, b, got, want)
		}
	})
}

// Every command begins with an example of itself and says what its arguments are; every
// argument and every flag has its own completion, so that none offers files by mistake.
func TestEveryCommandExplainsItself(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Runnable() && cmd.Name() != "help" && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		if cmd.Runnable() && cmd.Args == nil && cmd.Name() != "help" {
			t.Errorf("%s takes any arguments", cmd.CommandPath())
		}
		if first, _, _ := strings.Cut(cmd.Example, "\n"); first != "" && cmd.HasParent() && !strings.Contains(first, cmd.CommandPath()) {
			t.Errorf("%s: its first example is of something else: %s", cmd.CommandPath(), first)
		}
		if cmd.Runnable() && cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil && !strings.Contains(cmd.Use, "FILE") {
			t.Errorf("%s offers files for its arguments", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, ok := cmd.GetFlagCompletionFunc(f.Name); !ok && f.Value.Type() != "bool" && f.Name != "help" {
				t.Errorf("%s --%s offers files", cmd.CommandPath(), f.Name)
			}
			if f.Usage == "" {
				t.Errorf("%s --%s says nothing", cmd.CommandPath(), f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newProgram(nil, nil, nil, nil).root())
}
