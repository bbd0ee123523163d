package shares

import (
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Row is one lead, as it is kept on disk.
type Row struct {
	Followed  bool        // on the level of those who are followed
	Submitter jobs.NodeID // zero, among the followed: all others together
	Lead      uint64      // milliseconds of CPU, by weight
	At        int64       // Unix seconds
	Gone      bool        // it is kept no more
}

// maxLead is beyond what any machine can do before it fades.
const maxLead = 1 << 50

// Changes are the rows that changed since it was last called, always in the same order.
func (l *Ledger) Changes() []Row { return append(l.followed.changes(true), l.others.changes(false)...) }

func (v *level) changes(followed bool) []Row {
	var out []Row
	for id := range v.changed {
		r, there := v.rows[id]
		out = append(out, Row{Followed: followed, Submitter: id, Lead: uint64(min(max(r.lead, 0)*1000, maxLead)), At: r.at, Gone: !there})
	}
	clear(v.changed)
	slices.SortFunc(out, func(a, b Row) int { return slices.Compare(a.Submitter[:], b.Submitter[:]) })
	return out
}

// Recall takes up a row that an earlier run kept. Rows come before Choose, which drops those that
// do not fit it.
func (l *Ledger) Recall(r Row) {
	v := &l.others
	if r.Followed {
		v = &l.followed
	}
	if len(v.rows) < MaxRows && r.Lead <= maxLead {
		v.rows[r.Submitter] = row{lead: float64(r.Lead) / 1000, at: r.At}
	}
}
