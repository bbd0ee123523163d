package scheduler

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// chooser picks a number from 0 up to n, n itself left out. Random tests draw it from rapid, the
// fuzz test from its bytes.
type chooser func(n int) int

func drawn(t *rapid.T) chooser {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
}

// The cast of made-up plays.
var (
	playKeepers = []string{"k0", "k1", "k2", "k3", "eve"} // eve keeps nothing
	playWorkers = []string{"ann", "bob", "cid", "dan", "eve"}
	playAnswers = []string{"a,a", "a,b", "b,a", "?,a", "?,?", "!,a"}
	playSets    = [][]string{{"k0"}, {"k0", "k1", "k2"}, {"k1", "k2", "k3"}, {"k3", "eve"}, {"eve"}, {"k0", "k1"}}
)

// scene is one assignment of a play.
type scene struct {
	worker, answer string
	unit           int
	replica        uint8
	grants, seals  []*jobs.Record
}

// play makes records up: mostly such as happen, and all sorts that should not.
func (w *world) play(pick chooser, steps int) (rs []*jobs.Record) {
	var scenes []*scene
	rs = append(rs, w.sign("sam", &jobs.Placement{Keepers: w.ids(playSets[pick(3)])}))
	for range steps {
		action := pick(10)
		if len(scenes) == 0 {
			action = 0
		}
		if action < 4 {
			s := w.assign(pick)
			scenes = append(scenes, s)
			rs = append(append(rs, s.grants...), s.seals...)
			continue
		}
		s := scenes[pick(len(scenes))]
		switch action {
		case 4, 5, 6: // reveal what was sealed
			rs = append(rs, w.reveal(s.worker, s.unit, s.replica, s.answer, s.seals[:pick(2)]...))
		case 7: // say something else, sealed or not
			s.answer = playAnswers[pick(len(playAnswers))]
			if pick(2) == 0 {
				s.seals = append(s.seals, w.seal(s.worker, s.unit, s.replica, s.answer, s.grants...))
				rs = append(rs, s.seals[len(s.seals)-1])
			}
		case 8:
			rs = append(rs, w.outOfTurn(pick, s))
		case 9:
			rs = append(rs, w.ofTheShard(pick))
		}
	}
	return rs
}

// assign makes a worker's grants and its seal.
func (w *world) assign(pick chooser) *scene {
	s := &scene{
		worker: playWorkers[pick(len(playWorkers))], answer: playAnswers[pick(len(playAnswers))],
		unit: pick(len(w.manifest.Units)), replica: uint8(pick(3)),
	}
	set := playSets[pick(len(playSets))]
	asked := pick(1 << len(set))
	if pick(3) > 0 {
		asked = 1<<len(set) - 1
	}
	for i, k := range set {
		if asked&(1<<i) != 0 {
			s.grants = append(s.grants, w.grant(k, s.worker, set, jobs.Hold{Unit: uint16(s.unit), Replica: s.replica}))
		}
	}
	s.seals = []*jobs.Record{w.seal(s.worker, s.unit, s.replica, s.answer, s.grants...)}
	return s
}

// outOfTurn is a record that only looks as if it belonged to an assignment.
func (w *world) outOfTurn(pick chooser, s *scene) *jobs.Record {
	other := playWorkers[pick(len(playWorkers))]
	switch pick(4) {
	case 0: // another's commitment
		b := *s.seals[0].Body.(*jobs.Seal)
		return w.sign(other, &b)
	case 1: // another's answer
		return w.sign(other, w.reveal(s.worker, s.unit, s.replica, s.answer).Body)
	case 2: // the wrong word on whether something was given up
		b := *w.reveal(s.worker, s.unit, s.replica, s.answer).Body.(*jobs.Reveal)
		b.GaveUp = !b.GaveUp
		return w.sign(s.worker, &b)
	}
	// another replica than was sealed
	b := *w.reveal(s.worker, s.unit, s.replica, s.answer).Body.(*jobs.Reveal)
	b.Replica++
	return w.sign(s.worker, &b)
}

// ofTheShard is a record about more than a unit, or the submitter's own run.
func (w *world) ofTheShard(pick chooser) *jobs.Record {
	switch pick(5) {
	case 0:
		return w.sign("sam", &jobs.Placement{Keepers: w.ids(playSets[pick(3)])})
	case 1, 2:
		return w.sign(playKeepers[pick(len(playKeepers))], &jobs.Handover{Set: w.ids(playSets[pick(len(playSets))])})
	case 3:
		c := &jobs.Control{Number: uint32(pick(3)), Act: jobs.Act(1 + pick(3)), Expires: epoch.Unix() + int64(pick(1e6))}
		return w.sign("sam", c)
	}
	return w.reveal("sam", pick(len(w.manifest.Units)), WholeUnit, playAnswers[pick(len(playAnswers))])
}

