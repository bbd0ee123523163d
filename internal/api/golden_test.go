package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	for name, v := range map[string]any{
		"status": sampleStatus(), "job": sampleJob(), "detail": sampleDetail(), "id": sampleID(), "peers": samplePeers(), "credit": sampleCredit(), "whose": sampleWhose(), "notices": sampleNotices(), "explanation": sampleExplanation(), "submitting": sampleSubmitting(),
		"submitted": &Submitted{Job: sampleJob().Job, Inputs: 120, Units: 12, Votes: 2, Held: 5, Wanted: 5, Safe: true, DonorsSeen: 3, Message: "waits"},
		"result":    &Result{N: 3, Name: "texts/c.txt", IsPath: true, Outcome: "exit", Exit: 2, Stderr: "no such word\n", Reason: "exit code 2", ToldBy: "12D3KooWA"},
		"error":     document{&Error{Code: CodeNotFound, Message: "no job b5f3k2qa", Hint: "see: shoal status"}},
		"empty":     []any{Status{}, Job{}, ID{}, Peer{}, Submitted{}, Result{}, Detail{}, Credit{}, Explanation{}, Submitting{}, Whose{}, Notice{}, Setting{}, Page{}},
	} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, '\n')
		path := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, text) {
			t.Errorf("%s is another document now: a schema only grows. %s", path, cmp.Diff(string(want), string(text)))
		}
	}
}

// Whatever an operation gives says which schema it is of, each item of a list by itself; health, which
// is a yes, and the document of the API have none.
func TestDocumentsNameTheirSchemas(t *testing.T) {
	for _, r := range testServer().routes() {
		if r.gives == nil || r.path == "/health" || r.path == "/openapi.json" {
			continue
		}
		v := reflect.ValueOf(r.gives)
		if v.Kind() == reflect.Slice {
			v = reflect.Zero(v.Type().Elem())
		}
		var got struct{ Schema string }
		if err := json.Unmarshal(mustEncode(v.Interface()), &got); err != nil {
			t.Fatal(err)
		}
		if want := "shoal." + strings.ToLower(v.Type().Name()) + "/1"; got.Schema != want {
			t.Errorf("%s %s gives schema %q, not %q", r.method, r.path, got.Schema, want)
		}
	}
}

func sampleWhose() *Whose {
	return &Whose{
		Schema: WhoseSchema, OnlyFollowed: true, Followed: []Followed{{Peer: "12D3KooWT", Name: "ada", Weight: 3}},
		Blocked: []Blocked{{Peer: "12D3KooWU"}, {Program: strings.Repeat("0f", 32)}}, Known: []Known{{Peer: "12D3KooWT", Name: "ada"}},
	}
}

func sampleNotices() []Notice {
	return []Notice{{Schema: NoticeSchema, ID: strings.Repeat("0a", 32), Submitter: "12D3KooWT", SubmitterName: "ada", At: time.Date(2026, 11, 22, 12, 4, 0, 0, time.UTC), Job: "b5f3", Text: "paper published, thank you"}}
}

func sampleJob() *Job {
	eta, low, high := int64(240), int64(180), int64(360)
	return &Job{
		Schema: JobSchema, Job: "b5f3k2qaabcdefghijklmnopqrstuvwxyz234567abcdefghijkl", Name: "count.wasm",
		Program: strings.Repeat("0f", 32), Submitter: "12D3KooWS", Own: true, State: JobOpen, Level: "standard", Votes: 2,
		Units:  Units{Total: 12, Open: 1, Running: 2, Sealed: 1, Agreed: 8},
		Inputs: Inputs{Total: 120, Done: 84, Failed: 1}, Arriving: 1, Donors: 3, Executions: 19, Fuel: 12345, Held: 5, Keepers: 5,
		Waits: "needs 1 more donor, 1 known", Created: time.Date(2026, 11, 22, 12, 4, 0, 0, time.UTC),
		RatePerSecond: 0.5, ETASeconds: &eta, ETALowSeconds: &low, ETAHighSeconds: &high,
	}
}

