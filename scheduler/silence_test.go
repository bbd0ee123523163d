package scheduler

import (
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// A seal that is not revealed is held against its worker after a lease, and after a minute where
// leases are shorter: a busy machine is slow, and its bar would last an hour. Its replica is free for
// another after the lease alone.
func TestSilenceIsHeldAgainstItsWorker(t *testing.T) {
	for _, c := range []struct{ lease, barred time.Duration }{
		{10 * time.Second, time.Minute},
		{time.Minute, time.Minute},
		{5 * time.Minute, 5 * time.Minute},
	} {
		p := standard(1, 1)
		p.lease = c.lease
		w := newWorld(t, p)
		l := w.ledger()
		receipt := w.sign("k1", &jobs.Receipt{})
		w.apply(l, receipt, w.sign("sam", &jobs.Placement{Keepers: w.ids([]string{"k1"}), Receipts: idsOf([]*jobs.Record{receipt})}))
		var seals []*jobs.Record
		for replica, worker := range []string{"ann", "bob"} {
			g := w.grant("k1", worker, []string{"k1"}, jobs.Hold{Replica: uint8(replica)})
			seals = append(seals, g, w.seal(worker, 0, uint8(replica), "a", g))
		}
		w.apply(l, seals...)
		l.Summary(epoch) // the round is complete from now on

		at := func(d time.Duration) (free uint8, silent int) {
			s := l.Summary(epoch.Add(d))
			return s.Unit(0).Free, len(l.Dealings().Silent)
		}
		for _, when := range []struct {
			d      time.Duration
			free   bool
			silent int
		}{
			{c.lease - time.Second, false, 0},
			{c.barred - time.Second, c.lease < c.barred, 0},
			{c.barred, true, 2},
			{2 * c.barred, true, 0}, // once for each seal
		} {
			if free, silent := at(when.d); free != 0 != when.free || silent != when.silent {
				t.Errorf("lease %s, after %s: replicas %b free, %d silent", c.lease, when.d, free, silent)
			}
		}
	}
}
