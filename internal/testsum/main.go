// Testsum reads what "go test -json" prints and writes it for people: a line a package, the
// output of what failed, every skipped test with its reason, and at last the line
// "N passed, N failed, N skipped". It ends with 1 if anything failed. With -again, few failed
// tests of the named packages are run once more.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	packages := flag.String("again", "", "packages, between blanks, whose failed tests run once more, alone")
	flag.Parse()
	failed, err := summarize(os.Stdin, os.Stdout, strings.Fields(*packages), goTest)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// event is one line of test2json (go doc test2json) or of go build -json.
type event struct {
	Action      string
	Package     string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// keep bounds the output remembered of one test: of more, the end is what counts.
const keep = 256 << 10

// summary is what was read so far. Output is remembered for tests that have not ended.
type summary struct {
	w               io.Writer
	output          map[string][]string // by package and test
	passed, skipped int
	skips           []string
	failed          map[place]bool // tests; of a package that failed by itself, "" for the test
	broken          []string       // packages that ended before their last test
}

// summarize copies r, made readable, to w. Lines that are no events are copied as they are.
// What failed in the packages is run again.
func summarize(r io.Reader, w io.Writer, packages []string, run runner) (failed bool, err error) {
	s := &summary{w: w, output: map[string][]string{}, failed: map[place]bool{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return true, fmt.Errorf("read events: %w", err)
		}
	}
	if len(s.skips) > 0 {
		slices.Sort(s.skips)
		fmt.Fprintf(w, "\nskipped:\n%s", strings.Join(s.skips, ""))
	}
	for key := range s.output {
		if pkg, ok := strings.CutSuffix(key, " "); ok { // a package that never ended
			s.failed[place{pkg, ""}] = true
			fmt.Fprintf(w, "\n%s did not end\n", pkg)
		}
	}
	s.again(packages, run)
	_, err = fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", s.passed, len(s.failed), s.skipped)
	return len(s.failed) > 0, err
}

func (s *summary) line(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil || e.Action == "" {
		fmt.Fprint(s.w, line)
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "start":
		s.output[key] = nil
	case "build-output":
		fmt.Fprint(s.w, e.Output)
	case "output":
		if strings.HasPrefix(e.Output, "panic: ") || strings.HasPrefix(e.Output, "fatal error: ") {
			s.broken = append(s.broken, e.Package) // its further tests have not run
		}
		s.remember(key, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) remember(key, text string) {
	kept, size := append(s.output[key], text), 0
	for i, line := range slices.Backward(kept) {
		if size += len(line); size > keep {
			kept = kept[i+1:]
			break
		}
	}
	s.output[key] = kept
}

func (s *summary) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed[place{e.Package, e.Test}] = true
		fmt.Fprintf(s.w, "%s", strings.Join(s.output[key], ""))
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("  %s.%s: %s\n", e.Package, e.Test, reason(s.output[key])))
	}
}

// reason is what a skipped test said, without file and line.
func reason(output []string) string {
	for _, line := range output {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") {
			if _, after, ok := strings.Cut(text, ".go:"); ok {
				_, text, _ = strings.Cut(after, ":")
			}
			if text = strings.TrimSpace(text); text != "" {
				return text
			}
		}
	}
	return "no reason given"
}

func (s *summary) endPackage(e event, key string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.w, "ok    %s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		ofTest := func(at place) bool { return at.pkg == e.Package }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(s.failed)), ofTest) { // something failed: it counts as one
			s.failed[place{e.Package, ""}] = true
		}
		why := ""
		if e.FailedBuild != "" {
			why = " [build failed]"
		} else { // a panic, a race or a time-out belongs to no test
			for _, line := range s.output[key] {
				if !strings.HasPrefix(line, "FAIL") { // said below
					fmt.Fprint(s.w, line)
				}
			}
		}
		fmt.Fprintf(s.w, "FAIL  %s %.1fs%s\n", e.Package, e.Elapsed, why)
	}
}
