package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// atMost is how many failed tests are run again: a machine's bad moment fails a few, and
// what fails more is broken.
const atMost = 6

// longest is how long one test may take when it runs again.
const longest = 10 * time.Minute

// runner runs one test, alone, writes its output to w, and tells whether it passed.
type runner func(w io.Writer, pkg, test string) bool

// again runs what failed in the named packages once more. These tests start real processes,
// browsers and guests of the lowest priority, which a machine's bad moment starves; a test
// that passes when it is alone counts as passed, and is named. Whatever failed elsewhere is
// not tried again: a fresh seed that fails must not be forgiven.
func (s *summary) again(packages []string, run runner) {
	leaves := s.leaves(packages)
	whole := func(at place) bool { return at.test == "" || slices.Contains(s.broken, at.pkg) }
	if len(leaves) > atMost || slices.ContainsFunc(leaves, whole) {
		return
	}
	var saved []string
	for _, at := range leaves {
		fmt.Fprintf(s.w, "\nonce more, alone: %s.%s\n", at.pkg, at.test)
		if run(s.w, at.pkg, at.test) {
			saved = append(saved, at.pkg+"."+at.test)
			s.forgive(at)
		}
	}
	if len(saved) > 0 {
		fmt.Fprintf(s.w, "\npassed only when run once more, alone:\n  %s\n", strings.Join(saved, "\n  "))
	}
}

// place is where a test stands: its package and its name, with those of the tests around it.
type place struct{ pkg, test string }

// leaves is the failed tests of the packages without those that failed by a test inside them.
func (s *summary) leaves(packages []string) []place {
	var list []place
	for at := range s.failed {
		inside := func(other place) bool { return other.pkg == at.pkg && strings.HasPrefix(other.test, at.test+"/") }
		if slices.Contains(packages, at.pkg) && !slices.ContainsFunc(slices.Collect(maps.Keys(s.failed)), inside) {
			list = append(list, at)
		}
	}
	slices.SortFunc(list, func(a, b place) int { return strings.Compare(a.pkg+a.test, b.pkg+b.test) })
	return list
}

// forgive counts the test as passed, and those around it unless something else in them failed.
func (s *summary) forgive(at place) {
	for {
		delete(s.failed, at)
		s.passed++
		outer := strings.LastIndexByte(at.test, '/')
		if outer < 0 {
			return
		}
		at.test = at.test[:outer]
		for other := range s.failed {
			if other.pkg == at.pkg && strings.HasPrefix(other.test, at.test+"/") {
				return
			}
		}
	}
}

// goTest is the runner that uses the go command.
func goTest(w io.Writer, pkg, test string) bool {
	var pattern []string
	for part := range strings.SplitSeq(test, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.Command("go", "test", "-count=1", "-timeout", longest.String(), "-run", strings.Join(pattern, "/"), pkg)
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	return cmd.Run() == nil
}