// portrait is all that a ledger's records say, in words.
func (w *world) portrait(l *Ledger) (lines []string) {
	for n := range l.Units() {
		seals, _ := l.RoundComplete(n, 0)
		lines = append(lines, fmt.Sprintf("unit %d: %s, seals %.8s", n, w.describe(l, n), idsOf(seals)))
	}
	act, _ := l.Closed()
	for _, k := range l.Custodians() {
		lines = append(lines, "custodian "+w.names[k])
	}
	sum := l.Summary(epoch)
	sum.Version = 0
	return append(lines, fmt.Sprintf("closed %d, expires %d, wanted %.8s, digests %x, summary %+v",
		act, l.Expires(), idsOf(l.Wanted()), l.Digests(), sum))
}

// busy counts what a unit's replicas are taken by, as a keeper may count it: votes, seals that
// wait and leases, each worker once.
func busy(l *Ledger, now time.Time, n int) (count int, used uint8) {
	u := l.look(now, n)
	workers := map[jobs.NodeID]bool{}
	for _, v := range u.verdict.Votes {
		workers[v.Worker] = true
		if !v.Own {
			used |= 1 << v.Reveal.Body.(*jobs.Reveal).Replica
		}
	}
	for _, s := range u.sealed {
		if due, ok := u.due[s.Author]; !ok || now.Before(due.since.Add(l.job.Head.LeaseTime())) {
			workers[s.Author] = true
		}
	}
	for _, x := range u.leases {
		workers[x.worker] = true
		if x.replica != WholeUnit {
			used |= 1 << x.replica
		}
	}
	return len(workers), used
}

// invariants must hold of every ledger at any time.
func (w *world) invariants(l *Ledger, now time.Time) {
	w.Helper()
	sum := l.Summary(now)
	for i := range l.units {
		l.units[i].fresh = false // what is remembered must be what would be found now
	}
	l.quiet = time.Time{}
	again := l.Summary(now)
	again.Version = sum.Version
	if fmt.Sprint(sum) != fmt.Sprint(again) {
		w.Fatalf("the summary was out of date:\n%+v\n%+v", sum, again)
	}
	for n := range l.units {
		w.unitInvariants(l, now, n, sum.Unit(n))
	}
	if len(l.general) > maxShardRecords || len(sum.Donors) > MaxSummaryDonors {
		w.Fatalf("%d records, %d donors", len(l.general), len(sum.Donors))
	}
	for d, rs := range l.wanted {
		if _, known := l.contents[d]; known || len(rs) == 0 {
			w.Fatalf("content %s is wanted but known, or by nobody", d)
		}
	}
}

// most is how many may be at work on a unit: as many as could decide it, and whoever is to seal in
// the place of one who contradicted himself.
func (w *world) most(l *Ledger, now time.Time, n int) int {
	count, _ := busy(l, now, n)
	u := l.look(now, n)
	return max(u.verdict.Wanted, count+u.missing(l.waiting(now, u), int(l.job.Head.Policy.Votes)))
}

func (w *world) unitInvariants(l *Ledger, now time.Time, n int, s UnitSummary) {
	w.Helper()
	u, v := &l.units[n], l.Verdict(n)
	count, used := busy(l, now, n)
	switch {
	case len(u.seals) > maxUnitSeals || len(u.reveals) > maxUnitReveals:
		w.Fatalf("unit %d keeps %d seals, %d reveals", n, len(u.seals), len(u.reveals))
	case s.Free&used != 0:
		w.Fatalf("unit %d: replicas %08b are free and taken", n, s.Free&used)
	case s.Free != 0 && count+bits.OnesCount8(s.Free) > w.most(l, now, n):
		w.Fatalf("unit %d: %d taken, %08b free, %d wanted", n, count, s.Free, v.Wanted)
	case (v.State.Decided() || v.State == Disputed) && s.Free != 0:
		w.Fatalf("unit %d is %s and has replicas free", n, v.State)
	case v.State == Open && v.Wanted <= len(v.Votes):
		w.Fatalf("unit %d is open and wants nothing", n)
	case v.State.Decided() && v.Wanted != len(v.Votes):
		w.Fatalf("unit %d is %s and wants %d votes", n, v.State, v.Wanted)
	}
	workers := map[jobs.NodeID]bool{}
	for _, x := range u.leases {
		if workers[x.worker] || !now.Before(x.until) || now.Sub(x.first) > longest(&l.job.Head) || u.heardFrom(x.worker) {
			w.Fatalf("unit %d: a lease of %s should not be", n, w.names[x.worker])
		}
		workers[x.worker] = true
	}
	for _, x := range v.Votes {
		if workers[x.Worker] || contradicts(u.reveals, x.Reveal) || !x.Own && contradicts(u.seals, x.Seal) {
			w.Fatalf("unit %d: %s should not vote", n, w.names[x.Worker])
		}
		workers[x.Worker] = true
	}
	if !slices.IsSortedFunc(v.Votes, func(a, b Vote) int { return compareNodes(a.Worker, b.Worker) }) {
		w.Fatalf("unit %d: votes out of order", n)
	}
}
