package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shoalgrid/shoal/internal/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, got)
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

const (
	alice = "12D3KooWLdN43w4nuB5Aynpsc1xUe8iiJngftpGFaage4AV7dSX9"
	bob   = "12D3KooWAqFC8MC546hz6xkPBGefoV2aGc5dSec6C6iTbA6onQ88"
)

func openJob() *api.Job {
	eta, low, high := int64(240), int64(150), int64(560)
	return &api.Job{
		Schema: api.JobSchema, Job: "b5f3k2qaabcdefghijklmnopqrstuvwxyz234567abcdefghijkl", Name: "count.wasm", Submitter: alice, Own: true,
		State: api.JobOpen, Level: "standard", Votes: 2, Units: api.Units{Total: 12, Agreed: 8, Running: 2, Open: 2},
		Inputs: api.Inputs{Total: 120, Done: 84, Failed: 1}, Donors: 3, Executions: 19, Held: 3, Keepers: 5, RatePerSecond: 0.15, ETASeconds: &eta, ETALowSeconds: &low, ETAHighSeconds: &high,
	}
}

func waitingJob() *api.Job {
	return &api.Job{
		Schema: api.JobSchema, Job: "zzf3k2qaabcdefghijklmnopqrstuvwxyz234567abcdefghijkl", Name: "evil\x1b[2J\nname", Submitter: bob, State: api.JobOpen,
		Level: "standard", Votes: 2, Units: api.Units{Total: 1, Open: 1}, Inputs: api.Inputs{Total: 1}, Waits: "needs 1 more donor, 1 known",
	}
}

func doneJob() *api.Job {
	return &api.Job{
		Schema: api.JobSchema, Job: "aaf3k2qaabcdefghijklmnopqrstuvwxyz234567abcdefghijkl", Name: "local.wasm", Submitter: alice, Own: true, Local: true,
		State: api.JobDone, Final: true, Level: "standard", Votes: 2, Units: api.Units{Total: 1, Agreed: 1}, Inputs: api.Inputs{Total: 1, Done: 1}, Donors: 1, Executions: 1,
	}
}

func TestTables(t *testing.T) {
	var text strings.Builder
	until := time.Date(2026, 11, 22, 13, 5, 0, 0, time.Local)
	full := &api.Status{
		Node: api.NodeStatus{Peer: alice, Version: "0.1.0", UptimeSeconds: 7260, Engine: "compiler"},
		Grid: api.GridStatus{Peers: 14, Reachable: true, Addrs: []string{"/ip4/192.168.1.20/tcp/4901/p2p/" + alice, "/ip4/192.168.1.20/udp/4901/quic-v1/p2p/" + alice, "/ip6/fd00::1/tcp/4901/p2p/" + alice}},
		Donating: api.DonateStatus{
			Reasons: []string{"computer in use since 12:04, resumes after 3 min without input", "on battery"}, Notes: []string{"fewer cores: 1 GiB of memory are free"},
			State: api.DonatingPaused, Why: "computer in use since 12:04, resumes after 3 min without input", Cores: 4, TotalCores: 8, Memory: 4 << 30, Disk: 10 << 30,
		},
		Today: api.Today{CPUSeconds: 4320, Submitters: 3, Units: 38, Accepted: 37, Waiting: 1},
		Jobs:  []api.Job{*openJob(), *waitingJob(), *doneJob()},
	}
	statusTable(&text, full)
	full.Donating = api.DonateStatus{State: api.DonatingOn, Cores: 1, TotalCores: 1, Until: &until}
	full.Working = []api.Work{{Job: "b5f3k2qa", Name: "count.wasm", Submitter: bob, Units: 2}}
	full.Jobs, full.Today, full.Grid = nil, api.Today{}, api.GridStatus{}
	text.WriteString("\n")
	statusTable(&text, full)
	for _, j := range []*api.Job{openJob(), waitingJob(), doneJob(), strongJob(), betrayedJob()} {
		text.WriteString("\n")
		jobDetail(&text, j)
	}
	text.WriteString("\n")
	peerTable(&text, []api.Peer{
		{Peer: bob, Addr: "/ip4/192.168.1.21/tcp/4901", Roles: []string{api.RoleDonor, api.RoleKeeper}, LatencyMS: 0.42, Agent: "shoal/0.1.0"},
		{Peer: alice, Addr: "/ip4/10.0.0.1/udp/4901/quic-v1"},
	})
	text.WriteString("\n")
	explanationText(&text, &api.Explanation{Job: *waitingJob(), Reasons: []api.Reason{
		{Code: api.WhyNoDonors, What: "needs 1 more donor, 1 known", Try: "start one on another machine: shoal donate"}, {Code: api.WhyCopying, What: "held by 2 of 5\x1b[2J"},
	}})
	text.WriteString("\n")
	for _, s := range []api.Submitting{
		{Step: api.StepReading}, {Step: api.StepTrying, Inputs: 1200}, {Step: api.StepSeeking},
		{Step: api.StepPlacing}, {Step: api.StepPlacing, Bytes: 4096, Asked: 5}, {Step: api.StepPlacing, Bytes: 40 << 20, Sent: 12 << 20, Asked: 25, Parts: 12},
		{Step: api.StepPlacing, Parts: 12, Placed: 3, Receipts: 21, Asked: 25, Bytes: 40 << 20, Sent: 80 << 20},
		{Step: api.StepPlacing, Parts: 1, Receipts: 3, Asked: 5, Bytes: 4096},
	} {
		text.WriteString(submitPhase(&s).onTerminal() + "\n" + submitPhase(&s).plain() + "\n")
	}
	for _, s := range []phase{runPhase(openJob()), collectPhase(40, openJob())} {
		text.WriteString(s.onTerminal() + "\n" + s.plain() + "\n")
	}
	golden(t, "tables.txt", text.String())
}

