package main

// Every word that shoal says to a person is here, so that it is said in one voice:
//
//   - lower case, no full stop, one line for one thing; parts are separated by " · "
//   - an error is two lines, "error: what and where" and "hint: one thing to try"
//   - after something was done, the next command, ready to paste
//   - sizes like 4 GiB, spans like "2 h 5 min"; no time left before there is evidence for it
//   - DHT, CID, multiaddr, shard and quorum are words for the log, not for people

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
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
	what := fmt.Sprintf("%s in %s, %s each", count(s.Inputs, "input"), count(s.Units, "unit"), count(int64(s.Votes), "vote"))
	if s.Held > 0 || s.Message == "" {
		what += " · " + custody(s.Held, s.Wanted, s.Safe)
	}
	u.say("%s", what)
	if s.Message != "" {
		u.say("%s", oneLine(s.Message))
	}
	u.chosenLevel(s.Levels)
	u.say("watch: shoal watch %s     answers: shoal results %s -d out", short(s.Job), short(s.Job))
}

// attached says that a job is not a new one.
func (u *ui) attached(s *api.Submitted) {
	if s.Attached {
		u.say("the same job was submitted before: going on with %s (--new makes another)", short(s.Job))
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
	u.say("would submit %s in %s, %s each; nothing was sent", count(s.Inputs, "input"), count(s.Units, "unit"), count(int64(s.Votes), "vote"))
	if s.Message != "" {
		u.say("%s", oneLine(s.Message))
	}
	u.levels(s.Levels)
}

// offered says who else works on a job from now on.
func (u *ui) offered(donors []api.Peer) {
	u.say("also using %s%s; they see program and inputs; --local keeps it here", count(int64(len(donors)), "donor"), whereabouts(donors))
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
		u.say("detached: the job goes on; come back with: shoal watch %s     answers: shoal results %s", short(id), short(id))
		return
	}
	u.say("stopped: what is done is kept; the same command goes on from there (job %s)", short(id))
}

// interruptedBeforeSubmit says that nothing came of a command.
func (u *ui) interruptedBeforeSubmit() { u.say("interrupted: nothing was submitted") }

// failedInput reports one input that has no answer.
func (u *ui) failedInput(r api.Result) {
	told := ""
	if r.ToldBy != "" {
		told = ", as told by " + shortPeer(r.ToldBy)
	}
	u.screen.Line(u.screen.style(red, "failed:") + " " + oneLine(inputName(r)) + ": " + failureWords(r) + told)
	lines := strings.Split(strings.TrimRight(printable(r.Stderr), "\n"), "\n")
	for _, line := range lines[max(0, len(lines)-maxStderrLines):] {
		if line != "" {
			u.screen.Line("  | " + line)
		}
	}
}

// maxStderrLines is how much of a failed input's stderr is shown.
const maxStderrLines = 5

// noLogs says that there is nothing to show, so that silence is no riddle.
func (u *ui) noLogs(j *api.Job, input int64) {
	if input > 0 {
		u.say("input %d wrote nothing to stderr", input)
		return
	}
	u.say("no input wrote to stderr, of %s that have an answer", count(j.Inputs.Done, "input"))
}

func inputName(r api.Result) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("input %d", r.N)
}

// failureWords is why an input has no answer.
func failureWords(r api.Result) string {
	switch {
	case r.Reason != "":
		return oneLine(r.Reason)
	case r.Outcome == "exit":
		return fmt.Sprintf("exit code %d", r.Exit)
	case r.Outcome == api.OutcomeStuck:
		return "three donors gave up on it"
	case r.Outcome == api.OutcomeDisputed:
		return "donors disagree, no answer has the votes"
	}
	return r.Outcome
}

// lastLine is the last thing a program said on stderr, as the end of a message. Of a Go
// program that panicked that is what it panicked of, and not the end of the trace.
func lastLine(stderr []byte) string {
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	last := lines[len(lines)-1]
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			last = line
			break
		}
	}
	if last = oneLine(last); last != "" {
		return " (" + last + ")"
	}
	return ""
}

// someFailed ends a delivery that left inputs out.
func someFailed(failed int64, id string) *api.Error {
	return &api.Error{Code: api.CodeFailed, Message: count(failed, "input") + " failed", Hint: "shoal results " + short(id) + " --output jsonl says which and why"}
}

