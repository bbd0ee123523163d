package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY.md says is held by a test is held by one that there is.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	named := 0
	for row := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 5 {
			continue
		}
		pkg, held := "", false
		for _, q := range quoted.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			if !strings.HasPrefix(q[1], "Test") {
				pkg = q[1]
				continue
			}
			held = true
			named++
			if !declared(t, filepath.Join("../..", pkg), q[1]) {
				t.Errorf("SECURITY.md: there is no %s in %s", q[1], pkg)
			}
		}
		if pkg != "" && !held {
			t.Logf("names a package but no test: %s", row)
		}
	}
	if named < 20 {
		t.Errorf("only %d tests are named: is the table read rightly?", named)
	}
}

// declared reports whether a package's tests have a function of the name.
func declared(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
