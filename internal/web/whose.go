package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
)

// given is what this machine gave, and to whom.
type given struct {
	To   []givenTo
	More int // submitters that are not told one by one
	Days []givenDay
	Most float64 // CPU seconds of the best day
}

// givenTo is what it gave to one submitter, over all the time that is told.
type givenTo struct {
	Peer, Name      string // Peer "": all who are not told one by one
	CPUSeconds      float64
	Units, Accepted int64
}

// givenDay is a bar of the chart.
type givenDay struct {
	Label      string
	CPUSeconds float64
	X, Y, H    float64
}

// The chart of what was given, and the table beside it.
const (
	givenDays   = 14
	givenWidth  = 420
	givenHeight = 64
	maxGivenTo  = 8
)

// newGiven adds up an account.
func newGiven(c *api.Credit, now time.Time) given {
	var g given
	at := map[string]int{}
	days := map[string]float64{}
	for _, d := range c.Done {
		days[d.Day] += d.CPUSeconds
		i, known := at[d.Submitter]
		if !known {
			i = len(g.To)
			at[d.Submitter] = i
			g.To = append(g.To, givenTo{Peer: d.Submitter, Name: d.SubmitterName})
		}
		t := &g.To[i]
		t.CPUSeconds, t.Units, t.Accepted = t.CPUSeconds+d.CPUSeconds, t.Units+d.Units, t.Accepted+d.Accepted
	}
	slices.SortStableFunc(g.To, func(a, b givenTo) int { return cmp.Compare(b.CPUSeconds, a.CPUSeconds) })
	if len(g.To) > maxGivenTo {
		g.To, g.More = g.To[:maxGivenTo], len(g.To)-maxGivenTo
	}
	for back := range givenDays {
		day := now.UTC().AddDate(0, 0, back+1-givenDays)
		d := givenDay{Label: day.Format("2 Jan"), CPUSeconds: days[day.Format(time.DateOnly)], X: float64(back * givenWidth / givenDays)}
		g.Most = max(g.Most, d.CPUSeconds)
		g.Days = append(g.Days, d)
	}
	for i := range g.Days {
		if d := &g.Days[i]; d.CPUSeconds > 0 {
			d.H = max(2, d.CPUSeconds/g.Most*givenHeight)
			d.Y = givenHeight - d.H
		}
	}
	return g
}

// whose is whose work runs here, as the donate page shows it.
type whose struct {
	*api.Whose
	Others []otherSubmitter // who are neither followed nor blocked, and have a job on the grid
}

// otherSubmitter is one whose jobs may run here.
type otherSubmitter struct {
	Peer, Name string
	Jobs       int
}

const maxOthers = 12

func newWhose(w *api.Whose, offered []api.Offered) whose {
	out := whose{Whose: w}
	settled := map[string]bool{}
	for _, f := range w.Followed {
		settled[f.Peer] = true
	}
	for _, b := range w.Blocked {
		settled[b.Peer] = true
	}
	at := map[string]int{}
	for _, o := range offered {
		if settled[o.Submitter] {
			continue
		}
		i, known := at[o.Submitter]
		if !known {
			if len(out.Others) == maxOthers {
				continue
			}
			i = len(out.Others)
			at[o.Submitter] = i
			out.Others = append(out.Others, otherSubmitter{Peer: o.Submitter, Name: o.SubmitterName})
		}
		out.Others[i].Jobs++
	}
	return out
}

// choose makes one submitter one that is followed, or blocked, or one of many again.
func (s *Site) choose(w http.ResponseWriter, r *http.Request) error {
	v, err := form(w, r)
	if err != nil {
		return err
	}
	what := v.Get("peer")
	if _, err := jobs.ParseNodeID(what); err != nil {
		if _, err := jobs.ParseDigest(what); err != nil {
			return wrong("that is neither a node nor a program")
		}
	}
	list, entry, wish := "", "", v.Get("do")
	switch wish {
	case "follow", "block":
		list, entry = wish, what
	case "unfollow", "unblock":
		list = strings.TrimPrefix(wish, "un")
	default:
		return wrong("that cannot be done with a submitter")
	}
	all, err := s.node.Settings(r.Context())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(x api.Setting) bool { return x.Name == list })
	if at < 0 {
		return wrong("this node keeps no such list")
	}
	entries := slices.DeleteFunc(strings.FieldsFunc(all[at].Value, func(c rune) bool { return c == ',' }), func(e string) bool {
		e, _, _ = strings.Cut(e, "*")
		return strings.TrimSpace(e) == what
	})
	if entry != "" {
		entries = append(entries, entry)
	}
	if err := s.node.Set(r.Context(), map[string]string{list: strings.Join(entries, ",")}); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", wish)
}
