package api

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Whose is whose work a node runs. A name is what a node calls itself: others can take the same, so
// it is shown beside the peer ID.
type Whose struct {
	Schema       string     `json:"schema"` // WhoseSchema
	OnlyFollowed bool       `json:"only_followed"`
	Followed     []Followed `json:"followed"` // the weightiest first
	Blocked      []Blocked  `json:"blocked"`
	Known        []Known    `json:"known"` // by name
}

// Followed is a submitter with a share of its own.
type Followed struct {
	Peer   string `json:"peer"`
	Name   string `json:"name"`
	Weight int    `json:"weight"` // all who are not followed have 1 together
}

// Blocked is a submitter, or a program, that never runs here.
type Blocked struct {
	Peer    string `json:"peer"`
	Name    string `json:"name"`
	Program string `json:"program"` // digest
}

// Known is a node that told its name.
type Known struct {
	Peer string `json:"peer"`
	Name string `json:"name"`
}

// Offered is a job of another that this node knows of.
type Offered struct {
	Job           string `json:"job"`
	Name          string `json:"name"`
	Description   string `json:"description"`
	Program       string `json:"program"` // digest
	Submitter     string `json:"submitter"`
	SubmitterName string `json:"submitter_name"`
	Refused       string `json:"refused"` // why it never runs here; "" where it may
}

// Notice is a word of a submitter to those who work for it.
type Notice struct {
	Schema        string    `json:"schema"` // NoticeSchema
	ID            string    `json:"id"`
	Submitter     string    `json:"submitter"`
	SubmitterName string    `json:"submitter_name"`
	Own           bool      `json:"own"` // this node's
	At            time.Time `json:"at"`
	Job           string    `json:"job"` // that it is about; "": none in particular
	Text          string    `json:"text"`
}

// MarshalJSON is as that of Status.
func (w Whose) MarshalJSON() ([]byte, error) {
	type plain Whose
	w.Schema = WhoseSchema
	w.Followed, w.Blocked, w.Known = orEmpty(w.Followed), orEmpty(w.Blocked), orEmpty(w.Known)
	return json.Marshal(plain(w))
}

// Sort puts its lists in the order in which they are told.
func (w *Whose) Sort() {
	slices.SortFunc(w.Followed, func(a, b Followed) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Peer, b.Peer))
	})
	slices.SortFunc(w.Blocked, func(a, b Blocked) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Program, b.Program))
	})
	slices.SortFunc(w.Known, func(a, b Known) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Peer, b.Peer))
	})
}

// MarshalJSON names the schema.
func (n Notice) MarshalJSON() ([]byte, error) {
	type plain Notice
	n.Schema = NoticeSchema
	return json.Marshal(plain(n))
}
