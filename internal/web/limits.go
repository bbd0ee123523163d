package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// donateData is what is given, and within which limits.
type donateData struct {
	*api.Status
	Main, More []limit
	Given      given
	Whose      whose
}

// limit is a setting as a form asks for it.
type limit struct {
	api.Setting
	Kind     string // slider, choice, switch or text
	Label    string
	Choices  [][2]string // value and words
	Min, Max int
	Number   int // what a slider is at
	Unit     string
}

// newLimits makes the fields of the settings that say what is lent: those that most people want
// first.
func newLimits(all []api.Setting, cores int) (most, more []limit) {
	for _, s := range all {
		if !s.Wish {
			continue
		}
		l := limit{Setting: s, Kind: "text", Label: s.Name}
		switch s.Name {
		case "when":
			l.Kind, l.Label = "choice", "When"
			l.Choices = [][2]string{{"idle", "while nobody uses this machine"}, {"always", "always, beside its user too"}, {"never", "never"}}
		case "cores":
			l.slider("Cores", 1, cores, cores, " of "+strconv.Itoa(cores))
		case "cores-in-use":
			l.slider("Cores while it is used", 1, cores, max(cores/2, 1), " of "+strconv.Itoa(cores))
		case "others-cpu":
			l.slider("Pause when others use", 1, 100, 100, " % of the CPU")
		case "disk":
			l.Label = "Disk"
		case "memory":
			l.Label = "Memory"
		default:
			if s.Value == "true" || s.Value == "false" {
				l.Kind = "switch"
			}
			more = append(more, l)
			continue
		}
		most = append(most, l)
	}
	return most, more
}

// slider makes a limit a slider; a value of 0 means zero.
func (l *limit) slider(label string, least, most, zero int, unit string) {
	n, err := strconv.Atoi(l.Value)
	if err != nil {
		return // it is what a slider cannot say
	}
	if n == 0 {
		n = zero
	}
	l.About, _, _ = strings.Cut(l.About, ";") // what 0 means a slider does not say
	l.Kind, l.Label, l.Min, l.Max, l.Number, l.Unit = "slider", label, least, most, n, unit
}

func (s *Site) donating(r *http.Request) (*page, error) {
	status, err := s.node.Status(r.Context())
	if err != nil {
		return nil, err
	}
	all, err := s.node.Settings(r.Context())
	if err != nil {
		return nil, err
	}
	credit, err := s.node.Credit(r.Context())
	if err != nil {
		return nil, err
	}
	choice, err := s.node.Whose(r.Context())
	if err != nil {
		return nil, err
	}
	d := donateData{Status: status, Given: newGiven(credit, time.Now()), Whose: newWhose(choice, status.Offered)}
	d.Main, d.More = newLimits(all, status.Donating.TotalCores)
	return &page{Title: "Donate", Node: status.Node, Live: "/donate/live", Parts: []string{"donation", "given", "whose"}, Data: d}, nil
}

// limits sets those settings of a form that are not what they were.
func (s *Site) limits(w http.ResponseWriter, r *http.Request) error {
	v, err := form(w, r)
	if err != nil {
		return err
	}
	status, err := s.node.Status(r.Context())
	if err != nil {
		return err
	}
	all, err := s.node.Settings(r.Context())
	if err != nil {
		return err
	}
	most, more := newLimits(all, status.Donating.TotalCores)
	values := map[string]string{}
	for _, l := range append(most, more...) {
		if now := v.Get(l.Name); v.Has(l.Name) && now != l.Value && (l.Kind != "slider" || now != strconv.Itoa(l.Number)) {
			values[l.Name] = now
		}
	}
	if err := s.node.Set(r.Context(), values); err != nil {
		return err
	}
	s.cfg.Feed.Poke()
	return said(w, r, "/donate", "limits")
}
