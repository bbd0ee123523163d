package worker

import (
	"math/bits"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// pick chooses up to n replicas of a shard to ask for. Units that wait for a partner come
// before untouched ones, so that answers are finished rather than begun. rnd spreads workers
// that see the same summary: they begin at different units and take different replicas.
// Of its own job a worker takes whole units; only those that it is asked for where asked is set.
func pick(sum *scheduler.Summary, own, asked bool, held func(unit uint16) bool, n int, rnd uint64) []jobs.Hold {
	var sealed, open []jobs.Hold
	for i := range sum.Len() {
		u := sum.Unit(i)
		if u.State.Decided() || held(uint16(i)) {
			continue
		}
		h := jobs.Hold{Unit: uint16(i), Replica: scheduler.WholeUnit}
		switch {
		case own && asked && !u.Own:
			continue
		case own && !u.Own && u.State == scheduler.Running:
			continue // a donor is at it: its word is as good, with a partner's
		case !own && u.Free == 0:
			continue
		case !own:
			h.Replica = oneOf(u.Free, rnd>>8)
		}
		if u.State == scheduler.Open {
			open = append(open, h)
		} else {
			sealed = append(sealed, h)
		}
	}
	switch {
	case asked: // in no order: a unit that its keepers do not grant must not keep the others waiting
		return first(rotate(append(open, sealed...), n, rnd), n)
	case own: // donors are about to finish the sealed ones; and answers should come in order
		return first(append(open, sealed...), n)
	}
	return first(append(rotate(sealed, n, rnd), rotate(open, n, rnd)...), n)
}

// oneOf chooses one of the bits that are set.
func oneOf(set uint8, rnd uint64) uint8 {
	for skip := rnd % uint64(bits.OnesCount8(set)); skip > 0; skip-- {
		set &= set - 1
	}
	return uint8(bits.TrailingZeros8(set))
}

// rotate begins at a place within the first few batches, so that early units still come first.
func rotate(hs []jobs.Hold, n int, rnd uint64) []jobs.Hold {
	if len(hs) <= n {
		return hs
	}
	at := int(rnd % uint64(min(len(hs)-n, 8*n)+1))
	return append(append([]jobs.Hold(nil), hs[at:]...), hs[:at]...)
}

func first(hs []jobs.Hold, n int) []jobs.Hold { return hs[:min(len(hs), max(n, 0))] }