func sampleDetail() *Detail {
	return &Detail{
		Schema: DetailSchema, Job: *sampleJob(),
		Map:      UnitMap{PerCell: 8, Cells: []Units{{Total: 8, Agreed: 8}, {Total: 4, Open: 1, Running: 2, Sealed: 1}}},
		Pace:     []PaceSample{{Seconds: 0, Done: 0}, {Seconds: 2.5, Done: 84}},
		Shares:   []Share{{Peer: "12D3KooWT", Name: "ada", Units: 8, Fuel: 9000}, {Peer: "12D3KooWU", Units: 7, Fuel: 3345}},
		Holders:  []Holder{{Peer: "12D3KooWU", Held: 2, Units: []int64{9, 10}}},
		Failures: []Result{{N: 3, Name: "texts/c.txt", IsPath: true, Outcome: "exit", Exit: 2, Stderr: "no such word\n", Reason: "exit code 2", ToldBy: "12D3KooWA"}},
	}
}

func sampleSubmitting() []Submitting {
	return []Submitting{{Schema: SubmittingSchema, Tag: "t", Name: "count.wasm", Step: StepPlacing, Inputs: 120, Units: 12, Parts: 1, Receipts: 3, Asked: 5, Bytes: 1 << 20, Sent: 3 << 20}}
}

func sampleExplanation() *Explanation {
	return &Explanation{Schema: ExplanationSchema, Job: *sampleJob(), Reasons: []Reason{{Code: WhyNoDonors, What: "needs 1 more donor, 1 known", Try: "donate on another machine: shoal donate"}}}
}

func sampleStatus() *Status {
	until := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	return &Status{
		Schema: StatusSchema,
		Node:   NodeStatus{Peer: "12D3KooWS", Version: "0.1.0", UptimeSeconds: 7200, Engine: "compiler"},
		Grid:   GridStatus{Peers: 14, Reachable: true, Addrs: []string{"/ip4/192.168.1.20/tcp/4901/p2p/12D3KooWS"}},
		Donating: DonateStatus{
			State: DonatingPaused, Why: "computer in use", Reasons: []string{"computer in use", "on battery"}, Notes: []string{"fewer cores: computer in use"}, Cores: 4, TotalCores: 8, Memory: 4 << 30, Disk: 10 << 30, Until: &until,
		},
		Today:   Today{CPUSeconds: 4320.5, Submitters: 3, Units: 38, Accepted: 37, Waiting: 1},
		Working: []Work{{Job: "b5f3", Name: "count.wasm", Description: "counts words", Submitter: "12D3KooWT", SubmitterName: "ada", Units: 2}},
		Jobs:    []Job{*sampleJob()},
		Offered: []Offered{{Job: "c6g4", Name: "fold.wasm", Program: strings.Repeat("0f", 32), Submitter: "12D3KooWU", Refused: "its program is blocked here"}},
		Notices: sampleNotices(),
	}
}

func sampleID() *ID {
	return &ID{Schema: IDSchema, Peer: "12D3KooWS", Addrs: []string{"/ip4/192.168.1.20/tcp/4901/p2p/12D3KooWS"}}
}

func samplePeers() []Peer {
	return []Peer{{Schema: PeerSchema, Peer: "12D3KooWT", Addr: "/ip4/192.168.1.21/tcp/4901", Roles: []string{RoleDonor, RoleKeeper}, LatencyMS: 0.4, Agent: "shoal/0.1.0"}}
}

func sampleCredit() *Credit {
	return &Credit{
		Schema: CreditSchema, Peer: "12D3KooWAlice",
		Done:   []Done{{Day: "2026-11-22", Submitter: "12D3KooWBob", CPUSeconds: 3.5, Units: 5, Inputs: 40, Accepted: 2, Disagreed: 1, GaveUp: 1, Unused: 1}},
		Earned: []Earned{{Submitter: "12D3KooWAlice", Donor: "12D3KooWBob", Units: 3, Inputs: 10, Fuel: 1234567, LateFuel: 67}},
	}
}
