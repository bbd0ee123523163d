package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func (s Service) path() (string, error) {
	if s.System {
		return filepath.Join("/Library/LaunchDaemons", Label+".plist"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of services: %w", err)
	}
	return filepath.Join(home, "Library/LaunchAgents", Label+".plist"), nil
}

// domain is whose services launchd is asked about.
func (s Service) domain() string {
	if s.System {
		return "system"
	}
	return "gui/" + strconv.Itoa(os.Getuid())
}

// Install writes the property list, starts the service and has it started from now on.
func (s Service) Install(ctx context.Context) (State, error) {
	path, err := s.path()
	if err != nil {
		return State{}, err
	}
	text, err := s.Text(Darwin)
	if err != nil {
		return State{}, err
	}
	if err := write(path, text); err != nil {
		return State{}, err
	}
	// What was loaded before is read anew; that there was nothing is no mistake.
	s.launchctl(ctx, "bootout", s.domain()+"/"+Label)
	for _, args := range [][]string{{"enable", s.domain() + "/" + Label}, {"bootstrap", s.domain(), path}} {
		if _, err := s.launchctl(ctx, args...); err != nil {
			return State{}, err
		}
	}
	return s.State(ctx)
}

// Uninstall stops the service and takes its property list away.
func (s Service) Uninstall(ctx context.Context) (State, error) {
	path, err := s.path()
	if err != nil {
		return State{}, err
	}
	switch err := whose(path); {
	case errors.Is(err, os.ErrNotExist):
		return State{}, ErrNotInstalled
	case err != nil:
		return State{}, err
	}
	_, stopped := s.launchctl(ctx, "bootout", s.domain()+"/"+Label)
	return State{Path: path}, errors.Join(remove(path), stopped)
}

// State asks how the service is.
func (s Service) State(ctx context.Context) (State, error) {
	path, err := s.path()
	if err != nil {
		return State{}, err
	}
	st, err := fileState(path)
	if err != nil || !st.Installed {
		return st, err
	}
	st.Words = "not loaded"
	out, err := s.launchctl(ctx, "print", s.domain()+"/"+Label)
	if err != nil {
		return st, nil // launchd does not know it
	}
	for line := range strings.Lines(out) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "state = "); ok {
			st.Words, st.Running = state, state == "running"
			break
		}
	}
	return st, nil
}

// maxWords is how much of what launchctl says is shown.
const maxWords = 300

func (s Service) launchctl(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "/bin/launchctl", args...).CombinedOutput()
	if err != nil {
		said := strings.Join(strings.Fields(string(out)), " ")
		return "", fmt.Errorf("launchctl %s: %w: %s", strings.Join(args, " "), err, said[:min(len(said), maxWords)])
	}
	return string(out), nil
}
