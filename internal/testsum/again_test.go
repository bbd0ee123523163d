package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// Few failures of the named packages are run once more, the innermost tests alone; nothing
// else is forgiven.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		failed []string // package.test
		pass   []string // what passes when it runs again
		ran    []string
		last   string
	}{
		{"one, saved", []string{"p.A"}, []string{"p.A"}, []string{"p.A"}, "1 passed, 0 failed, 0 skipped"},
		{"one, not saved", []string{"p.A"}, nil, []string{"p.A"}, "0 passed, 1 failed, 0 skipped"},
		{"inner tests alone", []string{"p.A/b", "p.A", "p.AB"}, []string{"p.A/b"}, []string{"p.A/b", "p.AB"}, "2 passed, 1 failed, 0 skipped"},
		{"one of two inner ones", []string{"p.A/b/c", "p.A/b", "p.A/d", "p.A"}, []string{"p.A/b/c"}, []string{"p.A/b/c", "p.A/d"}, "2 passed, 2 failed, 0 skipped"},
		{"both inner ones", []string{"p.A/b", "p.A/c", "p.A"}, []string{"p.A/b", "p.A/c"}, []string{"p.A/b", "p.A/c"}, "3 passed, 0 failed, 0 skipped"},
		{"another package", []string{"q.A"}, []string{"q.A"}, nil, "0 passed, 1 failed, 0 skipped"},
		{"a package by itself", []string{"p."}, []string{"p."}, nil, "0 passed, 1 failed, 0 skipped"},
		{"one that took the others with it", []string{"p.A panics"}, []string{"p.A panics"}, nil, "0 passed, 1 failed, 0 skipped"},
		{"too many", []string{"p.A", "p.B", "p.C", "p.D", "p.E", "p.F", "p.G"}, []string{"p.A"}, nil, "0 passed, 7 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := `{"Action":"start","Package":"p"}` + "\n" + `{"Action":"start","Package":"q"}` + "\n"
			for _, at := range c.failed {
				if at == "p." {
					continue
				}
				if strings.Contains(at, "panics") {
					events += `{"Action":"output","Package":"p","Test":"A","Output":"panic: no"}` + "\n"
				}
				events += fmt.Sprintf(`{"Action":"fail","Package":%q,"Test":%q}`+"\n", at[:1], at[2:])
			}
			events += `{"Action":"fail","Package":"p"}` + "\n" + `{"Action":"pass","Package":"q"}` + "\n"
			if !strings.Contains(strings.Join(c.failed, " "), "p.") {
				events = strings.Replace(events, `"fail","Package":"p"`, `"pass","Package":"p"`, 1)
			}
			var ran []string
			run := func(_ io.Writer, pkg, test string) bool {
				ran = append(ran, pkg+"."+test)
				return slices.Contains(c.pass, pkg+"."+test)
			}
			var out strings.Builder
			failed, err := summarize(strings.NewReader(events), &out, []string{"p"}, run)
			if err != nil || failed == strings.Contains(c.last, " 0 failed") || !slices.Equal(ran, c.ran) {
				t.Errorf("failed %v, %v; ran %v, want %v", failed, err, ran, c.ran)
			}
			if !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
				t.Errorf("the last line is not %q:\n%s", c.last, &out)
			}
			for _, at := range c.pass {
				if named := strings.Contains(out.String(), "\n  "+at+"\n"); named != (c.ran != nil) {
					t.Errorf("%s is named %v:\n%s", at, named, &out)
				}
			}
		})
	}
}
