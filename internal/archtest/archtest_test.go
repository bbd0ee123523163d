package archtest

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file: commit only a diff you understand")

func TestArchitecture(t *testing.T) {
	pkgs, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range pkgs {
		found[p.path] = true
	}
	for _, must := range []string{"jobs", "scheduler", "internal/store", "internal/archtest"} {
		if !found[must] {
			t.Errorf("package %s was not found: is the root right?", must)
		}
	}
	for _, breach := range check(pkgs) {
		t.Error(breach)
	}
}

// The planted tree breaks every rule at least once, and keeps some in ways that look like
// breaking them.
func TestPlantedBreachesAreFound(t *testing.T) {
	pkgs, err := load("testdata/planted")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(check(pkgs), "\n") + "\n"
	golden := filepath.Join("testdata", "planted.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("found:\n%s\nwant:\n%s", got, want)
	}
}

// A row that covers nothing, or that a row before it hides, would be believed and do nothing; so would
// a permission that nobody uses.
func TestNoRuleIsDead(t *testing.T) {
	pkgs, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	table := rooms()
	for i, r := range table {
		imports := map[string]bool{}
		used := false
		for _, p := range pkgs {
			if first := slices.IndexFunc(table, func(r room) bool { return r.covers(p.path) }); first != i {
				continue
			}
			used = true
			for _, f := range p.files {
				for _, imp := range f.ast.Imports {
					path, err := strconv.Unquote(imp.Path.Value)
					if err != nil {
						t.Fatal(err)
					}
					imports[strings.TrimPrefix(path, module+"/")] = true
				}
			}
		}
		if !used {
			t.Errorf("room %s is nobody's", r.path)
		}
		for _, m := range r.may {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(imports)), room{may: []string{m}}.mayImport) {
				t.Errorf("room %s may import %s, and does not", r.path, m)
			}
		}
	}
}

// docs/flow.md leads a newcomer through the code by names of files and of what they declare.
func TestTheFlowNamesWhatThereIs(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs", "flow.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([\\w/]+\\.go)`(?: `(\\w+)`)?").FindAllStringSubmatch(string(text), -1)
	if len(named) < 40 {
		t.Errorf("only %d places are named: does the page look otherwise?", len(named))
	}
	for _, place := range named {
		file, name := place[1], place[2]
		code, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Errorf("the flow names %s: %v", file, err)
			continue
		}
		if name != "" && !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )`+name+`\b`).Match(code) {
			t.Errorf("the flow names %s in %s, which does not declare it", name, file)
		}
	}
}

func TestEveryRuleHasAReason(t *testing.T) {
	for _, r := range rooms() {
		if r.why == "" || r.path == "" {
			t.Errorf("room %+v", r)
		}
	}
	for _, d := range doors() {
		if d.why == "" || d.room == "" || len(d.modules) == 0 {
			t.Errorf("door %+v", d)
		}
	}
}
