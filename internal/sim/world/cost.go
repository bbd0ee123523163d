package world

import (
	"maps"
	"slices"

	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Cost is of some messages: how often something was asked, and the bytes of that and the answers.
type Cost struct {
	Messages int
	Bytes    int64
}

// Kinds is what a world's messages cost by what they were about: a verb of the keeper protocol, or
// blob, board, gossip.
type Kinds map[string]Cost

// Names are the kinds, the one with most messages first.
func (k Kinds) Names() []string {
	return slices.SortedFunc(maps.Keys(k), func(a, b string) int { return k[b].Messages - k[a].Messages })
}

func (k Kinds) count(kind string, messages, size int) {
	c := k[kind]
	c.Messages, c.Bytes = c.Messages+messages, c.Bytes+int64(size)
	k[kind] = c
}

func (k *Kinds) add(o Kinds) {
	if *k == nil {
		*k = Kinds{}
	}
	for name, c := range o {
		k.count(name, c.Messages, int(c.Bytes))
	}
}

// Sizes of what here has no encoding, as measured of real nodes: the question for a board, with the
// digest of the asker's, and a job's post.
const (
	boardAsk = 40
	postSize = 2 << 10
)

func kindOf(request []byte) string {
	verb, _, err := protocol.SplitRequest(request)
	if err != nil {
		return "none"
	}
	return verb.String()
}

// sends counts a question, and answers what came back, while a job is open.
func (w *world) sends(kind string, size int) {
	if !w.ended {
		w.report.Messages++
		w.report.Bytes += int64(size)
		w.report.Kinds.count(kind, 1, size)
	}
}

func (w *world) answers(kind string, size int) {
	if !w.ended {
		w.report.Bytes += int64(size)
		w.report.Kinds.count(kind, 0, size)
	}
}

func (w *world) looksUp() {
	if !w.ended {
		w.report.Lookups++
	}
}

// ends notes when the last job is complete.
func (w *world) ends() {
	w.ended = !slices.ContainsFunc(w.works, func(k *work) bool { return !k.complete })
	if w.ended {
		w.report.Ended = w.loop.Elapsed()
	}
}
