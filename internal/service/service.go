// Package service lets the system start shoal and keep it: it writes the file that systemd,
// launchd or Windows wants, has the system read it, takes it away again, and tells the
// system how the node is while it runs.
//
// What is there already and was not written here, or was changed since, is never touched.
//
// Linux has been run; what is for macOS and Windows is compiled and vetted with the rest, but
// no one has run it yet.
package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/shoalgrid/shoal/internal/whole"
)

// Service is shoal as the system is to start it.
type Service struct {
	Program string   // absolute path of shoal
	Args    []string // its command and flags
	System  bool     // from the machine's start, for no user; otherwise for the user who installs it
	Home    string   // absolute path of the node's home, "" for the user's own
}

// The kinds of system that start services.
const (
	Linux   = "linux"   // systemd
	Darwin  = "darwin"  // launchd
	Windows = "windows" // the service control manager
)

// Label is what launchd calls shoal.
const Label = "io.github.shoalgrid.shoal"

// Name is what systemd and Windows call it.
const Name = "shoal"

// Text is the file that makes a kind of system start the service; for Windows, which has no
// such file, the commands that do.
func (s Service) Text(system string) (string, error) {
	for _, arg := range append([]string{s.Program, s.Home}, s.Args...) {
		if strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("%q has a character in it that no service can be given", arg)
		}
	}
	switch system {
	case Linux:
		return sign(s.systemdUnit(), "# ", ""), nil
	case Darwin:
		return sign(s.launchdPlist(), "<!-- ", " -->"), nil
	case Windows:
		return s.windowsCommands(), nil
	}
	return "", fmt.Errorf("no service for %q: linux, darwin or windows", system)
}

// State is how a service is.
type State struct {
	Installed bool
	Path      string // of its file; its name where it has none
	Ours      bool   // the file is as it was written here
	Running   bool
	Words     string // the system's own, like "active (running)"
	Linger    Linger
}

// Linger is whether a user's services run while the user is logged out.
type Linger string

// The values of Linger.
const (
	LingerUnknown Linger = ""    // or it does not matter
	LingerOn      Linger = "on"  // they run from the machine's start to its end
	LingerOff     Linger = "off" // they end with the last session
)

// ForeignError is that a file is not ours to touch.
type ForeignError struct {
	Path    string
	Changed bool // it was written here and changed since
}

func (e *ForeignError) Error() string {
	if e.Changed {
		return e.Path + " was changed since shoal wrote it"
	}
	return e.Path + " was not written by shoal"
}

// HiddenError is that a confined service could not see its own program.
type HiddenError struct{ Program string }

func (e *HiddenError) Error() string {
	return "a service of the machine's cannot see " + e.Program
}

// ErrNotInstalled is that there is no service to take away.
var ErrNotInstalled = errors.New("no service is installed")

// ErrNoManager is that nothing on this machine starts services in a way that is known here.
var ErrNoManager = errors.New("this machine does not run systemd")

// The last line of a file says who wrote it, and what.
const mark = "written by shoal service install, sha256 "

// sign adds the last line, as a comment.
func sign(text, before, after string) string {
	sum := sha256.Sum256([]byte(text))
	return text + before + mark + hex.EncodeToString(sum[:]) + after + "\n"
}

// maxFile bounds what is read of a file that may be anyone's.
const maxFile = 64 << 10

// fileState is what the file of a service tells, or that there is none.
func fileState(path string) (State, error) {
	st := State{Path: path}
	err := whose(path)
	var foreign *ForeignError
	if err != nil && !errors.As(err, &foreign) {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return st, err
	}
	st.Installed, st.Ours = true, err == nil
	return st, nil
}

// whose reports nil when a file was written here and not changed, a *ForeignError when it
// was not, and an error like os.ErrNotExist otherwise.
func whose(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	text, ok := bytes.CutSuffix(data, []byte("\n"))
	start := bytes.LastIndexByte(text, '\n') + 1
	last := string(text[start:])
	if !ok || !strings.Contains(last, mark) {
		return &ForeignError{Path: path, Changed: bytes.Contains(data, []byte(mark))}
	}
	sum := sha256.Sum256(text[:start])
	if !strings.Contains(last, mark+hex.EncodeToString(sum[:])) {
		return &ForeignError{Path: path, Changed: true}
	}
	return nil
}

// write makes or replaces a file of ours, whole or not at all.
func write(path, text string) error {
	if err := whose(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of services: %w", err)
	}
	if err := whole.Write(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the service: %w", err)
	}
	return nil
}

// remove takes a file of ours away.
func remove(path string) error {
	switch err := whose(path); {
	case errors.Is(err, os.ErrNotExist):
		return ErrNotInstalled
	case err != nil:
		return err
	}
	return os.Remove(path)
}
