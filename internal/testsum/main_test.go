package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// sources is packages that end in every way a package can.
var sources = map[string]string{
	"go.mod":           "module example\n\ngo 1.26\n",
	"good/a_test.go":   "package good\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}); println(\"noise\") }\n",
	"skips/a_test.go":  "package skips\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Skip(\"no chromium here\") }\nfunc TestB(t *testing.T) { t.SkipNow() }\nfunc TestC(t *testing.T) { t.Skip() }\n",
	"fails/a_test.go":  "package fails\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Error(\"one is not two\") }\nfunc TestB(*testing.T) {}\n",
	"panics/a_test.go": "package panics\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(*testing.M) { println(\"dead\"); os.Exit(3) }\nfunc TestA(*testing.T) {}\n",
	"broken/a_test.go": "package broken\n\nvar x int = \"text\"\n",
	"none/a.go":        "package none\n",
}

// runGoTest runs go test -json on the named packages of the sources.
func runGoTest(t *testing.T, packages ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range sources {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, packages...)...)
	cmd.Dir = dir
	out, err := cmd.Output() // its exit code says that tests failed, which is the point
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return string(out)
}

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		packages []string
		failed   bool
		last     string
		says     []string
	}{
		{[]string{"./good", "./none"}, false, "2 passed, 0 failed, 0 skipped", []string{"ok    example/good"}},
		{[]string{"./skips"}, false, "0 passed, 0 failed, 3 skipped", []string{
			"example/skips.TestA: no chromium here", "example/skips.TestB: no reason given", "example/skips.TestC: no reason given",
		}},
		{[]string{"./fails", "./good"}, true, "3 passed, 1 failed, 0 skipped", []string{"one is not two", "FAIL  example/fails"}},
		{[]string{"./panics"}, true, "0 passed, 1 failed, 0 skipped", []string{"dead", "FAIL  example/panics"}},
		{[]string{"./broken", "./good"}, true, "2 passed, 1 failed, 0 skipped", []string{
			"cannot use", "FAIL  example/broken 0.0s [build failed]",
		}},
	} {
		t.Run(strings.Join(c.packages, " "), func(t *testing.T) {
			var out strings.Builder
			failed, err := summarize(strings.NewReader(runGoTest(t, c.packages...)), &out, nil, nil)
			if err != nil || failed != c.failed {
				t.Errorf("failed %v, %v; want %v", failed, err, c.failed)
			}
			if !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
				t.Errorf("the last line is not %q:\n%s", c.last, &out)
			}
			for _, text := range c.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not said:\n%s", text, &out)
				}
			}
			if strings.Contains(out.String(), "noise") {
				t.Errorf("the output of what passed is shown:\n%s", &out)
			}
		})
	}
}

func TestStreamThatBreaksOff(t *testing.T) {
	started := `{"Action":"start","Package":"p"}` + "\n" + "not an event\n"
	var out strings.Builder
	if failed, err := summarize(strings.NewReader(started), &out, nil, nil); err != nil || !failed {
		t.Errorf("failed %v, %v", failed, err)
	}
	if want := "not an event\n\np did not end\n\n0 passed, 1 failed, 0 skipped\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	broken := errors.New("broken pipe")
	if failed, err := summarize(iotest.ErrReader(broken), &out, nil, nil); !errors.Is(err, broken) || !failed {
		t.Errorf("failed %v, %v", failed, err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	s := &summary{output: map[string][]string{}}
	for i := range 10 * keep / 1000 {
		s.remember("k", fmt.Sprintf("%0999d\n", i))
	}
	kept := strings.Join(s.output["k"], "")
	if len(kept) > keep || !strings.HasSuffix(kept, fmt.Sprintf("%d\n", 10*keep/1000-1)) {
		t.Errorf("%d bytes kept, ending in %q", len(kept), kept[len(kept)-9:])
	}
}
