package collect

import (
	"maps"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// maxGuilty bounds the convicted that a trial remembers though nothing is known of them.
const maxGuilty = 4096

// convict burns those whom two records of their own convict. A stranger comes into the book only
// once it has a vote, which it must be assigned for: anyone can make keys that contradict themselves,
// and the book has an end.
func (t *trial) convict(l *scheduler.Ledger) {
	guilty := l.Convicted()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range slices.SortedFunc(maps.Keys(guilty), func(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) }) {
		switch d := t.book.Get(id); {
		case d.Burned:
		case d != trust.Donor{}:
			t.accept.Burn(id)
		case len(t.guilty) < maxGuilty:
			t.guilty[id] = true
		}
	}
}

// burnGuilty burns those of some voters who were convicted before they had a vote. The caller holds
// mu.
func (t *trial) burnGuilty(votes []trust.Vote) {
	for _, v := range votes {
		if t.guilty[v.Worker] {
			delete(t.guilty, v.Worker)
			t.accept.Burn(v.Worker)
		}
	}
}
