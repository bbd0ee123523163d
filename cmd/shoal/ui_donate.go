package main

// What is said to somebody who lends a machine: what is lent, what it does now, how to stop it.

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/words"
)

// lends states what a donor gives, before its first unit.
func (u *ui) lends(s *api.Status) {
	d := s.Donating
	u.say("lending %s", lent(d))
	u.say("programs of others run locked in: they get no files and no network of this machine")
	u.say("stop: Ctrl-C     pause: shoal pause 1h     what it did: shoal status")
}

// startsLater says why a donor that was just started at a terminal does nothing yet.
func (u *ui) startsLater(idleAfter time.Duration) {
	u.say("starts after %s without input; --when always to start now", span(idleAfter))
}

// gaveAll is the end of a donor that was asked to finish.
func (u *ui) gaveAll() { u.say("finished: all that was begun is done; shoal donate begins again") }

// lent is what a donor gives at most.
func lent(d api.DonateStatus) string {
	parts := []string{words.Part(d.Cores, d.TotalCores, "core")}
	if d.Memory > 0 {
		parts = append(parts, words.Size(d.Memory)+" of memory")
	}
	if d.Disk > 0 {
		parts = append(parts, words.Size(d.Disk)+" of disk")
	}
	return strings.Join(parts, ", ")
}

// listens says where a node is and how others come to it.
func (u *ui) listens(s *api.Status, network string) {
	reach := "others can reach it"
	if !s.Grid.Reachable {
		reach = "others cannot reach it: it dials out, works and submits, but keeps nothing for them"
	}
	if len(s.Grid.Addrs) == 0 {
		u.say("node %s has no address yet · %s", words.Peer(s.Node.Peer), reach)
		return
	}
	u.say("node %s listens on %s · %s", words.Peer(s.Node.Peer), where(s.Grid.Addrs), reach)
	grid := ""
	if network != config.Default().Network {
		grid = "--network " + network + " "
	}
	u.say("a friend joins with: shoal donate %s--bootstrap %s", grid, s.Grid.Addrs[0])
}

// elsewhere says that a node does not listen where it was told to.
func (u *ui) elsewhere(port string) {
	u.say("port %s is taken: listening on another one; --listen chooses", port)
}

// nobodyThere says that no address to join by has answered.
func (u *ui) nobodyThere(addrs []string) {
	u.failure(&api.Error{Message: "no answer from " + strings.Join(addrs, ", "), Hint: "shoal id says there where that node is while it is on; this one goes on trying"})
}

// doing says what a node does now.
func (u *ui) doing(text string) { u.say("%s · %s", time.Now().Format("15:04:05"), text) }

// doingNow is what a node does for others, or why it does nothing.
func doingNow(s *api.Status) string {
	if len(s.Working) > 0 && s.Donating.State != api.DonatingPaused { // what stands still is held, not worked on
		return working(s.Working)
	}
	return waiting(s)
}

// waiting is why a node does nothing.
func waiting(s *api.Status) string {
	why := cmp.Or(oneLine(s.Donating.Why), "nothing to do")
	switch s.Donating.State {
	case api.DonatingOff:
		return "keeping and relaying for " + words.Count(s.Grid.Peers, "peer")
	case api.DonatingOn:
		return "waiting: " + why + " · " + words.Count(s.Grid.Peers, "peer")
	}
	return s.Donating.State + ": " + why
}

func working(all []api.Work) string {
	var parts []string
	for _, w := range all {
		parts = append(parts, fmt.Sprintf("%s for %s", oneLine(cmp.Or(w.Name, words.Short(w.Job))), who(w.SubmitterName, w.Submitter)))
	}
	return "working on " + strings.Join(parts, ", ")
}

// leaving says that Ctrl-C was heard.
func (u *ui) leaving(donor bool) {
	if donor {
		u.say("giving back what was begun, then ending; Ctrl-C again ends at once")
		return
	}
	u.say("ending; Ctrl-C again ends at once")
}

// set confirms that a setting was written.
func (u *ui) set(name, value, beatenBy string, later bool) {
	switch {
	case beatenBy != "":
		u.say("written, but %s is set, and counts: %s is %s", beatenBy, name, shownValue(value))
	case later:
		u.say("%s is %s when the node starts again", name, shownValue(value))
	default:
		u.say("%s is %s", name, shownValue(value))
	}
}

func shownValue(value string) string { return cmp.Or(oneLine(value), "not set") }

// paused, resumed and finishing confirm what a donor wished.
func (u *ui) paused(d time.Duration) {
	if d == 0 {
		u.say("paused until: shoal resume")
		return
	}
	u.say("paused for %s, or until: shoal resume", span(d))
}

func (u *ui) resumed() { u.say("donating again; pause: shoal pause 1h") }

func (u *ui) finishing() {
	u.say("taking nothing new; donating ends with what is running: shoal status")
}
