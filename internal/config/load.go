package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Error is a setting that cannot be used.
type Error struct {
	Source  string // the flag, the variable, or the line of the file; "" where the problem names it
	Problem string
	hint    string
}

// Error says where and what.
func (e *Error) Error() string {
	if e.Source == "" {
		return e.Problem
	}
	return e.Source + ": " + e.Problem
}

// Hint says what it takes instead.
func (e *Error) Hint() string { return e.hint }

// Load puts the configuration of a home together. The flags are those that were given, by
// the name of their setting; env looks up a variable, as os.LookupEnv does.
func Load(home string, env func(string) (string, bool), flags map[string]string) (Config, error) {
	c := Default()
	c.home, c.env, c.flags, c.sources = home, env, maps.Clone(flags), map[string]string{}
	if err := c.readFile(filepath.Join(home, FileName)); err != nil {
		return Config{}, err
	}
	for _, s := range settings() {
		if text, ok := env(s.env()); ok && text != "" {
			if err := c.apply(s, text, s.env()); err != nil {
				return Config{}, err
			}
		}
		if text, ok := flags[s.name]; ok {
			if err := c.apply(s, text, s.flag()); err != nil {
				return Config{}, err
			}
		}
	}
	return c, nil
}

// Again loads the configuration anew, as its file is now, with more flags given. It is for a
// Config that Load made.
func (c *Config) Again(more map[string]string) (Config, error) {
	if c.env == nil {
		return *c, nil // made by hand
	}
	flags := maps.Clone(more)
	if flags == nil {
		flags = map[string]string{}
	}
	for name, text := range c.flags {
		if _, ok := flags[name]; !ok {
			flags[name] = text
		}
	}
	return Load(c.home, c.env, flags)
}

// apply sets one setting from one source, and checks it there, so that an error can name
// the source.
func (c *Config) apply(s setting, text, source string) error {
	problem := ""
	if err := s.set(c, text); err != nil {
		problem = err.Error()
	} else {
		problem = s.check(c)
	}
	if problem != "" {
		return &Error{Source: source, Problem: problem, hint: s.name + " takes " + s.wants}
	}
	c.sources[s.name] = source
	return nil
}

// Source tells where the setting of that name comes from: "default", a line of a file, a
// variable, or a flag.
func (c *Config) Source(name string) string { return c.sourceOr(name, "default") }

func (c *Config) sourceOr(name, other string) string {
	if source := c.sources[name]; source != "" {
		return source
	}
	return other
}

// Stamp changes when the home's file does.
func Stamp(home string) string {
	info, err := os.Stat(filepath.Join(home, FileName))
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

func (c *Config) readFile(file string) error {
	text, err := readAll(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err // the file is named already
		}
		return &Error{Source: file, Problem: "cannot be read: " + err.Error(), hint: "check that it is a readable file, or remove it"}
	}
	return c.readText(file, text)
}

func readAll(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %s", Size(maxFile))
	}
	return text, err
}

// readText takes the settings from the text of a file. go-toml's own words about wrong
// types name Go's types, so it only parses.
func (c *Config) readText(file string, text []byte) error {
	values := map[string]any{}
	if err := toml.Unmarshal(text, &values); err != nil {
		source, problem := file, err.Error()
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := at.Position()
			source = fmt.Sprintf("%s:%d", file, line)
		}
		return &Error{
			Source: source, Problem: "not TOML: " + strings.TrimPrefix(problem, "toml: "),
			hint: `a line looks like: disk = "10 GiB"`,
		}
	}
	lines := lineOfKeys(text)
	if n, newer := values[formatKey].(int64); newer && n > format {
		return &Error{
			Source: fmt.Sprintf("%s:%d", file, lines[formatKey]), Problem: fmt.Sprintf("written for a newer shoal: format %d, this one reads %d", n, format),
			hint: "update shoal, or move the file away",
		}
	}
	delete(values, formatKey)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		source := fmt.Sprintf("%s:%d", file, lines[name])
		s, err := find(name)
		if err != nil {
			return &Error{Source: source, Problem: err.Problem, hint: err.hint}
		}
		if err := c.apply(s, asText(values[name]), source); err != nil {
			return err
		}
	}
	return nil
}

// The format of the file is told in it, so that an older shoal can say that it is too old.
const (
	formatKey = "format"
	format    = 1
)

// find looks a setting up.
func find(name string) (setting, *Error) {
	known := settings()
	i := slices.IndexFunc(known, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, &Error{Problem: fmt.Sprintf("there is no setting %q", name), hint: suggest(name, known)}
	}
	return known[i], nil
}

// lineOfKeys finds the line of every top-level key: decoded strictly into nothing, all
// keys are unknown, and go-toml says where.
func lineOfKeys(text []byte) map[string]int {
	lines := map[string]int{}
	d := toml.NewDecoder(strings.NewReader(string(text)))
	missing, _ := errors.AsType[*toml.StrictMissingError](d.DisallowUnknownFields().Decode(&struct{}{}))
	if missing == nil {
		return lines
	}
	for _, at := range missing.Errors {
		if key := at.Key(); len(key) > 0 && lines[key[0]] == 0 {
			lines[key[0]], _ = at.Position()
		}
	}
	return lines
}

// asText is a value of the file as a flag would have it.
func asText(value any) string {
	items, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = fmt.Sprint(item)
	}
	return strings.Join(texts, ",")
}

// suggest names the nearest setting, or all if none is near.
func suggest(name string, known []setting) string {
	best, distance := "", 1+len(name)/4
	var all []string
	for _, s := range known {
		all = append(all, s.name)
		if d := edits(strings.ToLower(name), s.name); d <= distance {
			best, distance = s.name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "the settings are " + strings.Join(all, ", ")
}

// edits is the Levenshtein distance: the least insertions, deletions and replacements that
// make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, i
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			left, diagonal, row[j] = min(left+1, row[j+1]+1, diagonal+cost), row[j+1], left
		}
		row[len(b)] = left
	}
	return row[len(b)]
}