// degraded warns of answers that are worth less than their level promises.
func (u *ui) degraded(j *api.Job) {
	if j.Degraded {
		u.screen.Line(u.screen.style(red, "careful:") + " " + liarWords(j) + "; more: shoal explain " + short(j.Job))
	}
}

// stillOpen ends a delivery of a job that is not done.
func stillOpen(j *api.Job) *api.Error {
	return &api.Error{Code: api.CodeTimeout, Message: "still open: " + part(j.Inputs.Total-j.Inputs.Done, j.Inputs.Total, "input"),
		Hint: "shoal watch " + short(j.Job) + " shows how far it is; then ask again"}
}

// ending is the error that a job's end means to the one who waited for it, or nil.
func ending(j *api.Job) error {
	switch {
	case j.State == api.JobCancelled || j.State == api.JobExpired:
		return &api.Error{Code: api.CodeUnexpected, Message: fmt.Sprintf("job %s was %s", short(j.Job), map[string]string{api.JobCancelled: "cancelled", api.JobExpired: "not done when it expired"}[j.State]),
			Hint: "shoal results " + short(j.Job) + " gives what was done"}
	case j.Inputs.Failed > 0:
		return someFailed(j.Inputs.Failed, j.Job)
	case j.State == api.JobFailed:
		return &api.Error{Code: api.CodeFailed, Message: fmt.Sprintf("job %s: %s stuck, %d disputed", short(j.Job), count(j.Units.Stuck, "unit"), j.Units.Disputed),
			Hint: "shoal results " + short(j.Job) + " --output jsonl says which and why"}
	}
	return nil
}

// finished is the last line about a job that one has watched on a terminal; in a script
// the exit code says it.
func (u *ui) finished(j *api.Job) {
	if j.State == api.JobDone && u.screen.tty {
		u.say("done: %s · %s · %s", count(j.Inputs.Total, "input"), count(int64(j.Donors), "donor"), count(j.Executions, "execution"))
	}
}

// interruptedSubmit says where a submission stands.
func (u *ui) interruptedSubmit() {
	u.say("interrupted: the same command goes on from here, and so does a node in this home")
}

// timedOut is why a wait ended before its job.
func timedOut(refs []string, limit time.Duration) *api.Error {
	if len(refs) > 1 {
		return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("jobs go on after %s", span(limit)), Hint: "shoal status shows how far they are"}
	}
	return &api.Error{Code: api.CodeTimeout, Message: fmt.Sprintf("job %s goes on after %s", short(refs[0]), span(limit)), Hint: "shoal watch " + short(refs[0]) + " shows how far it is"}
}

// cancelled confirms a cancel, or says that there was nothing to cancel.
func (u *ui) cancelled(j *api.Job) {
	if j.State != api.JobCancelled {
		u.say("nothing to cancel: %s is %s; answers: shoal results %s", short(j.Job), j.State, short(j.Job))
		return
	}
	u.say("cancelled: nothing of %s is started any more; answers so far: shoal results %s", short(j.Job), short(j.Job))
}

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
	parts := []string{part(d.Cores, int64(d.TotalCores), "core")}
	if d.Memory > 0 {
		parts = append(parts, size(d.Memory)+" of memory")
	}
	if d.Disk > 0 {
		parts = append(parts, size(d.Disk)+" of disk")
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
		u.say("node %s has no address yet · %s", shortPeer(s.Node.Peer), reach)
		return
	}
	u.say("node %s listens on %s · %s", shortPeer(s.Node.Peer), where(s.Grid.Addrs), reach)
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
		return "keeping and relaying for " + count(int64(s.Grid.Peers), "peer")
	case api.DonatingOn:
		return "waiting: " + why + " · " + count(int64(s.Grid.Peers), "peer")
	}
	return s.Donating.State + ": " + why
}

func working(all []api.Work) string {
	var parts []string
	for _, w := range all {
		parts = append(parts, fmt.Sprintf("%s for %s", oneLine(cmp.Or(w.Name, short(w.Job))), who(w.SubmitterName, w.Submitter)))
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

// browsing says where the page is.
func (u *ui) browsing() {
	u.say("opened in the browser; if nothing shows: shoal ui --print")
}

// noBrowser gives the link to a person whose system has no browser to open it with.
func (u *ui) noBrowser(link string) {
	u.say("no browser could be started; open this within two minutes, it works once:")
	u.say("%s", link)
}
