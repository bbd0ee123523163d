package main

// What is said of evidence.

import (
	"fmt"
	"io"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/verify"
	"github.com/shoalgrid/shoal/internal/words"
)

// verifyDocument is what verify finds, for scripts.
type verifyDocument struct {
	Schema    string          `json:"schema"` // shoal.verify/1
	File      string          `json:"file"`
	Valid     bool            `json:"valid"`
	Job       string          `json:"job"` // "" where not even that could be read
	Name      string          `json:"name"`
	Network   string          `json:"network"`
	Submitter string          `json:"submitter"`
	Program   string          `json:"program"` // digest
	Level     string          `json:"level"`
	Votes     int             `json:"votes"` // that the level asks for
	Units     verifyUnits     `json:"units"`
	Inputs    verifyInputs    `json:"inputs"`
	Donors    []api.Earned    `json:"donors"`
	Outputs   *verifyOutputs  `json:"outputs"` // null: no folder was given
	Rerun     *verifyRerun    `json:"rerun"`   // null: not asked for, or not possible
	Findings  []verifyFinding `json:"findings"`
	Wrong     uint64          `json:"wrong"` // findings, also those that are not listed
}

type verifyUnits struct {
	Total       uint64 `json:"total"`
	Proved      uint64 `json:"proved"`
	Independent uint64 `json:"independent"` // no vote could have been copied
	Late        uint64 `json:"late"`        // lean on a vote that was sealed when others could be seen
	Vouched     uint64 `json:"vouched"`     // the submitter's own run decided
	NotFinal    uint64 `json:"not_final"`   // of the proved, at strong and paranoid: without the submitter's last word
}

type verifyInputs struct {
	Total   uint64 `json:"total"`
	Answers uint64 `json:"answers"`
	Failed  uint64 `json:"failed"`
	Stuck   uint64 `json:"stuck"`
}

type verifyOutputs struct {
	Right   uint64 `json:"right"`
	Unnamed uint64 `json:"unnamed"` // of them, compared by content alone
}

type verifyRerun struct {
	Units    uint64 `json:"units"`
	Inputs   uint64 `json:"inputs"`
	Same     uint64 `json:"same"`
	Unjudged uint64 `json:"unjudged"`
}

type verifyFinding struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func verifyDocumentOf(name string, r *verify.Report) verifyDocument {
	d := verifyDocument{Schema: "shoal.verify/1", File: name, Valid: r.Valid(), Donors: []api.Earned{}, Findings: []verifyFinding{}, Wrong: r.Wrong}
	if j := r.Job; j != nil {
		h := &j.Head
		d.Job, d.Name, d.Network, d.Submitter, d.Program = j.ID.String(), h.Name, h.Network, h.Submitter.String(), h.Program.Digest.String()
		d.Level, d.Votes, d.Units.Total, d.Inputs.Total = h.Policy.Level.String(), int(h.Policy.Votes), uint64(h.Units), h.Inputs
	}
	d.Units.Proved, d.Units.Late, d.Units.Vouched, d.Units.NotFinal = r.Proved, r.Late, r.Vouched, r.Unfinal
	d.Units.Independent = r.Proved - r.Late - r.Vouched
	d.Inputs.Answers, d.Inputs.Failed, d.Inputs.Stuck = r.Answers, r.Failed, r.Stuck
	for _, id := range r.Ranked() {
		d.Donors = append(d.Donors, donorRow(d.Submitter, id.String(), *r.Donors[id]))
	}
	if o := r.Outputs; o != nil {
		d.Outputs = &verifyOutputs{Right: o.Right, Unnamed: o.Unnamed}
	}
	if a := r.Rerun; a != nil {
		d.Rerun = &verifyRerun{Units: a.Units, Inputs: a.Inputs, Same: a.Same, Unjudged: a.Unjudged}
	}
	for _, f := range r.Findings {
		d.Findings = append(d.Findings, verifyFinding(f))
	}
	return d
}

func donorRow(submitter, donor string, s verify.Share) api.Earned {
	return api.Earned{Submitter: submitter, Donor: donor, Units: s.Units, Inputs: s.Inputs, Fuel: s.Fuel, LateFuel: s.Late}
}

// Of a long list this much is shown to people.
const (
	maxDonorsShown   = 10
	maxFindingsShown = 20
)

