package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// OddPages are the paths of pages in states that a grid takes hours or bad luck to get into, for a
// look at them.
func OddPages() []string {
	return []string{"/", "/donate", "/jobs/waiting", "/jobs/running", "/jobs/failed", "/jobs/cancelled", "/jobs/other", "/nothing"}
}

// OddSite is a node in such states.
func OddSite(t *testing.T) http.Handler {
	n := newSample()
	n.addOddPeers()
	n.addOddJobs()
	n.addOddDonating(time.Now())
	return n.site(t)
}

func oddPeers() []string {
	return []string{
		"12D3KooWCQikXp7KZ7wGHtMGvXy9ToVx4E2bM6kGfmLZrTa1sWcB", "12D3KooWSHj3RRbBjD15g6wekV8y3mm57Pobmps2g2WJm6F67Lay",
		"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust",
	}
}

func (n *sample) addOddPeers() {
	for i, p := range oddPeers() {
		n.peers = append(n.peers, api.Peer{Peer: p, Name: []string{"ada", "", "the machine under Grace’s desk, third floor", ""}[i], Addr: "/ip4/192.168.1.20/tcp/4901", Roles: []string{api.RoleDonor, api.RoleKeeper}[:1+i%2], LatencyMS: 0.4 * float64(i+1)})
	}
}

// addJob adds a job whose map is as its units are counted: those of a state beside each other.
func (n *sample) addJob(ref, name, state string, change func(*api.Detail)) {
	d := &api.Detail{Job: api.Job{
		Job: ref, Name: name, Own: true, State: state, Level: "standard", Votes: 2, Keepers: 5, Held: 5, Submitter: oddPeers()[0], SubmitterName: "ada",
		Created: time.Now().Add(-26 * time.Hour), Inputs: api.Inputs{Total: 12_480}, Units: api.Units{Total: 240, Open: 240},
	}}
	change(d)
	cells := []struct {
		of    *int64
		count func(*api.Units)
	}{
		{&d.Job.Units.Agreed, func(u *api.Units) { u.Agreed = 1 }}, {&d.Job.Units.Failed, func(u *api.Units) { u.Failed = 1 }}, {&d.Job.Units.Stuck, func(u *api.Units) { u.Stuck = 1 }},
		{&d.Job.Units.Disputed, func(u *api.Units) { u.Disputed = 1 }}, {&d.Job.Units.Sealed, func(u *api.Units) { u.Sealed = 1 }}, {&d.Job.Units.Running, func(u *api.Units) { u.Running = 1 }},
		{&d.Job.Units.Open, func(u *api.Units) { u.Open = 1 }},
	}
	d.Map.PerCell = 1
	for _, c := range cells {
		for range *c.of {
			u := api.Units{Total: 1}
			c.count(&u)
			d.Map.Cells = append(d.Map.Cells, u)
		}
	}
	if n.details == nil {
		n.details = map[string]*api.Detail{}
	}
	n.details[ref] = d
	if d.Job.Own {
		n.status.Jobs = append(n.status.Jobs, d.Job)
	}
}

