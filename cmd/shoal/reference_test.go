package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/shoalgrid/shoal/internal/config"
)

// The reference of the commands, docs/cli.md, and the man pages, docs/man, are made from the
// commands themselves: make docs writes them anew, and this test says when that was forgotten.
const docsDir = "../../docs"

func TestReferenceIsCurrent(t *testing.T) {
	root := newProgram(strings.NewReader(""), io.Discard, io.Discard, nil).root()
	pages := map[string]string{"cli.md": reference(t, root)}
	for _, cmd := range documented(root) {
		pages[manName(cmd)] = manPage(t, cmd)
	}
	if *update {
		if err := os.RemoveAll(filepath.Join(docsDir, "man")); err != nil {
			t.Fatal(err)
		}
	}
	for name, page := range pages {
		path := filepath.Join(docsDir, name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, page)
		}
		if diff := cmp.Diff(read(t, path), page); diff != "" {
			t.Errorf("%s is not what the commands say; make docs writes it anew (-is +should):\n%s", path, diff)
		}
	}
	there, err := filepath.Glob(filepath.Join(docsDir, "man", "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if name, _ := filepath.Rel(docsDir, path); pages[filepath.ToSlash(name)] == "" {
			t.Errorf("%s is of no command; make docs takes it away", path)
		}
	}
}

// TestHelpShowsExamplesFirst holds every command to: what it is for, then how it is used.
func TestHelpShowsExamplesFirst(t *testing.T) {
	root := newProgram(strings.NewReader(""), io.Discard, io.Discard, nil).root()
	for _, cmd := range documented(root) {
		if cmd.IsAdditionalHelpTopicCommand() || cmd.HasAvailableSubCommands() && cmd != root {
			continue
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: the example %q is not indented by two", cmd.CommandPath(), line)
			}
		}
		_, help, said := tried(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		rest := []string{"Usage:", "Flags:", "Submit work:"}
		if cmd.Long != "" {
			rest = append(rest, cmd.Long)
		}
		for _, part := range rest {
			if at := strings.Index(help, part); at >= 0 && at < strings.Index(help, cmd.Example) || !strings.Contains(help, "Examples:\n"+cmd.Example) {
				t.Errorf("%s does not show its examples first:\n%s%s", cmd.CommandPath(), help, said)
			}
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") && cmd != root {
			t.Errorf("%s: its short text is %q", cmd.CommandPath(), cmd.Short)
		}
	}
}

// TestDonorsAreAnswered holds the answers to what there is: each command and setting that they
// name exists.
func TestDonorsAreAnswered(t *testing.T) {
	root := newProgram(strings.NewReader(""), io.Discard, io.Discard, nil).root()
	for _, m := range regexp.MustCompile(`shoal ([a-z]+)`).FindAllStringSubmatch(donorsAsk, -1) {
		if cmd, _, err := root.Find([]string{m[1]}); err != nil || cmd == root {
			t.Errorf("it names shoal %s", m[1])
		}
	}
	var settings []string
	for _, s := range config.Settings() {
		settings = append(settings, s.Name)
	}
	for _, m := range regexp.MustCompile(`\(([a-z-]+(?:, [a-z-]+)*)\)`).FindAllStringSubmatch(donorsAsk, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			if !slices.Contains(settings, name) {
				t.Errorf("it names the setting %s", name)
			}
		}
	}
	page := read(t, filepath.Join(docsDir, "man", "shoal-donate.1"))
	for line := range strings.Lines(donorsAsk) {
		question := strings.TrimSpace(line)
		if !strings.HasSuffix(question, "?") || strings.HasPrefix(line, " ") {
			continue
		}
		if !strings.Contains(page, question) {
			t.Errorf("man shoal-donate does not answer %q", question)
		}
	}
}

// documented is every command that people see, parents before children, by name.
func documented(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.Name() == "help" || !c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			continue
		}
		all = append(all, documented(c)...)
	}
	return all
}

func reference(t *testing.T, root *cobra.Command) string {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("<!-- made by: make docs -->\n\n# The commands of shoal\n\n")
	for _, cmd := range documented(root) {
		cmd.DisableAutoGenTag = true
		var page bytes.Buffer
		if err := doc.GenMarkdownCustom(cmd, &page, func(name string) string {
			return "#" + strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "_", "-")
		}); err != nil {
			t.Fatal(err)
		}
		text.Write(page.Bytes())
		text.WriteString("\n")
	}
	return text.String()
}

func manName(cmd *cobra.Command) string {
	return "man/" + strings.Join(slices.Collect(strings.FieldsSeq(cmd.CommandPath())), "-") + ".1"
}

func manPage(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	cmd.DisableAutoGenTag = true
	if more := cmd.Annotations[moreAnnotation]; more != "" {
		cmd.Long += "\n\n" + more
	}
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var page bytes.Buffer
	if err := doc.GenMan(cmd, &doc.GenManHeader{Section: "1", Source: "shoal", Manual: "shoal", Date: &day}, &page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}