// strongJob is agreed, and its submitter has still to look at some of it.
func strongJob() *api.Job {
	j := openJob()
	j.Level, j.Provisional, j.OwnRuns = "strong", j.Units.Agreed, 3
	return j
}

// betrayedJob is done, and its donors lied together more often than it had votes to look for.
func betrayedJob() *api.Job {
	j := doneJob()
	j.Level, j.Dissent, j.Rings, j.Degraded = "strong", 4, 2, true
	return j
}

// Answers that are worth less than their level promises are given with a warning, also where
// nothing else is said.
func TestDegradedIsNeverSilent(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		got := said(func(u *ui) { u.quiet = quiet; u.degraded(betrayedJob()) })
		if want := "careful: donors lied together about 2 units"; !strings.Contains(got, want) || !strings.Contains(got, "degraded: the votes") {
			t.Errorf("quiet %v: said %q", quiet, got)
		}
	}
	if got := said(func(u *ui) { u.degraded(strongJob()) }); got != "" {
		t.Errorf("of a job in which nobody lied it is said: %q", got)
	}
}

// said is what f says.
func said(f func(u *ui)) string {
	var text bytes.Buffer
	f(&ui{screen: newScreen(&text)})
	return text.String()
}

func TestWords(t *testing.T) {
	id := openJob().Job
	lan := []api.Peer{{Addr: "/ip4/192.168.1.21/tcp/4901"}, {Addr: "/ip4/127.0.0.1/tcp/1"}}
	text := said(func(u *ui) {
		u.submitted(&api.Submitted{Job: id, Inputs: 120, Units: 12, Votes: 2, Held: 5, Wanted: 5, Safe: true})
		u.submitted(&api.Submitted{Job: id, Inputs: 1, Units: 1, Votes: 1, Held: 3, Wanted: 5, Attached: true, Message: "1 donor seen, 2 votes needed: waits for another"})
		u.submitted(&api.Submitted{Job: id, Inputs: 1, Units: 1, Votes: 2, Wanted: 5, Message: "no other node in sight"})
		u.dryRun(&api.Submitted{Inputs: 1000000, Units: 250, Votes: 2})
		u.offered(lan)
		u.offered(lan[1:])
		u.offered([]api.Peer{{Addr: "/ip4/203.0.113.9/tcp/4901"}})
		u.detached(id, openJob(), false)
		u.detached(id, openJob(), true)
		u.detached(id, nil, true)
		u.paused(90 * time.Minute)
		u.paused(0)
		u.failure(&api.Error{Code: api.CodeUnexpected, Message: "a\nb\x1b[2J"})
		for _, code := range []int{api.CodeUsage, api.CodeNoNode, api.CodeNotFound, api.CodeFailed, api.CodeTimeout, api.CodeRefused} {
			u.failure(&api.Error{Code: code, Message: "what and where"})
		}
		u.failure(ending(&api.Job{Job: id, State: api.JobExpired}))
		u.failure(ending(&api.Job{Job: id, State: api.JobFailed, Units: api.Units{Stuck: 1, Disputed: 2}}))
		u.failure(stillOpen(openJob()))
		u.nobodyThere([]string{"/ip4/203.0.113.9/tcp/4901/p2p/" + bob})
		u.failure(timedOut([]string{id}, time.Hour))
	})
	golden(t, "words.txt", text)
}

