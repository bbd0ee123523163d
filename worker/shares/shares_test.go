package shares

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

const epoch = 1_700_000_000

func nodeOf(n int) (id jobs.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(n)+1)
	return id
}

// machine runs one unit after the other for whoever is next.
type machine struct {
	l    *Ledger
	now  float64
	used map[jobs.NodeID]time.Duration
	last map[jobs.NodeID]float64 // when each was served last
}

func newMachine(c Choice) *machine {
	l := New()
	l.Choose(c)
	return &machine{l: l, now: epoch, used: map[jobs.NodeID]time.Duration{}, last: map[jobs.NodeID]float64{}}
}

// work runs n units; cost is what a unit of each submitter takes.
func (m *machine) work(n int, wanting []jobs.NodeID, cost func(jobs.NodeID) time.Duration) {
	for range n {
		next := m.l.Order(int64(m.now), wanting, nil)[0]
		c := cost(next)
		m.now += c.Seconds()
		m.l.Took(next)
		m.l.Charge(int64(m.now), next, c)
		m.used[next] += c
		m.last[next] = m.now
	}
}

// Whatever the weights and however long each one's units are, what the followed and all the others
// together get comes to be as the weights say, to within a turn and a unit.
func TestSharesApproachTheWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Choice{Followed: map[jobs.NodeID]uint32{}}
		var wanting []jobs.NodeID
		sum := 0.0
		for i := range rapid.IntRange(1, 5).Draw(t, "followed") {
			w := rapid.Uint32Range(1, 20).Draw(t, "weight")
			c.Followed[nodeOf(i)] = w
			wanting = append(wanting, nodeOf(i))
			sum += float64(w)
		}
		others := rapid.IntRange(0, 30).Draw(t, "others")
		for i := range others {
			wanting = append(wanting, nodeOf(100+i))
		}
		if others > 0 {
			sum++
		}
		unit := map[jobs.NodeID]time.Duration{}
		longest := time.Duration(0)
		for _, id := range wanting {
			unit[id] = time.Duration(rapid.IntRange(1, 120).Draw(t, "unit")) * time.Second
			longest = max(longest, unit[id])
		}
		m := newMachine(c)
		m.work(1500, wanting, func(id jobs.NodeID) time.Duration { return unit[id] })
		total := m.now - epoch
		slack := (longest+Turn).Seconds()*float64(len(wanting)+1)/total + 0.01 // leads fade by a little meanwhile
		rest := time.Duration(0)
		for id, d := range m.used {
			if w, followed := c.Followed[id]; !followed {
				rest += d
			} else if got, want := d.Seconds()/total, float64(w)/sum; math.Abs(got-want) > slack*float64(w) {
				t.Fatalf("weight %d of %g: share %.3f, not %.3f", w, sum, got, want)
			}
		}
		if others > 0 && math.Abs(rest.Seconds()/total-1/sum) > slack {
			t.Fatalf("%d others: share %.3f, not %.3f", others, rest.Seconds()/total, 1/sum)
		}
	})
}

// A submitter's share does not depend on how many jobs, or keys, another one makes.
func TestManyKeysWinNothingFromTheFollowed(t *testing.T) {
	minute := func(jobs.NodeID) time.Duration { return time.Minute }
	for _, keys := range []int{1, 10, 200} {
		m := newMachine(Choice{Followed: map[jobs.NodeID]uint32{nodeOf(0): 3}})
		wanting := []jobs.NodeID{nodeOf(0)}
		for i := range keys {
			wanting = append(wanting, nodeOf(i+1))
		}
		m.work(1200, wanting, minute)
		if got := m.used[nodeOf(0)].Seconds() / (m.now - epoch); math.Abs(got-0.75) > 0.01 {
			t.Errorf("beside %d strangers: share %.3f, not 0.75", keys, got)
		}
	}
}

// Whoever comes and goes, one that wants work the whole time is served again and again.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Choice{Followed: map[jobs.NodeID]uint32{nodeOf(1): rapid.Uint32Range(1, 50).Draw(t, "weight")}}
		m := newMachine(c)
		const all = 6
		waited := 0.0
		cost := func(jobs.NodeID) time.Duration { return 5 * time.Minute }
		for range 20 {
			wanting := []jobs.NodeID{nodeOf(0)} // a stranger, always
			for i := 1; i < all; i++ {
				if rapid.Bool().Draw(t, "wants") {
					wanting = append(wanting, nodeOf(i))
				}
			}
			m.now += float64(rapid.IntRange(0, 3*24*3600).Draw(t, "pause"))
			since := m.now
			m.work(100, wanting, cost)
			served := m.last[nodeOf(0)]
			if served < since {
				served = since
			}
			waited = m.now - served
			// Each of the others catches up by an hour at most, and the one of weight w then has w
			// units to one of the strangers', who share theirs.
			bound := (all*(Patience+2*5*time.Minute) + Turn).Seconds() * float64(c.Followed[nodeOf(1)]+1)
			if waited > bound {
				t.Fatalf("waited %s", time.Duration(waited)*time.Second)
			}
		}
	})
}

