package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// noticesOf is what a node's owner is told by submitters.
func noticesOf(t *testing.T, n *gridtest.Node) []api.Notice {
	t.Helper()
	s := n.Shoal("notices", "--output", "json")
	var list []api.Notice
	if err := json.Unmarshal(s.Out, &list); s.Code != 0 || err != nil {
		t.Fatalf("notices: exit code %d, %v\n%s", s.Code, err, s.Err)
	}
	return list
}

// gridChoosesWhose: a donor sees whose job it runs, by name; what it blocks ends at once, and is not
// run again; and a submitter's notice reaches a donor that was off when it was sent, when the
// submitter is off itself, and nobody who has nothing to do with it.
func gridChoosesWhose(t *testing.T, g *gridtest.Grid) {
	first := g.Found("first", "up")
	ada := g.Start("ada", "up", "--name", "ada")
	peer := ada.Peer()
	donors := g.Donors(2)
	g.Meet(3, append(donors, first, ada)...)
	job, _ := ada.Submit(writeBurner(t, 20*burn), "--range", "1..200", "--per-unit", "1", "--name", "pi digits")
	for _, d := range donors {
		g.Until(d.Name+" works for ada", func() bool {
			s := d.Status()
			return s != nil && len(s.Working) == 1 && s.Working[0].SubmitterName == "ada" && s.Working[0].Name == "pi digits"
		})
	}
	wantSaid(t, string(donors[0].Shoal("status").Out), "working on pi digits for ada (12D3…")

	blocked := donors[1]
	if s := blocked.Shoal("block", "ada"); s.Code != 0 {
		t.Fatalf("block: exit code %d\n%s", s.Code, s.Err)
	}
	s := blocked.Status()
	if s == nil || len(s.Working) != 0 || len(s.Offered) != 1 || s.Offered[0].Job != job || !strings.Contains(s.Offered[0].Refused, "blocked here") {
		t.Errorf("what is blocked goes on: %+v", s)
	}

	followed := donors[0]
	if s := followed.Shoal("follow", "ada", "--weight", "3"); s.Code != 0 {
		t.Fatalf("follow: exit code %d\n%s", s.Code, s.Err)
	}
	wantSaid(t, string(followed.Shoal("follow").Out), fmt.Sprintf("follow  %s  weight 3  ada", peer))
	followed.Kill()
	if s := ada.Shoal("notify", "--job", job, "paper published, thank you"); s.Code != 0 {
		t.Fatalf("notify: exit code %d\n%s", s.Code, s.Err)
	}
	if s := ada.Shoal("notify", "red \x1b[31malert"); s.Code != api.CodeUsage {
		t.Errorf("a notice with an escape sequence: exit code %d\n%s", s.Code, s.Err)
	}
	followed.Restart()
	g.Until("the donor that was off has the notice", func() bool {
		list := noticesOf(t, followed)
		return len(list) == 1 && list[0].Text == "paper published, thank you" && list[0].SubmitterName == "ada" && list[0].Job == job
	})
	ada.Kill()
	followed.Kill()
	followed.Restart()
	if list := noticesOf(t, followed); len(list) != 1 {
		t.Errorf("after a restart: %+v", list)
	}
	late := g.Start("late", "donate", "--cores", "1", "--follow", peer)
	g.Until("a follower that comes later has it from others", func() bool { return len(noticesOf(t, late)) == 1 })
	for _, n := range []*gridtest.Node{first, blocked} {
		if list := noticesOf(t, n); len(list) != 0 {
			t.Errorf("%s has nothing to do with ada, and is told: %+v", n.Name, list)
		}
	}
}
