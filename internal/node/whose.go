package node

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
)

// Whose is whose work this node runs, and the nodes whose names it has heard.
func (n *Node) Whose(context.Context) (*api.Whose, error) {
	n.mu.Lock()
	c := n.lending.config
	n.mu.Unlock()
	choice, err := c.Choice()
	if err != nil {
		return nil, err
	}
	w := &api.Whose{OnlyFollowed: choice.OnlyFollowed}
	for id, weight := range choice.Followed {
		w.Followed = append(w.Followed, api.Followed{Peer: id.String(), Name: n.nameOf(id), Weight: int(weight)})
	}
	for id := range choice.Peers {
		w.Blocked = append(w.Blocked, api.Blocked{Peer: id.String(), Name: n.nameOf(id)})
	}
	for d := range choice.Programs {
		w.Blocked = append(w.Blocked, api.Blocked{Program: d.String()})
	}
	for id, name := range n.names.all() {
		w.Known = append(w.Known, api.Known{Peer: id.String(), Name: name})
	}
	w.Sort()
	return w, nil
}

// maxOffered bounds the jobs of others that a status tells of.
const maxOffered = 50

// offered are others' jobs on the board, the newest first: what may run here next, and what is not
// to. A job that was seen to be finished is none, also while its submitter is off and cannot say so.
func (n *Node) offered() []api.Offered {
	list := slices.DeleteFunc(n.board.Jobs(), func(j *jobs.Job) bool {
		return j.Head.Submitter == n.self || n.worker.Finished(j.ID)
	})
	slices.SortFunc(list, func(a, b *jobs.Job) int {
		return cmp.Or(cmp.Compare(b.Head.Created, a.Head.Created), bytes.Compare(a.ID[:], b.ID[:]))
	})
	var out []api.Offered
	for _, j := range list[:min(len(list), maxOffered)] {
		h := &j.Head
		out = append(out, api.Offered{
			Job: j.ID.String(), Name: h.Name, Description: h.Description, Program: h.Program.Digest.String(),
			Submitter: h.Submitter.String(), SubmitterName: n.nameOf(h.Submitter), Refused: n.worker.Refuses(j),
		})
	}
	return out
}
