package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// heldRows are the rows of SECURITY.md's tables that say what holds a defence, each cut into cells.
func heldRows(t *testing.T) [][]string {
	t.Helper()
	var rows [][]string
	held := false // the table's last column says what holds it
	for line := range strings.SplitSeq(read(t, filepath.Join(root, "SECURITY.md")), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			held = false
		case cells[len(cells)-1] == "held by":
			held = true
		case held && !strings.HasPrefix(line, "|---"):
			rows = append(rows, cells)
		}
	}
	return rows
}

// What SECURITY.md says is held by a test is held by one that there is, in the package that it names;
// and no row is held by nothing.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	quoted := regexp.MustCompile("`([^`]+)`")
	rows, named := heldRows(t), 0
	for _, row := range rows {
		pkg, held := "", false
		for _, q := range quoted.FindAllStringSubmatch(row[len(row)-1], -1) {
			test := q[1]
			if !strings.HasPrefix(test, "Test") && !strings.HasPrefix(test, "Fuzz") {
				pkg = test
				continue
			}
			held = true
			named++
			if why := missing(t, pkg, test); why != "" {
				t.Errorf("SECURITY.md: %s: %s", row[0], why)
			}
		}
		if !held {
			t.Errorf("SECURITY.md: %s: held by no test: %s", row[0], row[len(row)-1])
		}
	}
	if len(rows) < 60 || named < 100 {
		t.Errorf("only %d rows with %d tests were found: are the tables read rightly?", len(rows), named)
	}
}

// Every threat of the catalogue is in SECURITY.md: with its defence's test, or among what is public or
// not defended against.
func TestSecurityNamesEveryThreat(t *testing.T) {
	var told []string
	for _, row := range heldRows(t) {
		told = append(told, row[0])
	}
	inRows := strings.Join(told, "\n")
	_, open, found := strings.Cut(read(t, filepath.Join(root, "SECURITY.md")), "\nWhat is public:")
	if !found {
		t.Fatal("SECURITY.md does not say what is public")
	}
	undefended := []int{2, 3, 8, 35, 37, 38, 41}
	for n := range 44 {
		if n == 0 || n > 23 && n < 30 {
			continue // the catalogue has no such number
		}
		name := regexp.MustCompile(fmt.Sprintf(`\bT%d\b`, n))
		want, where := inRows, "in a row of its tables"
		if slices.Contains(undefended, n) {
			want, where = open, "among what it does not defend against"
		}
		if !name.MatchString(want) {
			t.Errorf("SECURITY.md: T%d is not %s", n, where)
		}
	}
}

// The commands that documents give for their figures run tests and benchmarks that exist.
func TestDocumentsNameWhatRuns(t *testing.T) {
	command := regexp.MustCompile("go test (\\./[a-z0-9/]+)([^`]*)`")
	flag := regexp.MustCompile(`-(run|bench) ('[^']+'|\S+)`)
	seen := 0
	for _, doc := range []string{"README.md", "RATIONALE.md", "CONTRIBUTING.md", "SECURITY.md"} {
		text := strings.ReplaceAll(read(t, filepath.Join(root, doc)), "\n", " ")
		for _, c := range command.FindAllStringSubmatch(text, -1) {
			names := declared(t, strings.TrimPrefix(c[1], "./"))
			for _, f := range flag.FindAllStringSubmatch(c[2], -1) {
				pattern := strings.Trim(f[2], "'")
				if pattern == "." || pattern == "XXX" || pattern == "^$" || pattern == "xx" {
					continue // all of them, or none
				}
				seen++
				re, err := regexp.Compile(strings.Split(pattern, "/")[0])
				if err != nil || !slices.ContainsFunc(names, re.MatchString) {
					t.Errorf("%s: go test %s -%s %s runs nothing (%v)", doc, c[1], f[1], pattern, err)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands were found", seen)
	}
}

// missing is why a test, or a part of one, is not there; "" if it is. A part is a file below testdata,
// or a name that the package's tests spell out.
func missing(t *testing.T, pkg, test string) string {
	t.Helper()
	name, part, parted := strings.Cut(test, "/")
	if !slices.Contains(declared(t, pkg), name) {
		return fmt.Sprintf("there is no %s in %s", name, pkg)
	}
	if !parted {
		return ""
	}
	found := false
	err := fs.WalkDir(os.DirFS(filepath.Join(root, pkg, "testdata")), ".", func(_ string, d fs.DirEntry, err error) error {
		found = found || err == nil && d.Name() == part+".txt"
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	spelt := `"` + strings.ReplaceAll(part, "_", " ") + `"`
	for _, source := range testsOf(t, pkg) {
		found = found || strings.Contains(source, spelt)
	}
	if !found {
		return fmt.Sprintf("%s in %s has no part %s", name, pkg, part)
	}
	return ""
}

// declared are the tests, benchmarks and fuzz targets of a package.
func declared(t *testing.T, pkg string) []string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
	var names []string
	for _, source := range testsOf(t, pkg) {
		for _, m := range function.FindAllStringSubmatch(source, -1) {
			names = append(names, m[1])
		}
	}
	return names
}

func testsOf(t *testing.T, pkg string) (sources []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		sources = append(sources, read(t, f))
	}
	return sources
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
