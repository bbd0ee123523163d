package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// Whose work is run is chosen by forms that change one entry of a list and leave the others.
func TestChoosingSubmitters(t *testing.T) {
	a, b := oddPeers()[0], oddPeers()[1]
	program := strings.Repeat("0f", 32)
	for name, c := range map[string]struct {
		follow, block, what, wish string
		want                      string // "": refused
	}{
		"follow the first":    {"", "", a, "follow", "set map[follow:" + a + "]"},
		"follow another":      {b + "*3", "", a, "follow", "set map[follow:" + b + "*3," + a + "]"},
		"unfollow":            {a + "*3," + b, "", a, "unfollow", "set map[follow:" + b + "]"},
		"block":               {a, b, a, "block", "set map[block:" + b + "," + a + "]"},
		"unblock a program":   {"", program + "," + b, program, "unblock", "set map[block:" + b + "]"},
		"nobody":              {"", "", "ada", "follow", ""},
		"two at once":         {"", "", a + "," + b, "follow", ""},
		"what there is not":   {"", "", a, "adore", ""},
		"a list there is not": {"", "", a, "unlisten", ""},
	} {
		n := newSample()
		n.settings = append(n.settings, api.Setting{Name: "follow", Value: c.follow}, api.Setting{Name: "block", Value: c.block})
		w := ask(n.site(t), "POST", "/donate/whose", formKind, url.Values{"peer": {c.what}, "do": {c.wish}}.Encode())
		status := http.StatusSeeOther
		if c.want == "" {
			status = http.StatusUnprocessableEntity
		}
		if got := strings.Join(n.did, ", "); w.Code != status || got != c.want {
			t.Errorf("%s: status %d, it did %q, not %q", name, w.Code, got, c.want)
		}
	}
}

func TestOnlyUnsettledSubmittersAreOffered(t *testing.T) {
	w := newWhose(&api.Whose{Followed: []api.Followed{{Peer: "f"}}, Blocked: []api.Blocked{{Peer: "b"}, {Program: "p"}}},
		[]api.Offered{{Submitter: "x"}, {Submitter: "f"}, {Submitter: "y", SubmitterName: "ada"}, {Submitter: "b"}, {Submitter: "x"}})
	if len(w.Others) != 2 || w.Others[0] != (otherSubmitter{Peer: "x", Jobs: 2}) || w.Others[1] != (otherSubmitter{"y", "ada", 1}) {
		t.Errorf("offered are %+v", w.Others)
	}
}

func TestSpans(t *testing.T) {
	for want, list := range map[string][]int64{"": nil, "7": {7}, "1–3": {1, 2, 3}, "1, 3–4, 1,000–1,001, 1,003": {1, 3, 4, 1000, 1001, 1003}} {
		if got := spans(list); got != want {
			t.Errorf("%d: %q, not %q", list, got, want)
		}
	}
}

// What was given is added up by submitter, over all days, and drawn by day.
func TestGivenAddsUp(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	g := newGiven(&api.Credit{Done: []api.Done{
		{Day: "2026-11-22", Submitter: "a", CPUSeconds: 30, Units: 3, Accepted: 2}, {Day: "2026-11-22", Submitter: "b", CPUSeconds: 50, Units: 1},
		{Day: "2026-11-20", Submitter: "a", CPUSeconds: 40, Units: 4, Accepted: 4}, {Day: "", Submitter: "", CPUSeconds: 5, Units: 1},
	}}, now)
	if len(g.To) != 3 || g.To[0] != (givenTo{Peer: "a", CPUSeconds: 70, Units: 7, Accepted: 6}) || g.To[1].Peer != "b" || g.To[2].Peer != "" {
		t.Errorf("given to %+v", g.To)
	}
	today, before := g.Days[givenDays-1], g.Days[givenDays-3]
	if g.Most != 80 || today.CPUSeconds != 80 || today.H != givenHeight || before.CPUSeconds != 40 || before.H != givenHeight/2 || before.Label != "20 Nov" || g.Days[0].H != 0 {
		t.Errorf("drawn are %+v", g.Days)
	}
}