func (n *sample) addOddJobs() {
	seconds := func(n int64) *int64 { return &n }
	peers := oddPeers()
	n.addJob("waiting", "a-very-long-name-without-a-single-place-to-break-it_"+strings.Repeat("0123456789", 5)+".wasm", api.JobOpen, func(d *api.Detail) {
		d.Job.Waits = "nobody donates: no other node is in sight, and this machine is set to work only while nobody uses it"
	})
	n.addJob("running", "count.wasm", api.JobOpen, func(d *api.Detail) {
		d.Job.Inputs.Done, d.Job.Units = 7_930, api.Units{Total: 240, Agreed: 152, Sealed: 14, Running: 9, Open: 65}
		d.Job.RatePerSecond, d.Job.ETASeconds, d.Job.ETALowSeconds, d.Job.ETAHighSeconds = 3.1, seconds(1460), seconds(1200), seconds(1900)
		d.Job.Donors, d.Job.Executions, d.Job.Arriving = 4, 331, 3
		for i := range 60 {
			d.Pace = append(d.Pace, api.PaceSample{Seconds: float64(i) * 40, Done: int64(130*i + i%7*20)})
		}
		d.Holders = []api.Holder{{Peer: peers[0], Held: 2, Units: []int64{167, 168}}, {Peer: peers[2], Name: n.peers[2].Name, Held: 90, Units: []int64{169, 170, 171, 180, 190}}}
		for i, p := range peers {
			d.Shares = append(d.Shares, api.Share{Peer: p, Name: n.peers[i].Name, Units: int64(90 - 22*i)})
		}
	})
	n.addJob("failed", "fold.wasm", api.JobFailed, func(d *api.Detail) {
		d.Job.Final = true
		d.Job.Inputs.Done, d.Job.Inputs.Failed, d.Job.Units = 12_300, 44, api.Units{Total: 240, Agreed: 225, Failed: 9, Stuck: 4, Disputed: 2}
		d.Job.Donors, d.Job.Executions = 4, 502
		d.Failures = []api.Result{
			{N: 3, Name: "texts/" + strings.Repeat("long-", 20) + "c.txt", Outcome: "exit", Exit: 2, Stderr: "no such word: " + strings.Repeat("x", 300) + "\n", Reason: "exit code 2", ToldBy: peers[1]},
			{N: 70, Outcome: api.OutcomeStuck, Reason: "three donors gave up: it takes more than 20 min of CPU"},
			{N: 71, Outcome: "trap", Reason: "trap: out of bounds memory access", Stderr: "panic: index 7 of 5\n  at main\n", ToldBy: peers[2]},
		}
	})
	n.addJob("cancelled", "", api.JobCancelled, func(d *api.Detail) {
		d.Job.Final, d.Job.Inputs.Done, d.Job.Units = true, 52, api.Units{Total: 240, Agreed: 1, Open: 239}
	})
	n.addJob("other", "render.wasm", api.JobOpen, func(d *api.Detail) {
		d.Job.Own, d.Job.SubmitterName, d.Job.Level = false, "the machine under Grace’s desk, third floor", "strong"
		d.Job.Inputs.Done, d.Job.Provisional, d.Job.Units = 600, 12, api.Units{Total: 240, Agreed: 12, Running: 3, Open: 225}
	})
}

func (n *sample) addOddDonating(now time.Time) {
	peers := oddPeers()
	until := now.Add(50 * time.Minute)
	n.status.Node.Peer, n.status.Node.Version = "12D3KooWAZpqWRW9eYmDzFzQ7Ls2qEG2xeUCuq6mPfAu39vGZ5pM", "0.1.0"
	n.status.Grid = api.GridStatus{Peers: 4}
	n.status.Donating = api.DonateStatus{
		State: api.DonatingPaused, Cores: 4, TotalCores: 8, Memory: 4 << 30, Disk: 10 << 30, Until: &until, Why: "you paused it",
		Reasons: []string{"you paused it", "computer in use since 12:04, resumes after 3 min without input"}, Notes: []string{"this machine does not tell whether it is on battery"},
	}
	n.status.Today = api.Today{CPUSeconds: 4321, Submitters: 3, Units: 38, Accepted: 37, Waiting: 1}
	for i := range 8 {
		o := api.Offered{Job: "other", Name: fmt.Sprintf("render-%d.wasm", i), Submitter: peers[i%3], SubmitterName: n.peers[i%3].Name, Description: "frames of a film about herring"}
		if i == 2 {
			o.Refused = "its program is blocked here"
		}
		n.status.Offered = append(n.status.Offered, o)
	}
	n.status.Notices = []api.Notice{{Submitter: peers[0], SubmitterName: "ada", At: now, Job: "other", Text: "thank you: the first hundred frames are on the wall of our kitchen"}}
	n.whose = api.Whose{Followed: []api.Followed{{Peer: peers[0], Name: "ada", Weight: 3}}, Blocked: []api.Blocked{{Peer: peers[1]}, {Program: strings.Repeat("0f", 32)}}}
	for back := range 20 {
		n.credit.Done = append(n.credit.Done, api.Done{Day: now.UTC().AddDate(0, 0, -back).Format(time.DateOnly), Submitter: peers[back%4], SubmitterName: n.peers[back%4].Name, CPUSeconds: float64(back * 37 % 11 * 900), Units: 12, Accepted: 11})
	}
	for _, s := range []api.Setting{
		{Name: "cores-in-use", Value: "0", About: "programs at a time beside the user, with when = always"}, {Name: "memory", Value: "4 GiB", About: "memory for all of them; 0 is half of the machine's"},
		{Name: "others-cpu", Value: "25", About: "percent of the CPU above which other programs' use pauses"}, {Name: "on-battery", Value: "false", About: "work on battery too"},
	} {
		s.Wish = true
		n.settings = append(n.settings, s)
	}
}
