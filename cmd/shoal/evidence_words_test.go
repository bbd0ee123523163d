package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/verify"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/evidence"
)

// keyed is a key that is the same in every run.
type keyed struct{ ed25519.PrivateKey }

func keyFor(name string) keyed {
	seed := sha256.Sum256([]byte(name))
	return keyed{ed25519.NewKeyFromSeed(seed[:])}
}

func (k keyed) ID() jobs.NodeID      { return jobs.NodeID(k.Public().(ed25519.PublicKey)) }
func (k keyed) Sign(m []byte) []byte { return ed25519.Sign(k.PrivateKey, m) }

func sampleReport(t *testing.T) *verify.Report {
	t.Helper()
	submitter := keyFor("submitter")
	job, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "main", Submitter: submitter.ID(), Created: 1, Expires: 100, Name: "count.wasm",
		Program: jobs.BlobOf([]byte("program")), Profile: 1, Inputs: 120, Units: 12,
		Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, Fuel: 1e9, CPU: 1000}, Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60},
	}, submitter)
	if err != nil {
		t.Fatal(err)
	}
	r := &verify.Report{Report: &evidence.Report{
		Job: job, Units: 12, Proved: 11, Late: 1, Vouched: 2, Answers: 105, Failed: 4, Stuck: 1, Votes: 20,
		Donors: map[jobs.NodeID]*evidence.Share{
			keyFor("ann").ID(): {Units: 9, Inputs: 90, Fuel: 1234567}, keyFor("bob").ID(): {Units: 9, Inputs: 89, Fuel: 1234567, Late: 67},
		},
	}, Outputs: &verify.Outputs{Right: 105, Unnamed: 5}, Rerun: &verify.Rerun{Units: 3, Inputs: 30, Same: 28, Unjudged: 1}}
	r.Add([]evidence.Finding{
		evidence.Found(evidence.WhereUnit(4, 40, 10), "no verdict is proved"),
		evidence.Found("the folder of outputs", "more is the accepted output of no input"),
	}, 2)
	return r
}

// What is said of evidence, to people and to scripts.
func TestEvidenceWords(t *testing.T) {
	r := sampleReport(t)
	var text strings.Builder
	verifyTable(&text, r)
	golden(t, "verify.txt", text.String())
	doc, err := json.MarshalIndent(verifyDocumentOf("proof", r), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "verify.json", string(doc)+"\n")

	report := func(change func(*verify.Report)) *verify.Report {
		r := sampleReport(t)
		change(r)
		return r
	}
	one := &verify.Report{Report: &evidence.Report{}, Lacks: errors.New("no program")}
	one.Add([]evidence.Finding{evidence.Found("the units to run again", "no program")}, 1)
	for _, c := range []struct {
		r           *verify.Report
		words, hint string
	}{
		{report(func(r *verify.Report) { r.Records, r.Pending, r.Wrong = 2, 1, 2 }), "proof: 2 things wrong with it; the first: unit 5 (inputs 41 to 50): no verdict is proved", "--output json"},
		{report(func(r *verify.Report) { r.Records, r.Pending, r.Wrong = 2, 2, 2 }), "proof: 2 things wrong with it; the first: unit 5 (inputs 41 to 50): no verdict is proved", "--partial"},
		{report(func(r *verify.Report) { r.Files, r.Wrong, r.Findings = 1, 1, r.Findings[1:] }), "proof: the folder of outputs: more is the accepted output of no input", "the evidence holds"},
		{report(func(r *verify.Report) { r.Foreign, r.Records, r.Wrong = true, 1, 1 }), "proof: unit 5 (inputs 41 to 50): no verdict is proved", "another submitter's job"},
		{report(func(r *verify.Report) { r.Wrong = 1 }), "proof: unit 5 (inputs 41 to 50): no verdict is proved", "shoal check"},
		{one, "proof: the units to run again: no program", "--program FILE"},
	} {
		e := api.AsError(refusedEvidence("proof", c.r))
		if e.Code != api.CodeRefused || e.Message != c.words || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%+v, not %q", e, c.words)
		}
	}
}

// An account of three days, of which two are within a week.
func TestCreditWords(t *testing.T) {
	ann, bob := keyFor("ann").ID().String(), keyFor("bob").ID().String()
	c := &api.Credit{
		Schema: api.CreditSchema, Peer: ann,
		Done: []api.Done{
			{Day: "2026-11-22", Submitter: bob, CPUSeconds: 75, Units: 5, Inputs: 40, Accepted: 2, Disagreed: 1, GaveUp: 1, Unused: 1},
			{Day: "2026-11-20", Submitter: bob, CPUSeconds: 3600, Units: 7, Inputs: 70, Accepted: 7},
			{Submitter: "", CPUSeconds: 90, Units: 3, Inputs: 3, Accepted: 3},
		},
		Earned: []api.Earned{
			{Submitter: ann, Donor: bob, Units: 9, Inputs: 90, Fuel: 1234567}, {Submitter: ann, Donor: ann, Units: 9, Inputs: 89, Fuel: 1234, LateFuel: 34},
		},
	}
	var text strings.Builder
	creditSince(&text, c, time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	creditSince(&text, &api.Credit{}, time.Time{})
	golden(t, "credit.txt", text.String())
	chosen(c, []string{bob})
	if len(c.Done) != 2 || len(c.Earned) != 0 {
		t.Errorf("of one submitter: %+v", c)
	}
}