// One that was away for long has the machine for itself for an hour of CPU at most.
func TestWhoComesBackCatchesUpByPatience(t *testing.T) {
	m := newMachine(Choice{})
	minute := func(jobs.NodeID) time.Duration { return time.Minute }
	m.work(7*24*60, []jobs.NodeID{nodeOf(0)}, minute)
	before := m.used[nodeOf(0)]
	both := []jobs.NodeID{nodeOf(0), nodeOf(1)}
	for m.used[nodeOf(0)] == before {
		m.work(1, both, minute)
	}
	if got := m.used[nodeOf(1)]; got < Patience || got > Patience+Turn+2*time.Minute {
		t.Errorf("the newcomer had %s before the other had any", got)
	}
}

// A weight that changes counts from then on: nothing is paid back for the time before.
func TestWeightsCountFromNowOn(t *testing.T) {
	m := newMachine(Choice{Followed: map[jobs.NodeID]uint32{nodeOf(0): 1, nodeOf(1): 1}})
	both := []jobs.NodeID{nodeOf(0), nodeOf(1)}
	minute := func(jobs.NodeID) time.Duration { return time.Minute }
	m.work(5000, both, minute)
	m.l.Choose(Choice{Followed: map[jobs.NodeID]uint32{nodeOf(0): 4, nodeOf(1): 1}})
	clear(m.used)
	m.work(500, both, minute)
	if got := m.used[nodeOf(0)].Minutes(); math.Abs(got-400) > 3 {
		t.Errorf("%g of 500 units, not 400", got)
	}
}

// What is held counts as if it were done: one that holds much is not asked for more.
func TestWhatIsHeldCounts(t *testing.T) {
	l := New()
	both := []jobs.NodeID{nodeOf(0), nodeOf(1)}
	got := l.Order(epoch, both, map[jobs.NodeID]time.Duration{nodeOf(0): time.Minute})
	if got[0] != nodeOf(1) {
		t.Error("the one that holds a minute of work comes first")
	}
}

// A ledger read from its rows goes on as the one that wrote them, and is bounded.
func TestRowsOutlastARestart(t *testing.T) {
	c := Choice{Followed: map[jobs.NodeID]uint32{nodeOf(0): 2}}
	a := New()
	a.Choose(c)
	disk := map[jobs.NodeID]Row{}
	var ids []jobs.NodeID
	for i := range MaxRows + 100 {
		ids = append(ids, nodeOf(i))
		a.Charge(epoch, nodeOf(i), time.Duration(1+i*7919%1000)*time.Second)
		for _, r := range a.Changes() {
			if r.Gone {
				delete(disk, r.Submitter)
			} else {
				disk[r.Submitter] = r
			}
		}
	}
	if len(disk) > MaxRows+2 {
		t.Errorf("%d rows", len(disk))
	}
	b := New()
	for _, r := range disk {
		b.Recall(r)
	}
	b.Choose(c)
	ids = slices.DeleteFunc(ids, func(id jobs.NodeID) bool { _, kept := disk[id]; return !kept })
	if x, y := a.Order(epoch+5, ids, nil), b.Order(epoch+5, ids, nil); !slices.Equal(x, y) {
		t.Error("the order after a restart is another one")
	}
}

func TestRefuses(t *testing.T) {
	program := jobs.Sum([]byte("program"))
	h := &jobs.Head{Submitter: nodeOf(1), Program: jobs.Blob{Digest: program}}
	for _, c := range []struct {
		name  string
		block []string
		only  bool
		follo []jobs.NodeID
		want  bool
	}{
		{"anybody's", nil, false, nil, false},
		{"another is blocked", []string{nodeOf(2).String()}, false, nil, false},
		{"the submitter is blocked", []string{nodeOf(1).String()}, false, nil, true},
		{"blocked though followed", []string{nodeOf(1).String()}, false, []jobs.NodeID{nodeOf(1)}, true},
		{"the program is blocked", []string{program.String()}, false, nil, true},
		{"only followed: not", nil, true, []jobs.NodeID{nodeOf(2)}, true},
		{"only followed: it is", nil, true, []jobs.NodeID{nodeOf(1)}, false},
	} {
		choice := Choice{OnlyFollowed: c.only, Followed: map[jobs.NodeID]uint32{}}
		for _, b := range c.block {
			if err := choice.Block(b); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range c.follo {
			choice.Followed[f] = 1
		}
		if got := choice.Refuses(h); (got != "") != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestParseFollowed(t *testing.T) {
	id := nodeOf(7)
	for text, want := range map[string]uint32{id.String(): 1, id.String() + "*12": 12, " " + id.String() + " * 3": 3, id.String() + "*0": 0, id.String() + "*1001": 0, id.String() + "*-1": 0, "12D3": 0, "": 0} {
		got, weight, err := ParseFollowed(text)
		if (err == nil) != (want > 0) || err == nil && (got != id || weight != want) {
			t.Errorf("%q: %v, %d, %v", text, got, weight, err)
		}
	}
	if got, w, err := ParseFollowed(FollowedText(id.String(), 9)); got != id || w != 9 || err != nil {
		t.Error(got, w, err)
	}
}
