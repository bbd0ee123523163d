package scheduler

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// Two records convict who said two things of one unit, and nobody else. They are brought through
// their encoding: that is all that an offline judge has.
func TestConvict(t *testing.T) {
	w := newWorld(t, standard(2, 1))
	g := w.grant("k1", "eve", []string{"k1"}, jobs.Hold{})
	otherShard, err := jobs.SignBatch(w.node("eve"), "test", w.job.ID, 1, w.seal("eve", 0, 0, "b").Body)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newWorld(t, standard(3, 1))
	for name, c := range map[string]struct {
		a, b *jobs.Record
		want bool
	}{
		"two seals":                   {w.seal("eve", 0, 0, "a"), w.seal("eve", 0, 0, "b"), true},
		"two seals, other grants":     {w.seal("eve", 0, 0, "a"), w.seal("eve", 0, 0, "b", g), true},
		"two reveals":                 {w.reveal("eve", 0, 0, "a"), w.reveal("eve", 0, 0, "b"), true},
		"the same seal again":         {w.seal("eve", 0, 0, "a"), w.seal("eve", 0, 0, "a", g), false},
		"the same reveal, more seals": {w.reveal("eve", 0, 0, "a"), w.reveal("eve", 0, 0, "a", g), false},
		"two workers":                 {w.seal("eve", 0, 0, "a"), w.seal("ann", 0, 0, "b"), false},
		"two units":                   {w.seal("eve", 0, 0, "a"), w.seal("eve", 1, 0, "b"), false},
		"two shards":                  {w.seal("eve", 0, 0, "a"), otherShard[0], false},
		"two jobs":                    {w.seal("eve", 0, 0, "a"), elsewhere.seal("eve", 0, 0, "b"), false},
		"a seal and a reveal":         {w.seal("eve", 0, 0, "a"), w.reveal("eve", 0, 0, "b"), false},
		"a submitter's own two runs":  {w.reveal("sam", 0, WholeUnit, "?"), w.reveal("sam", 0, WholeUnit, "b"), false},
		"two grants":                  {g, w.grant("k1", "ann", []string{"k1"}, jobs.Hold{}), false},
	} {
		for _, pair := range [][2]*jobs.Record{{c.a, c.b}, {c.b, c.a}} {
			who, got := Convict(pair[0], pair[1])
			if got != c.want || got && who != w.node("eve").ID() {
				t.Errorf("%s: convicts %v %s", name, got, w.names[who])
			}
		}
	}
}

// honest is a worker as package worker makes them: what it will say of a unit is on its disk
// before any of it leaves, and what lies there is never replaced.
type honest struct {
	*world
	name string
	disk map[int]string // unit: answer
	said []*jobs.Record
}

func (h *honest) run(unit int, answer string, replica uint8, crash int) {
	if was, ok := h.disk[unit]; ok {
		answer = was
	} else if crash == 0 {
		return // before the write
	} else {
		h.disk[unit] = answer
	}
	if crash == 1 {
		return // after it
	}
	seal := h.sealOf(unit, replica, answer)
	if h.said = append(h.said, seal); crash != 2 {
		h.said = append(h.said, h.sign(h.name, &jobs.Reveal{Unit: uint16(unit), Replica: replica, Tuples: jobs.TuplesDigest(h.tuples(answer)),
			Nonce: h.nonce(h.name, unit, 0), Seals: idsOf(h.said), GaveUp: answer == "?", Inline: []byte(answer)}))
	}
}

// sealOf is a seal under the nonce of the unit, whatever the replica.
func (h *honest) sealOf(unit int, replica uint8, answer string) *jobs.Record {
	c := jobs.Commit(h.job.ID, 0, uint16(unit), h.node(h.name).ID(), jobs.TuplesDigest(h.tuples(answer)), h.nonce(h.name, unit, 0))
	return h.sign(h.name, &jobs.Seal{Unit: uint16(unit), Replica: replica, Commitment: c, Grants: idsOf(h.said[:min(len(h.said), 2)])})
}

// No schedule of crashes, restarts and new assignments convicts an honest worker, though what
// its machine gives up depends on the day; and a ledger that hears it all convicts nobody.
func TestTheHonestAreNeverConvicted(t *testing.T) {
	spoke := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, standard(2, 1))
		h := &honest{world: w, name: "ann", disk: map[int]string{}}
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			h.run(rapid.IntRange(0, 1).Draw(t, "unit"), rapid.SampledFrom([]string{"a", "?"}).Draw(t, "answer"),
				uint8(rapid.IntRange(0, 3).Draw(t, "replica")), rapid.IntRange(0, 3).Draw(t, "crash"))
		}
		l := w.ledger()
		w.apply(l, h.said...)
		for i, a := range h.said {
			for _, b := range h.said[:i] {
				if _, bad := Convict(a, b); bad {
					t.Fatalf("%v and %v convict an honest worker", a.Body, b.Body)
				}
			}
		}
		if len(l.Convicted()) > 0 || len(l.Dealings().Convicted) > 0 {
			t.Fatal("the ledger convicts an honest worker")
		}
		spoke += len(h.said)
	})
	if spoke < 20 {
		t.Errorf("only %d records were made: the runs say little", spoke)
	}
}

// Whatever is played, a ledger convicts exactly those of whom it holds two sayings of one unit,
// gives them no more work, and what it shows convicts them anywhere.
func TestLedgersConvictTheGuilty(t *testing.T) {
	convictions := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, standard(2, 2))
		l := w.ledger()
		w.apply(l, w.play(drawn(t), 24)...)
		guilty := map[jobs.NodeID]bool{}
		for n := range l.Units() {
			for _, rs := range [][]*jobs.Record{l.Seals(n), l.Reveals(n)} {
				for i, a := range rs {
					for _, b := range rs[:i] {
						if who, bad := Convict(a, b); bad {
							guilty[who] = true
						}
					}
				}
			}
		}
		for who, e := range l.Convicted() {
			if proved, ok := Convict(e.A, e.B); !ok || proved != who || !guilty[who] {
				t.Fatalf("%s is convicted of nothing", w.names[who])
			}
			if len(l.Claim(epoch, anyone(who), []jobs.Hold{{Unit: 0}, {Unit: 0, Replica: 1}, {Unit: 1}, {Unit: 1, Replica: 1}})) > 0 {
				t.Fatalf("%s is convicted and gets work", w.names[who])
			}
			if held := []jobs.Hold{{Unit: 0}, {Unit: 1, Replica: 1}}; !slices.Equal(l.Renew(epoch, anyone(who), held), held) {
				t.Fatalf("%s is convicted and goes on holding", w.names[who])
			}
			convictions++
		}
		if len(l.Convicted()) < len(guilty) {
			t.Fatalf("%d guilty, %d convicted", len(guilty), len(l.Convicted()))
		}
	})
	if convictions == 0 {
		t.Error("nobody was ever convicted: the plays say little")
	}
}
