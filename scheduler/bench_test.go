package scheduler

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// benchShard is a shard's records: two workers that claimed 16 units at a time from five
// keepers, sealed, and revealed in batches.
func benchShard(b *testing.B, units, inputs int) (w *world, grants, seals, reveals []*jobs.Record, tuples map[jobs.Digest][]jobs.Tuple) {
	w = newWorld(b, standard(units, inputs))
	tuples = map[jobs.Digest][]jobs.Tuple{}
	keepers := []string{"k1", "k2", "k3", "k4", "k5"}
	grants = []*jobs.Record{w.sign("sam", &jobs.Placement{Keepers: w.ids(keepers)})}
	for replica, worker := range []string{"ann", "bob"} {
		var sealed, revealed []any
		var holding []jobs.Digest
		for n := range units {
			if n%MinHolds == 0 {
				holding = nil
				hs := holds(units)[n : n+MinHolds]
				for i := range hs {
					hs[i].Replica = uint8(replica)
				}
				for _, k := range keepers {
					g := w.grant(k, worker, keepers, hs...)
					grants, holding = append(grants, g), append(holding, g.ID)
				}
			}
			ts := make([]jobs.Tuple, inputs)
			for i := range ts {
				ts[i] = jobs.Tuple{Output: jobs.Sum([]byte{byte(n >> 8), byte(n), byte(i >> 8), byte(i)}), Size: 4}
			}
			d, nonce := jobs.TuplesDigest(ts), w.nonce(worker, n, uint8(replica))
			tuples[d] = ts
			c := jobs.Commit(w.job.ID, 0, uint16(n), w.node(worker).ID(), d, nonce)
			sealed = append(sealed, &jobs.Seal{Unit: uint16(n), Replica: uint8(replica), Commitment: c, Grants: holding})
			revealed = append(revealed, &jobs.Reveal{Unit: uint16(n), Replica: uint8(replica), Tuples: d, Nonce: nonce, Inline: []byte("x")})
		}
		for _, batch := range []struct {
			bodies []any
			to     *[]*jobs.Record
		}{{sealed, &seals}, {revealed, &reveals}} {
			rs, err := jobs.SignBatch(w.node(worker), "test", w.job.ID, 0, batch.bodies...)
			if err != nil {
				b.Fatal(err)
			}
			*batch.to = append(*batch.to, rs...)
		}
	}
	return w, grants, seals, reveals, tuples
}

func fill(b *testing.B, l *Ledger, tuples map[jobs.Digest][]jobs.Tuple, records ...[]*jobs.Record) {
	for _, rs := range records {
		for _, r := range rs {
			if _, err := l.Apply(r); err != nil {
				b.Fatal(err)
			}
			if v, ok := r.Body.(*jobs.Reveal); ok {
				if err := l.Attach(r, tuples[v.Tuples]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// BenchmarkShard applies all records of a shard of 1,024 units and judges it, in order; with a
// summary every 16 records, as a keeper that answers; and as one message after the other judged
// at once, which is the most work.
func BenchmarkShard(b *testing.B) {
	w, grants, seals, reveals, tuples := benchShard(b, jobs.UnitsPerShard, 1)
	judgeAll := func(l *Ledger) {
		for n := range l.Units() {
			if l.Verdict(n).State != Agreed {
				b.Fatal(w.describe(l, n))
			}
		}
	}
	b.Run("records first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l := w.ledger()
			fill(b, l, tuples, grants, seals, reveals)
			judgeAll(l)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*jobs.UnitsPerShard), "µs/unit")
	})
	b.Run("answering", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l := w.ledger()
			fill(b, l, tuples, grants)
			for _, rs := range [][]*jobs.Record{seals, reveals} {
				for i := 0; i < len(rs); i += MinHolds {
					fill(b, l, tuples, rs[i:i+MinHolds])
					l.Summary(epoch)
				}
			}
			judgeAll(l)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*jobs.UnitsPerShard), "µs/unit")
	})
}

func BenchmarkSummary(b *testing.B) {
	w, grants, seals, reveals, tuples := benchShard(b, jobs.UnitsPerShard, 1)
	held := func() *Ledger {
		l := w.ledger()
		for i := range jobs.UnitsPerShard {
			l.Claim(epoch, anyone(jobs.NodeID{byte(i / MinHolds), 1}), []jobs.Hold{{Unit: uint16(i)}})
		}
		return l
	}
	sealed, agreed := w.ledger(), w.ledger()
	fill(b, sealed, tuples, grants, seals)
	fill(b, agreed, tuples, grants, seals, reveals)
	for name, l := range map[string]*Ledger{"open": w.ledger(), "leases": held(), "sealed": sealed, "agreed": agreed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Summary(epoch)
			}
		})
	}
	b.Run("one unit changed", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			agreed.units[i%jobs.UnitsPerShard].fresh = false
			agreed.version++
			agreed.Summary(epoch)
		}
	})
	b.Run("everything changed", func(b *testing.B) {
		for b.Loop() {
			agreed.stale()
			agreed.version++
			agreed.Summary(epoch)
		}
	})
}

// BenchmarkClaim is a worker that asks for 16 replicas in a shard where all others are held.
func BenchmarkClaim(b *testing.B) {
	w, _, _, _, _ := benchShard(b, jobs.UnitsPerShard, 1)
	l := w.ledger()
	for i := range jobs.UnitsPerShard - MinHolds {
		l.Claim(epoch, anyone(jobs.NodeID{byte(i / MinHolds), 1}), []jobs.Hold{{Unit: uint16(i)}})
	}
	ask, ann := holds(jobs.UnitsPerShard)[jobs.UnitsPerShard-MinHolds:], w.node("ann").ID()
	for b.Loop() {
		if len(l.Claim(epoch, anyone(ann), ask)) != MinHolds {
			b.Fatal("refused")
		}
		l.Release(ann, ask)
	}
}

// BenchmarkLargestShard is what 1,024 units of 4,096 inputs cost to judge, and to keep in memory.
func BenchmarkLargestShard(b *testing.B) {
	const units = 64 // of the 1,024: memory is reported for all
	w, grants, seals, reveals, tuples := benchShard(b, units, jobs.MaxUnitInputs)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var keep *Ledger
	for b.Loop() {
		keep = w.ledger()
		fill(b, keep, tuples, grants)
		for n := range units {
			at := []*jobs.Record{seals[n], seals[n+units], reveals[n], reveals[n+units]}
			for _, r := range at {
				fill(b, keep, tuples, []*jobs.Record{r})
				keep.Summary(epoch)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*units), "µs/unit")
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20)*jobs.UnitsPerShard/units, "MB-verdicts")
	size := 0
	for _, ts := range tuples {
		size += len(ts) * 56
	}
	b.ReportMetric(float64(size)/(1<<20)*jobs.UnitsPerShard/units, "MB-tuples")
	if s := keep.Summary(epoch.Add(time.Second)); s.Done != units*jobs.MaxUnitInputs {
		b.Fatal(fmt.Sprint(s.Done))
	}
}
