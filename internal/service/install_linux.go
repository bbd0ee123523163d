package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

const unitName = Name + ".service"

// path is where systemd looks for the unit.
func (s Service) path() (string, error) {
	if s.System {
		return filepath.Join("/etc/systemd/system", unitName), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of services: %w", err)
	}
	return filepath.Join(dir, "systemd/user", unitName), nil
}

// Install writes the unit, starts the service and has it started from now on.
func (s Service) Install(ctx context.Context) (State, error) {
	if err := s.usable(); err != nil {
		return State{}, err
	}
	path, err := s.path()
	if err != nil {
		return State{}, err
	}
	text, err := s.Text(Linux)
	if err != nil {
		return State{}, err
	}
	if err := write(path, text); err != nil {
		return State{}, err
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", unitName}, {"restart", unitName}} {
		if _, err := s.systemctl(ctx, args...); err != nil {
			return State{}, err
		}
	}
	return s.State(ctx)
}

// usable reports what stands in the way of a unit before anything is written.
func (s Service) usable() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return ErrNoManager
	}
	if !s.System {
		return nil
	}
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(s.Program, hidden) {
			return &HiddenError{Program: s.Program}
		}
	}
	return nil
}

// Uninstall stops the service and takes its unit away.
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
	_, stopped := s.systemctl(ctx, "disable", "--now", unitName)
	if err := remove(path); err != nil {
		return State{}, err
	}
	if _, err := s.systemctl(ctx, "daemon-reload"); err != nil {
		return State{}, errors.Join(stopped, err)
	}
	return State{Path: path}, stopped
}

// State asks how the service is. Where systemd does not answer, Words say so.
func (s Service) State(ctx context.Context) (State, error) {
	path, err := s.path()
	if err != nil {
		return State{}, err
	}
	st, err := fileState(path)
	if err != nil || !st.Installed {
		return st, err
	}
	out, err := s.systemctl(ctx, "show", unitName, "--property=ActiveState,SubState,StatusText")
	if err != nil {
		st.Words = "systemd does not answer"
		return st, nil
	}
	is := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		is[name] = value
	}
	st.Running = is["ActiveState"] == "active"
	st.Words = fmt.Sprintf("%s (%s)", is["ActiveState"], is["SubState"])
	if text := is["StatusText"]; text != "" {
		st.Words += ": " + text
	}
	if !s.System {
		st.Linger = lingers()
	}
	return st, nil
}

// Lingers reports whether this user's services outlive the user's sessions. logind keeps a
// file for each user that it is so for.
func lingers() Linger {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return LingerUnknown
	}
	const dir = "/var/lib/systemd/linger"
	if _, err := os.Stat(filepath.Join(dir, u.Username)); err == nil {
		return LingerOn
	}
	return LingerOff
}

// maxWords is how much of what systemctl says is shown.
const maxWords = 300

// systemctl has systemd do something and gives what it says.
func (s Service) systemctl(ctx context.Context, args ...string) (string, error) {
	if !s.System {
		args = append([]string{"--user"}, args...)
	}
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--no-pager", "--no-ask-password"}, args...)...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		said := strings.Join(strings.Fields(complaint.String()), " ")
		return "", fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, said[:min(len(said), maxWords)])
	}
	return string(out), nil
}
