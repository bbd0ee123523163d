package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shoalgrid/shoal/jobs"
)

// reader turns bytes into choices; when they are used up all choices are 0.
func reader(b *[]byte) chooser {
	return func(n int) int {
		if len(*b) == 0 {
			return 0
		}
		c := int((*b)[0]) % n
		*b = (*b)[1:]
		return c
	}
}

// FuzzApply brings a ledger whatever bytes can be made to say: a batch as it comes off the wire,
// bodies of records by any author, and plays. What must hold of every ledger must hold of it, and
// the same records in reverse must make the same one.
func FuzzApply(f *testing.F) {
	w := newWorld(f, standard(2, 2))
	f.Add(jobs.Encode(jobs.Batches([]*jobs.Record{w.seal("ann", 0, 0, "a,a")})[0]))
	f.Add(jobs.Encode(jobs.Seal{Unit: 65535, Replica: 255}))
	f.Add(jobs.Encode(jobs.Grant{Worker: w.node("ann").ID(), Set: w.ids(playSets[1]), Holds: holds(3)}))
	f.Add(jobs.Encode(jobs.Reveal{Unit: 1, Replica: 9, Inline: []byte{1}}))
	f.Add([]byte("\x01\x00\x00\x01\x00\x00\x01\x07\x01\x04\x00\x01\x00\x01\x00\x01\x01\x01\x07\x04\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := newWorld(t, standard(2, 2))
		rs := w.fromBytes(raw)
		l, reversed := w.ledger(), w.ledger()
		now := epoch
		for i, r := range rs {
			w.apply(l, r)
			if i%4 == 0 {
				now = now.Add(11 * time.Second)
				l.Claim(now, anyone(w.node(playWorkers[i%len(playWorkers)]).ID()), []jobs.Hold{{Unit: uint16(i % 3), Replica: uint8(i % 5)}})
				w.invariants(l, now)
			}
		}
		w.invariants(l, now)
		for i := range rs {
			w.apply(reversed, rs[len(rs)-1-i])
		}
		calm := w.ledger() // without leases
		w.apply(calm, rs...)
		if diff := cmp.Diff(w.portrait(calm), w.portrait(reversed)); diff != "" {
			t.Fatalf("reversed, the records say something else:\n%s", diff)
		}
	})
}

// fromBytes are all the records that some bytes can be read as.
func (w *world) fromBytes(raw []byte) (rs []*jobs.Record) {
	var b jobs.Batch
	if jobs.Decode(raw, jobs.MaxBatchBytes, &b) == nil {
		if opened, err := b.Open("test"); err == nil {
			rs = append(rs, opened...)
		}
	}
	bodies := []any{&jobs.Placement{}, &jobs.Receipt{}, &jobs.Handover{}, &jobs.Grant{}, &jobs.Seal{}, &jobs.Reveal{}, &jobs.Control{}, &jobs.Draw{}}
	for i, body := range bodies {
		if jobs.Decode(raw, jobs.MaxBody, body) != nil {
			continue
		}
		for _, author := range []string{"sam", "k0", playWorkers[i%len(playWorkers)]} {
			if signed, err := jobs.SignBatch(w.node(author), "test", w.job.ID, 0, body); err == nil {
				rs = append(rs, signed...)
			}
		}
	}
	return append(rs, w.play(reader(&raw), min(len(raw)/3, 12))...)
}