func TestQuietSaysErrorsOnly(t *testing.T) {
	text := said(func(u *ui) {
		u.quiet = true
		u.submitted(&api.Submitted{})
		u.paused(0)
		u.failure(&api.Error{Code: api.CodeUsage, Message: "wrong", Hint: "right"})
	})
	if text != "error: wrong\nhint:  right\n" {
		t.Errorf("said %q", text)
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59900 * time.Millisecond: "59 s", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min",
		time.Hour: "1 h", 2*time.Hour + 5*time.Minute: "2 h 5 min", 24 * time.Hour: "1 d", 90*24*time.Hour + 4*time.Hour: "90 d 4 h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, not %q", d, got, want)
		}
	}
}

// Elsewhere than on a terminal there is a line each 10 s while there is something to say, and
// no control character.
func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		p := startProgress(&ui{screen: newScreen(&text)})
		time.Sleep(15 * time.Second)
		p.update(openJob())
		time.Sleep(20 * time.Second)
		p.stop()
		want := strings.Repeat("run: 84/120 inputs · 1 failed · 3 donors · 9.0/min · 2 min to 9 min left\n", 2)
		if text.String() != want {
			t.Errorf("said %q", text.String())
		}
	})
}

// counter counts writes.
type counter struct {
	bytes.Buffer
	writes int
}

func (c *counter) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

// On a terminal the bar is redrawn at most ten times a second, however often readings come,
// fits its width, and is gone in the end.
func TestProgressBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := &counter{}
		s := &screen{tty: true, w: text, width: func() int { return 40 }}
		p := startProgress(&ui{screen: s})
		for i := range 10_000 {
			j := openJob()
			j.Inputs.Done = int64(i)
			p.update(j)
			time.Sleep(100 * time.Microsecond)
		}
		if text.writes > 2*11 { // each drawing clears, then writes
			t.Errorf("%d writes in a second", text.writes)
		}
		p.stop()
		for line := range strings.SplitSeq(text.String(), clearLine) {
			if n := len([]rune(line)); n > 39 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		if !strings.HasSuffix(text.String(), clearLine) {
			t.Errorf("the bar stays: %q", text.String())
		}
	})
}

func TestLiveLineKeepsOutOfTheWay(t *testing.T) {
	var text bytes.Buffer
	s := &screen{tty: true, w: &text, width: func() int { return 80 }}
	out := &besideWriter{s, &text}
	s.Live("bar")
	out.Write([]byte("half "))
	s.Live("bar 2")
	s.Line("note")
	out.Write([]byte("line\n"))
	s.Live("")
	want := "bar" + clearLine + "half " + "note\n" + "line\n" + "bar 2" + clearLine
	if text.String() != want {
		t.Errorf("wrote %q, not %q", text.String(), want)
	}
}
