package main

// Every word that shoal says to a person is here and in its sisters (ui_*.go), so that it is said in one voice:
//
//   - lower case, no full stop, one line for one thing; parts are separated by " · "
//   - an error is two lines, "error: what and where" and "hint: one thing to try"
//   - after something was done, the next command, ready to paste
//   - sizes like 4 GiB, spans like "2 h 5 min"; no time left before there is evidence for it
//   - DHT, CID, multiaddr, shard and quorum are words for the log, not for people

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// ui says things on stderr.
type ui struct {
	screen *screen
	quiet  bool
}

// say prints a line unless the person wants silence.
func (u *ui) say(format string, args ...any) {
	if !u.quiet {
		u.screen.Line(fmt.Sprintf(format, args...))
	}
}

// live shows what goes on right now.
func (u *ui) live(text string) {
	if !u.quiet {
		u.screen.Live(text)
	}
}

// failure prints why a command failed.
func (u *ui) failure(err error) {
	e := api.AsError(err)
	hint := e.Hint
	if hint == "" {
		hint = hintFor(e.Code)
	}
	u.screen.Line(u.screen.style(red, "error:") + " " + oneLine(e.Message))
	u.screen.Line(u.screen.style(bold, "hint:") + "  " + oneLine(hint))
}

func hintFor(code int) string {
	switch code {
	case api.CodeUsage:
		return "shoal help lists the commands"
	case api.CodeNoNode:
		return "start one with: shoal donate, or: shoal up"
	case api.CodeNotFound:
		return "shoal status lists the jobs known here"
	case api.CodeFailed:
		return "shoal results JOB --output jsonl says which and why"
	case api.CodeTimeout:
		return "the job goes on; shoal watch JOB shows it"
	case api.CodeRefused:
		return "shoal check PROGRAM says what the grid takes"
	}
	return "the same command with -v says more"
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(printable(text)), " ")
}

// submitted says how safe it is to leave a job alone, and how to come back to it.
func (u *ui) submitted(s *api.Submitted) {
	u.attached(s)
	what := fmt.Sprintf("%s in %s, %s each", words.Count(s.Inputs, "input"), words.Count(s.Units, "unit"), words.Count(s.Votes, "vote"))
	if s.Held > 0 || s.Message == "" {
		what += " · " + custody(s.Held, s.Wanted, s.Safe)
	}
	u.say("%s", what)
	if s.Message != "" {
		u.say("%s", oneLine(s.Message))
	}
	u.chosenLevel(s.Levels)
	u.say("watch: shoal watch %s     answers: shoal results %s -d out", words.Short(s.Job), words.Short(s.Job))
}

// attached says that a job is not a new one.
func (u *ui) attached(s *api.Submitted) {
	if s.Attached {
		u.say("the same job was submitted before: going on with %s (--new makes another)", words.Short(s.Job))
	}
}

func custody(held, wanted int, safe bool) string {
	switch {
	case safe:
		return fmt.Sprintf("%d of %d keepers hold it: safe to disconnect", held, wanted)
	case held == 0:
		return "no other node holds it yet: it waits here, and goes out while a node runs in this home"
	case held < wanted:
		return fmt.Sprintf("held by %d of %d, still copying", held, wanted)
	}
	return fmt.Sprintf("%d of %d keepers hold it", held, wanted)
}

// dryRun says what would have been submitted.
func (u *ui) dryRun(s *api.Submitted) {
	u.say("would submit %s in %s, %s each; nothing was sent", words.Count(s.Inputs, "input"), words.Count(s.Units, "unit"), words.Count(s.Votes, "vote"))
	if s.Message != "" {
		u.say("%s", oneLine(s.Message))
	}
	u.levels(s.Levels)
}

// offered says who else works on a job from now on.
func (u *ui) offered(donors []api.Peer) {
	u.say("also using %s%s; they see program and inputs; --local keeps it here", words.Count(len(donors), "donor"), whereabouts(donors))
}

// whereabouts says how near all the peers are.
func whereabouts(peers []api.Peer) string {
	where := " on this machine"
	for _, p := range peers {
		parts := strings.SplitN(p.Addr, "/", 4) // "", "ip4", the address, the rest
		if len(parts) < 4 {
			return ""
		}
		ip, err := netip.ParseAddr(parts[2])
		switch {
		case err != nil || !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast():
			return ""
		case !ip.IsLoopback():
			where = " on this LAN"
		}
	}
	return where
}

// detached says, after Ctrl-C, what becomes of the job and how to come back.
func (u *ui) detached(id string, j *api.Job, ownNode bool) {
	goesOn := !ownNode || j != nil && !j.Local && j.Keepers > 0 && j.Held >= j.Keepers
	if goesOn {
		u.say("detached: the job goes on; come back with: shoal watch %s     answers: shoal results %s", words.Short(id), words.Short(id))
		return
	}
	u.say("stopped: what is done is kept; the same command goes on from there (job %s)", words.Short(id))
}

// interruptedBeforeSubmit says that nothing came of a command.
func (u *ui) interruptedBeforeSubmit() { u.say("interrupted: nothing was submitted") }

// interruptedSubmit says where a submission stands.
func (u *ui) interruptedSubmit() {
	u.say("interrupted: the same command goes on from here, and so does a node in this home")
}

// timedOut is why a wait ended before its job.
func timedOut(refs []string, limit time.Duration) *api.Error {
	if len(refs) > 1 {
		return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("jobs go on after %s", span(limit)), Hint: "shoal status shows how far they are"}
	}
	return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("job %s goes on after %s", words.Short(refs[0]), span(limit)), Hint: "shoal watch " + words.Short(refs[0]) + " shows how far it is"}
}

// cancelled confirms a cancel, or says that there was nothing to cancel.
func (u *ui) cancelled(j *api.Job) {
	if j.State != api.JobCancelled {
		u.say("nothing to cancel: %s is %s; answers: shoal results %s", words.Short(j.Job), j.State, words.Short(j.Job))
		return
	}
	u.say("cancelled: nothing of %s is started any more; answers so far: shoal results %s", words.Short(j.Job), words.Short(j.Job))
}

// browsing says where the page is.
func (u *ui) browsing() {
	u.say("opened in the browser; if nothing shows: shoal ui --print")
}

// noBrowser gives the link to a person whose system has no browser to open it with.
func (u *ui) noBrowser(link string) {
	u.say("no browser could be started; open this within two minutes, it works once:")
	u.say("%s", link)
}
