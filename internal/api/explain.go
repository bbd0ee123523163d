package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// Explanation says why a job is where it is.
type Explanation struct {
	Schema  string   `json:"schema"` // ExplanationSchema
	Job     Job      `json:"job"`
	Reasons []Reason `json:"reasons"` // the weightiest first; there is always one
}

// Reason is one thing that a job waits for, or how it stands.
type Reason struct {
	Code string `json:"code"` // one of the Why constants
	What string `json:"what"` // a clause for people
	Try  string `json:"try"`  // one thing to do about it; "": there is nothing to do but wait
}

// The codes of a Reason.
const (
	WhyDone         = "done"
	WhyCancelled    = "cancelled"
	WhyExpired      = "expired"
	WhyStuck        = "stuck"         // donors gave up on some units
	WhyNoNode       = "no-node"       // no node runs here: this is what the home knows
	WhyLocal        = "local"         // it may not leave this machine, which does not work on it
	WhyNotPublished = "not-published" // nobody but this home has it
	WhyCopying      = "copying"       // some of its keepers lack a part of it
	WhyKeepers      = "keepers"       // its keepers cannot be asked
	WhyData         = "data"          // answers are agreed, and nobody in sight has their bytes
	WhyNoPeers      = "no-peers"
	WhyNoDonors     = "no-donors" // none, or too few for the votes
	WhyUntrusted    = "untrusted" // none that the job trusts
	WhyPaused       = "paused"    // donors that are there do not work now
	WhyMemory       = "memory"    // it asks for more than donors lend
	WhyAside        = "aside"     // this machine has set it aside
	WhyTurn         = "turn"      // its submitter has as many other jobs open as the grid's boards take
	WhyDisputed     = "disputed"  // donors do not agree
	WhyPartner      = "partner"   // units wait for another donor's word
	WhyAudit        = "audit"     // answers are agreed, and not final until their submitter has checked some
	WhyDegraded     = "degraded"  // donors lied together more often than there are votes to look for
	WhyWorking      = "working"   // nothing is in its way
)

// MarshalJSON is as that of Status.
func (e Explanation) MarshalJSON() ([]byte, error) {
	type plain Explanation
	e.Schema = ExplanationSchema
	e.Reasons = orEmpty(e.Reasons)
	return json.Marshal(plain(e))
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	return reply(w, r, func(ctx context.Context) (*Explanation, error) { return s.node.Explain(ctx, r.PathValue("job")) })
}

// Explain is Node's.
func (c *Client) Explain(ctx context.Context, ref string) (*Explanation, error) {
	return get[*Explanation](ctx, c, jobPath(ref, "/explain"))
}
