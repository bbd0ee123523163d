package main

// What is said about the service that starts shoal.

import (
	"fmt"
	"io"
	"runtime"

	"github.com/shoalgrid/shoal/internal/service"
)

// serviceInstalled says what starts when, and how to look after it.
func (u *ui) serviceInstalled(st service.State, s service.Service) {
	u.say("installed %s · %s", st.Path, oneLine(st.Words))
	if st.Linger == service.LingerOff {
		u.say("it ends when you log out; to let it go on: loginctl enable-linger")
	}
	if s.System {
		u.say("ask its node as root: shoal --home %s status", s.Home)
	}
	u.say("look: shoal service status%s     log: %s     remove: shoal service uninstall%s", systemFlag(s.System), journal(s.System), systemFlag(s.System))
}

// serviceGone says that a service was taken away.
func (u *ui) serviceGone(st service.State) {
	u.say("removed %s; key, jobs and data stay in the home", st.Path)
}

// serviceTable is a service at a glance.
func serviceTable(w io.Writer, st service.State) {
	if !st.Installed {
		fmt.Fprintln(w, "service   not installed")
		return
	}
	changed := ""
	if !st.Ours {
		changed = " · not as shoal wrote it"
	}
	fmt.Fprintf(w, "service   %s%s\n", st.Path, changed)
	fmt.Fprintf(w, "state     %s\n", oneLine(st.Words))
	switch st.Linger {
	case service.LingerOn:
		fmt.Fprintln(w, "logout    it goes on")
	case service.LingerOff:
		fmt.Fprintln(w, "logout    it ends; to let it go on: loginctl enable-linger")
	}
}

func systemFlag(system bool) string {
	if system {
		return " --system"
	}
	return ""
}

// systemctl is the command that changes a unit.
func systemctl(system bool) string {
	if system {
		return "sudo systemctl"
	}
	return "systemctl --user"
}

// journal is how to read what a service has logged.
func journal(system bool) string {
	switch {
	case runtime.GOOS != service.Linux:
		return "shoal.log in its home"
	case system:
		return "journalctl -u " + service.Name
	}
	return "journalctl --user -u " + service.Name
}
