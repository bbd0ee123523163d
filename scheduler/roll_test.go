package scheduler

import (
	"encoding/binary"
	"slices"
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

// What a keeper knows of workers outlives its process, by whatever clock the next one runs: since
// when they are known, whether they have proved themselves, and what is held against them.
func TestTheRollOutlivesItsProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now, date := NewRoll(), epoch, int64(1_790_000_000)
		kept := map[jobs.NodeID][]byte{}
		keep := func() {
			changes := r.Changed(now, date)
			if rapid.Bool().Draw(t, "fails") {
				r.Unkept(changes)
				changes = r.Changed(now, date)
			}
			for _, c := range changes {
				kept[c.Worker] = c.Record
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			step := rapid.Int64Range(0, 100_000).Draw(t, "seconds")
			now, date = now.Add(time.Duration(step)*time.Second), date+step
			n := worker(rapid.IntRange(0, 4).Draw(t, "who"))
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0:
				r.Meet(now, n)
			case 1:
				r.Admit(now, n, "")
			case 2:
				r.Learn(now, Dealings{Proven: []jobs.NodeID{n}})
			case 3:
				r.Learn(now, Dealings{Silent: []jobs.NodeID{n, n}})
			case 4:
				if rapid.IntRange(0, 5).Draw(t, "guilty") == 0 {
					r.Learn(now, Dealings{Convicted: []jobs.NodeID{n}})
				}
			case 5:
				keep()
			}
		}
		keep()
		off := rapid.Int64Range(0, 1_000_000).Draw(t, "off")
		then := epoch.Add(time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "clock")) * time.Second)
		next := NewRoll()
		for n, record := range kept {
			if err := next.Restore(then, date+off, n, record); err != nil {
				t.Fatal(err)
			}
		}
		if len(next.Changed(then, date+off)) != 0 {
			t.Fatal("what was restored is to be written again")
		}
		later, then := now.Add(time.Duration(off)*time.Second), then
		for n, w := range r.workers {
			a, b := r.Applicant(later, n, ""), next.Applicant(then, n, "")
			if later.Sub(a.Met) != then.Sub(b.Met) || a.Proven != b.Proven || w.out(later) != next.workers[n].out(then) || (a.Room > 0) != (b.Room > 0) {
				t.Fatalf("%+v at %s became %+v at %s", a, later, b, then)
			}
		}
	})
}

// A date that cannot be, or a record of somebody else's making, changes nothing for long.
func TestTheRollTakesNoNonsense(t *testing.T) {
	r, eve := NewRoll(), worker(0)
	record := jobs.Encode(remembered{Met: 1 << 62, Barred: 1 << 62, Silent: 1 << 31, Bars: 1 << 31})
	if err := r.Restore(epoch, 1_790_000_000, eve, record); err != nil {
		t.Fatal(err)
	}
	if a := r.Applicant(epoch, eve, ""); a.Met.After(epoch) {
		t.Errorf("met at %s, in the future", a.Met)
	}
	if _, ok := r.Admit(epoch.Add(barMost), eve, ""); !ok {
		t.Error("barred for longer than anybody can be")
	}
	for _, bad := range [][]byte{nil, {0}, record[:len(record)-1], append(slices.Clip(record), 0), make([]byte, maxRemembered+1)} {
		if NewRoll().Restore(epoch, 0, eve, bad) == nil {
			t.Errorf("%x was taken", bad)
		}
	}
}
