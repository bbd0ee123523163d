package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// oracle is a second judge, deliberately dumb: it reads DESIGN §3 and counts by hand, over a
// plain list of records, each time from the beginning.
type oracle struct {
	*world
	records []*jobs.Record
	sets    [][]jobs.NodeID // of keepers, that are recognised
}

func newOracle(w *world, records []*jobs.Record) oracle {
	o := oracle{world: w, records: records}
	o.sets = o.recognised()
	return o
}

// recognised are the sets of keepers that placements name, and that more than half of such a set
// handed over to.
func (o oracle) recognised() (sets [][]jobs.NodeID) {
	for range o.records { // often enough to reach every set
		for _, r := range o.records {
			switch b := r.Body.(type) {
			case *jobs.Placement:
				sets = append(sets, b.Keepers)
			case *jobs.Handover:
				var by []jobs.NodeID
				for _, other := range o.records {
					if h, ok := other.Body.(*jobs.Handover); ok && o.sameSet(h.Set, b.Set) {
						by = append(by, other.Author)
					}
				}
				if len(b.Set) > 1 && o.mostOfOne(sets, by) {
					sets = append(sets, b.Set)
				}
			}
		}
		slices.SortFunc(sets, func(a, b []jobs.NodeID) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		sets = slices.CompactFunc(sets, func(a, b []jobs.NodeID) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
	}
	return sets
}

func (o oracle) sameSet(a, b []jobs.NodeID) bool {
	for _, n := range append(slices.Clone(a), b...) {
		if !slices.Contains(a, n) || !slices.Contains(b, n) {
			return false
		}
	}
	return true
}

// mostOfOne: more than half of one of the sets is among some nodes.
func (o oracle) mostOfOne(sets [][]jobs.NodeID, among []jobs.NodeID) bool {
	for _, set := range sets {
		n := 0
		for _, k := range set {
			if slices.Contains(among, k) {
				n++
			}
		}
		if 2*n > len(set) {
			return true
		}
	}
	return false
}

// granted: more than half of a recognised set granted the same.
func (o oracle) granted(worker jobs.NodeID, s *jobs.Seal) bool {
	var by []jobs.NodeID
	for _, r := range o.records {
		g, ok := r.Body.(*jobs.Grant)
		if ok && slices.Contains(s.Grants, r.ID) && g.Worker == worker && slices.Contains(g.Holds, jobs.Hold{Unit: s.Unit, Replica: s.Replica}) {
			by = append(by, r.Author)
		}
	}
	return o.mostOfOne(o.sets, by)
}

// votes are the tuples of each worker that counts.
func (o oracle) votes(unit int) map[jobs.NodeID][]jobs.Tuple {
	sealed, said := map[jobs.NodeID]map[jobs.Digest]bool{}, map[jobs.NodeID]map[jobs.Digest]bool{}
	note := func(m map[jobs.NodeID]map[jobs.Digest]bool, who jobs.NodeID, what jobs.Digest) {
		if m[who] == nil {
			m[who] = map[jobs.Digest]bool{}
		}
		m[who][what] = true
	}
	out := map[jobs.NodeID][]jobs.Tuple{}
	for _, r := range o.records {
		switch b := r.Body.(type) {
		case *jobs.Seal:
			if int(b.Unit) == unit {
				note(sealed, r.Author, b.Commitment)
			}
		case *jobs.Reveal:
			if int(b.Unit) != unit {
				continue
			}
			note(said, r.Author, b.Tuples)
			ts := o.answers[b.Tuples]
			gaveUp := false
			for _, t := range ts {
				gaveUp = gaveUp || t.Outcome == jobs.GaveUp
			}
			if gaveUp == b.GaveUp && (r.Author == o.job.Head.Submitter || o.sealedAndGranted(r.Author, b)) {
				out[r.Author] = ts
			}
		}
	}
	for who := range out {
		if len(sealed[who]) > 1 && who != o.job.Head.Submitter || len(said[who]) > 1 {
			delete(out, who)
		}
	}
	return out
}

func (o oracle) sealedAndGranted(worker jobs.NodeID, b *jobs.Reveal) bool {
	for _, r := range o.records {
		s, ok := r.Body.(*jobs.Seal)
		if ok && r.Author == worker && s.Unit == b.Unit && s.Replica == b.Replica && o.granted(worker, s) &&
			s.Commitment == jobs.Commit(o.job.ID, 0, b.Unit, worker, b.Tuples, b.Nonce) {
			return true
		}
	}
	return false
}

// input judges one input: its state, and the tuple where there is one.
func (o oracle) input(votes map[jobs.NodeID][]jobs.Tuple, i int) (State, jobs.Tuple) {
	counts := map[jobs.Tuple]int{}
	gaveUp := 0
	for who, ts := range votes {
		own := who == o.job.Head.Submitter
		switch {
		case ts[i].Outcome == jobs.GaveUp && own:
			gaveUp += 3
		case ts[i].Outcome == jobs.GaveUp:
			gaveUp++
		case own:
			counts[ts[i]] += 1000
		default:
			counts[ts[i]]++
		}
	}
	for t, n := range counts {
		most := true
		for other, m := range counts {
			most = most && (other == t || m < n)
		}
		if most && n >= int(o.job.Head.Policy.Votes) {
			if t.Outcome == jobs.OK {
				return Agreed, t
			}
			return Failed, t
		}
	}
	switch {
	case gaveUp >= 3:
		return Stuck, jobs.Tuple{Outcome: jobs.GaveUp}
	case len(votes) >= 8:
		return Disputed, jobs.Tuple{}
	}
	return Open, jobs.Tuple{}
}

// verdict is the oracle's word on a unit: voters, and what was decided for each input.
func (o oracle) verdict(unit int) string {
	votes := o.votes(unit)
	var voters, inputs []string
	states := map[State]bool{}
	for who := range votes {
		voters = append(voters, o.names[who])
	}
	for i := range int(o.manifest.Units[unit].Count) {
		s, t := o.input(votes, i)
		states[s] = true
		inputs = append(inputs, fmt.Sprint(s, t))
	}
	for _, s := range []State{Open, Disputed, Stuck, Failed, Agreed} {
		if states[s] {
			return verdictLine(s, voters, inputs)
		}
	}
	return ""
}

func verdictLine(s State, voters, inputs []string) string {
	slices.Sort(voters)
	return fmt.Sprint(s, " by ", voters, ": ", inputs)
}

// judged is the ledger's word on a unit in the oracle's form.
func (w *world) judged(l *Ledger, unit int) string {
	v := l.Verdict(unit)
	var voters, inputs []string
	for _, x := range v.Votes {
		voters = append(voters, w.names[x.Worker])
	}
	for i := range int(w.manifest.Units[unit].Count) {
		in := InputVerdict{State: Open}
		if len(v.Votes) > 0 {
			in = v.Input(i)
		}
		inputs = append(inputs, fmt.Sprint(in.State, in.Tuple))
	}
	return verdictLine(v.State, voters, inputs)
}

func TestVerdictIsTheOracles(t *testing.T) {
	seen := map[State]int{}
	rapid.Check(t, func(t *rapid.T) {
		p := standard(2, 2)
		if rapid.Bool().Draw(t, "trusted") {
			p.level, p.votes, p.trust = jobs.Trusted, 1, playWorkers
		}
		w := newWorld(t, p)
		l := w.ledger()
		w.apply(l, w.play(drawn(t), 24)...)
		for n := range l.Units() {
			if got, want := w.judged(l, n), newOracle(w, all(l)).verdict(n); got != want {
				t.Fatalf("unit %d:\nledger %s\noracle %s", n, got, want)
			}
			seen[l.Verdict(n).State]++
		}
	})
	for _, s := range []State{Open, Agreed, Failed, Stuck} {
		if seen[s] == 0 && !testing.Short() { // which plays too few
			t.Errorf("no play led to %s: they say little", s)
		}
	}
	t.Log("states met:", seen)
}

// The judge alone meets more votes and more ties than whole plays do.
func TestJudgeIsTheOracles(t *testing.T) {
	w := newWorld(t, standard(1, 2))
	rapid.Check(t, func(t *rapid.T) {
		need := rapid.IntRange(1, 4).Draw(t, "need")
		w.job.Head.Policy.Votes = uint8(need)
		words := rapid.SliceOfN(rapid.SampledFrom(playAnswers), 0, 10).Draw(t, "answers")
		own := rapid.IntRange(-20, 9).Draw(t, "own")
		dumb := map[jobs.NodeID][]jobs.Tuple{}
		var votes []Vote
		for i, word := range words {
			worker := jobs.NodeID{byte(i)}
			if i == own {
				worker = w.job.Head.Submitter
			}
			dumb[worker] = w.tuples(word)
			votes = append(votes, Vote{Worker: worker, Tuples: w.tuples(word), Own: i == own})
		}
		v := judge(votes, 2, need)
		for i := range v.Inputs() {
			s, tuple := oracle{world: w}.input(dumb, i)
			if v.Input(i).State != s || v.Input(i).Tuple != tuple {
				t.Fatalf("input %d: judge %v, oracle %v %v", i, v.Input(i), s, tuple)
			}
		}
	})
}
