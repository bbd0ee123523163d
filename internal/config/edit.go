package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/shoalgrid/shoal/internal/whole"
)

// Setting is what people are told of a setting.
type Setting struct {
	Name    string // in the file, and as a flag
	About   string
	Wants   string // what it takes, with an example
	Default string
	Wish    bool // it says what is lent: a flag of donate, and a change counts at once
	OnOff   bool
}

// Settings is all there are, in the order in which they are shown.
func Settings() []Setting {
	c := Default()
	var list []Setting
	for _, s := range settings() {
		value := s.get(&c)
		list = append(list, Setting{Name: s.name, About: s.about, Wants: s.wants, Default: value, Wish: s.wish, OnOff: value == "true" || value == "false"})
	}
	return list
}

// Get is the value of the setting of that name, as one would write it.
func (c *Config) Get(name string) (string, error) {
	s, err := find(name)
	if err != nil {
		return "", err
	}
	return s.get(c), nil
}

// Set writes a setting into the home's file: in the place where it stands, or at the end, with
// all that is around it left as it is. The file is replaced in one step.
func Set(home, name, text string) error {
	s, wrong := find(name)
	if wrong != nil {
		return wrong
	}
	c := Default()
	c.sources = map[string]string{}
	if err := c.apply(s, text, name); err != nil {
		return err
	}
	return edit(home, func(f *file) { f.put(s.name, s.literal(&c)) })
}

// Unset takes a setting out of the home's file, so that its default counts.
func Unset(home, name string) error {
	s, wrong := find(name)
	if wrong != nil {
		return wrong
	}
	return edit(home, func(f *file) { f.cut(s.name) })
}

// literal is the setting's value in TOML.
func (s setting) literal(c *Config) string {
	value := s.get(c)
	switch s.kind {
	case plain:
		return value
	case listed:
		quotedItems := items(value)
		for i, item := range quotedItems {
			quotedItems[i] = quoted(item)
		}
		return "[" + strings.Join(quotedItems, ", ") + "]"
	}
	return quoted(value)
}

// quoted is a TOML string.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// firstLines begin a file that Set makes.
var firstLines = fmt.Sprintf("# Settings of this shoal node; what each means: shoal config --help\n%s = %d\n", formatKey, format)

// edit changes the home's file, which must be readable before and after.
func edit(home string, change func(*file)) error {
	path := filepath.Join(home, FileName)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link into somebody's dotfiles stays one
	}
	text, err := readAll(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = []byte(firstLines)
	case err != nil:
		return &Error{Source: path, Problem: err.Error(), hint: "check that it is a readable file, or remove it"}
	}
	before := Default()
	before.sources = map[string]string{}
	if err := before.readText(path, text); err != nil {
		return err
	}
	f := &file{lines: strings.SplitAfter(string(text), "\n")}
	change(f)
	out := []byte(strings.Join(f.lines, ""))
	after := Default()
	after.sources = map[string]string{}
	if err := after.readText(path, out); err != nil {
		return fmt.Errorf("%s is too unusual to be changed here: %w", path, err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make the home: %w", err)
	}
	if err := whole.Write(path, out, 0o600); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

// file is the lines of a settings file, each with its end.
type file struct{ lines []string }

// put sets a key to a value, in TOML.
func (f *file) put(name, value string) {
	line := name + " = " + value
	if at, n := f.find(name); n > 0 {
		f.replace(at, n, line+f.comment(at, n)+"\n")
		return
	}
	if last := len(f.lines) - 1; last >= 0 && f.lines[last] != "" && !strings.HasSuffix(f.lines[last], "\n") {
		f.lines[last] += "\n"
	}
	f.lines = append(f.lines, line+"\n")
}

// cut takes a key out.
func (f *file) cut(name string) {
	if at, n := f.find(name); n > 0 {
		f.replace(at, n, "")
	}
}

func (f *file) replace(at, n int, line string) {
	f.lines = append(append(append([]string{}, f.lines[:at]...), line), f.lines[at+n:]...)
}

// find is the first line of a key's, and how many there are: the least that are TOML by
// themselves. None is 0.
func (f *file) find(name string) (at, n int) {
	line := lineOfKeys([]byte(strings.Join(f.lines, "")))[name]
	if line == 0 {
		return 0, 0
	}
	for at, n = line-1, 1; at+n <= len(f.lines); n++ {
		if _, ok := parsed(strings.Join(f.lines[at:at+n], "")); ok {
			return at, n
		}
	}
	return 0, 0
}

// comment is what stands behind a value that takes one line: from the first # that can be left
// out, with all behind it, without a change of the value.
func (f *file) comment(at, n int) string {
	if n != 1 {
		return ""
	}
	line := strings.TrimRight(f.lines[at], "\r\n")
	whole, _ := parsed(line)
	for i, c := range line {
		if c != '#' {
			continue
		}
		if part, ok := parsed(line[:i]); ok && reflect.DeepEqual(part, whole) {
			return line[len(strings.TrimRight(line[:i], " \t")):]
		}
	}
	return ""
}

func parsed(text string) (map[string]any, bool) {
	values := map[string]any{}
	return values, toml.Unmarshal([]byte(text), &values) == nil
}
