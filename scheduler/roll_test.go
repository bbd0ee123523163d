package scheduler

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

func worker(n int) (id jobs.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(n+1))
	return id
}

// Who asks too often is let wait; so is a network of many keys, but no LAN.
func TestClaimRates(t *testing.T) {
	const network = "192.0.2.0/24"
	for name, c := range map[string]struct {
		keys    int
		network string
		want    int // claims let through of 2,000 at once
	}{
		"one key":                     {1, network, claimsBurst},
		"a hundred keys of a network": {100, network, networkTimes * claimsBurst},
		"a hundred keys of a LAN":     {100, "", 2000},
	} {
		r := NewRoll()
		let := 0
		for i := range 2000 {
			if _, ok := r.Admit(epoch, worker(i%c.keys), c.network); ok {
				let++
			}
		}
		if let != c.want {
			t.Errorf("%s: %d of 2,000 claims let through, not %d", name, let, c.want)
		}
		if _, ok := r.Admit(epoch.Add(time.Second), worker(0), c.network); !ok {
			t.Errorf("%s: barred for longer than a second", name)
		}
	}
}

// What one worker, and one network, holds over all shards is bounded.
func TestLiveGrantsAreBounded(t *testing.T) {
	const network = "192.0.2.0/24"
	r := NewRoll()
	total := 0
	for i := range 8 {
		a, ok := r.Admit(epoch, worker(i), network)
		if !ok {
			t.Fatal("not admitted")
		}
		for shard := range 4 {
			n := min(a.Room, jobs.MaxGrantHolds)
			r.Holds(epoch, worker(i), Place{Shard: uint32(shard)}, n, epoch.Add(time.Minute))
			total += n
			a, _ = r.Admit(epoch, worker(i), network)
		}
		if a.Room > 0 {
			t.Errorf("worker %d has room for %d more", i, a.Room)
		}
	}
	if total != networkTimes*maxLive {
		t.Errorf("one network holds %d", total)
	}
	if a, _ := r.Admit(epoch, worker(100), ""); a.Room != maxLive {
		t.Errorf("another is left %d", a.Room)
	}
	if a, _ := r.Admit(epoch.Add(time.Minute), worker(0), network); a.Room != maxLive {
		t.Errorf("%d are left when all leases have run out", a.Room)
	}
}

// Two seals that are not revealed bar a worker for an hour, then for two, …; many that fall due
// together are one lapse; a calm week forgives.
func TestSilenceLosesStanding(t *testing.T) {
	r, eve := NewRoll(), worker(0)
	silent := func(at time.Time, n int) {
		for range n {
			r.Learn(at, Dealings{Silent: []jobs.NodeID{eve}})
		}
	}
	free := func(at time.Time) bool { _, ok := r.Admit(at, eve, ""); return ok }
	now := epoch
	if silent(now, 1); !free(now) {
		t.Fatal("barred for one")
	}
	for _, bar := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour} {
		silent(now, 40)
		if free(now.Add(bar-time.Second)) || !free(now.Add(bar)) {
			t.Fatalf("not barred for %s", bar)
		}
		now = now.Add(bar)
	}
	if now = now.Add(forgiveAfter + time.Second); !free(now) {
		t.Fatal("barred for ever")
	}
	silent(now, silences)
	if free(now) || !free(now.Add(time.Hour)) {
		t.Error("nothing is forgiven")
	}
	r.Learn(now, Dealings{Convicted: []jobs.NodeID{eve}})
	if free(now.Add(1000 * time.Hour)) {
		t.Error("who is convicted gets work")
	}
}

// A roll is bounded whatever is asked of it, and forgets the harmless and the long gone first.
func TestRollIsBounded(t *testing.T) {
	r, eve := NewRoll(), worker(0)
	r.Learn(epoch, Dealings{Convicted: []jobs.NodeID{eve}})
	for i := range 3 * maxRoll {
		r.Admit(epoch.Add(time.Duration(i)*time.Millisecond), worker(i+1), string(binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	if len(r.workers) > maxRoll || len(r.networks) > maxRoll {
		t.Errorf("%d workers, %d networks", len(r.workers), len(r.networks))
	}
	if _, ok := r.Admit(epoch, eve, ""); ok {
		t.Error("a flood made the keeper forget whom it had convicted")
	}
	if n := r.Donors(epoch.Add(activeFor + time.Hour)); n != 0 {
		t.Errorf("%d known donors of long ago", n)
	}
}

// Nobody is ever let more through than the bounds say, whatever the order of things.
func TestRollNeverAdmitsTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := NewRoll(), epoch
		began, let := now, 0
		for range rapid.IntRange(1, 400).Draw(t, "claims") {
			now = now.Add(time.Duration(rapid.IntRange(-50, 100).Draw(t, "pause")) * time.Millisecond)
			a, ok := r.Admit(now, worker(0), "")
			if !ok {
				continue
			}
			let++
			if a.Room > maxLive {
				t.Fatalf("room for %d", a.Room)
			}
		}
		if most := claimsBurst + claimsRate*(max(now.Sub(began), 0)+time.Minute).Seconds(); float64(let) > most {
			t.Fatalf("%d claims in %s", let, now.Sub(began))
		}
	})
}