func verifyTable(w io.Writer, r *verify.Report) {
	row := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", label, fmt.Sprintf(format, args...))
	}
	if r.Job != nil {
		h := &r.Job.Head
		row("job", "%s  %s", r.Job.ID, oneLine(h.Name))
		row("submitter", "%s", h.Submitter)
		row("asks", "%s, %s", h.Policy.Level, words.Count(h.Policy.Votes, "equal vote"))
		row("proved", "%s", provedWords(r))
		if r.Unfinal > 0 {
			row("not final", "%s: the submitter has not said its last word on them", words.Part(r.Unfinal, r.Proved, "unit"))
		}
		row("answers", "%s", answerWords(r))
		for i, id := range r.Ranked() {
			if i == maxDonorsShown {
				row("", "and %s", words.Count(len(r.Donors)-i, "more donor"))
				break
			}
			label := ""
			if i == 0 {
				label = "donors"
			}
			row(label, "%s  %s", id, shareWords(r.Donors[id].Inputs, r.Donors[id].Fuel, r.Donors[id].Late))
		}
	}
	if o := r.Outputs; o != nil {
		unnamed := ""
		if o.Unnamed > 0 {
			unnamed = fmt.Sprintf(", %d of them by content alone: what inputs are called is not known here", o.Unnamed)
		}
		row("outputs", "%s as proved%s", words.Count(o.Right, "file"), unnamed)
	}
	if a := r.Rerun; a != nil {
		unjudged := ""
		if a.Unjudged > 0 {
			unjudged = fmt.Sprintf(", %d given up by this machine", a.Unjudged)
		}
		row("run again", "%s, %s with the same answer%s", words.Count(a.Units, "unit"), words.Part(a.Same, a.Inputs, "input"), unjudged)
	}
	for i, f := range r.Findings {
		if i == maxFindingsShown {
			break
		}
		row("wrong", "%s", oneLine(f.String()))
	}
	if n := r.Wrong - uint64(min(len(r.Findings), maxFindingsShown)); n > 0 {
		row("", "and %d more", n)
	}
	switch {
	case r.Valid() && r.Unfinal == 0 && r.Proved == r.Units:
		row("valid", "whoever trusts the submitter's key, and that the donors are not all one, can rely on it")
	case r.Valid():
		row("valid", "as far as it goes: it is no proof yet of a job that is done")
	}
}

func provedWords(r *verify.Report) string {
	return words.Part(r.Proved, r.Job.Head.Units, "unit") +
		some(r.Proved-r.Late-r.Vouched, "by votes that could not see each other") +
		some(r.Late, "with a late vote") +
		some(r.Vouched, "vouched for by the submitter's own run")
}

func answerWords(r *verify.Report) string {
	return words.Part(r.Answers, r.Job.Head.Inputs, "input") + some(r.Failed, "failed") + some(r.Stuck, "given up")
}

// some is a further part of a line, if there is any of it.
func some(n uint64, what string) string {
	if n == 0 {
		return ""
	}
	return " · " + words.Comma(n) + " " + what
}

// refusedEvidence is the error of a check that found something.
func refusedEvidence(name string, r *verify.Report) error {
	what := fmt.Sprintf("%s: %s wrong with it", name, words.Count(r.Wrong, "thing"))
	switch {
	case r.Wrong == 1:
		what = fmt.Sprintf("%s: %s", name, r.Findings[0])
	case len(r.Findings) > 0:
		what += "; the first: " + r.Findings[0].String()
	}
	return &api.Error{Code: api.CodeRefused, Message: what, Hint: remedy(r)}
}

// remedy is what to do about evidence that was refused.
func remedy(r *verify.Report) string {
	switch {
	case r.Records > 0 && r.Records == r.Pending:
		return "ask for the file again when the job is done, or take it as it is with --partial"
	case r.Records == 1 && r.Foreign:
		return "it is evidence of another submitter's job; shoal id says a submitter's ID on its own machine"
	case r.Records > 0:
		return "ask for the file again, and for the id of the job; shoal verify --output json lists all findings"
	case r.Files > 0:
		return "the evidence holds, the files do not fit it: shoal results JOB -d DIR writes them again"
	case r.Lacks != nil:
		return "give what is missing as it was given to submit: --program FILE, --data FILE, INPUT... or --lines FILE; or run shoal up here, and the grid is asked"
	}
	return "its donors agreed on what this machine does not get: shoal check PROGRAM says whether it answers the same twice"
}

// evidence says that a file of it was written, of a job that has ended or not.
func (u *ui) evidence(name string, final bool) {
	if !final {
		u.say("evidence: %s     of a job that is not done: shoal verify %s --partial", name, name)
		return
	}
	u.say("evidence: %s     anyone can check it: shoal verify %s", name, name)
}
