package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// placedOn is a ledger of a world whose shard sam placed on the given keepers.
func placedOn(w *world, keepers ...string) *Ledger {
	l := w.ledger()
	w.apply(l, w.sign("sam", &jobs.Placement{Keepers: w.ids(keepers)}))
	return l
}

func TestApplyRefuses(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	elsewhere := newWorld(t, standard(2, 1))
	otherShard, err := jobs.SignBatch(w.node("sam"), "test", w.job.ID, 1, &jobs.Control{Act: jobs.ActCancel})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		record *jobs.Record
		want   error
	}{
		"another job":            {elsewhere.seal("ann", 0, 0, "a"), ErrForeign},
		"another shard":          {otherShard[0], ErrForeign},
		"seal of no unit":        {w.seal("ann", 1, 0, "a"), ErrNoUnit},
		"reveal of no unit":      {w.reveal("ann", 1, 0, "a"), ErrNoUnit},
		"another's placement":    {w.sign("eve", &jobs.Placement{Keepers: w.ids([]string{"eve"})}), ErrAuthor},
		"another's control":      {w.sign("eve", &jobs.Control{Act: jobs.ActCancel}), ErrAuthor},
		"grant from outside":     {w.grant("eve", "ann", []string{"k1"}, jobs.Hold{}), ErrAuthor},
		"placement":              {w.sign("sam", &jobs.Placement{}), nil},
		"control":                {w.sign("sam", &jobs.Control{Act: jobs.ActCancel}), nil},
		"receipt":                {w.sign("k1", &jobs.Receipt{}), nil},
		"grant for no unit":      {w.grant("k1", "ann", []string{"k1"}, jobs.Hold{Unit: 9}), nil},
		"a stranger's hand-over": {w.sign("eve", &jobs.Handover{}), nil},
	} {
		l := w.ledger()
		fresh, err := l.Apply(tc.record)
		if !errors.Is(err, tc.want) || fresh != (tc.want == nil) || l.Has(tc.record) != fresh {
			t.Errorf("%s: %v, %v", name, fresh, err)
		}
		if again, err := l.Apply(tc.record); again || !errors.Is(err, tc.want) {
			t.Errorf("%s, twice: %v, %v", name, again, err)
		}
	}
}

func TestGranted(t *testing.T) {
	five := []string{"k1", "k2", "k3", "k4", "k5"}
	next := []string{"n1", "n2", "n3"}
	for name, tc := range map[string]struct {
		placed   []string
		handover map[string][][]string // who signed hand-overs to which sets
		set      []string              // the set that the grants name
		by       []string              // who granted
		want     bool
	}{
		"one of one":                      {placed: five[:1], set: five[:1], by: five[:1], want: true},
		"one of two":                      {placed: five[:2], set: five[:2], by: five[:1]},
		"two of two":                      {placed: five[:2], set: five[:2], by: five[:2], want: true},
		"two of three":                    {placed: five[:3], set: five[:3], by: five[1:3], want: true},
		"two of five":                     {placed: five, set: five, by: five[:2]},
		"three of five":                   {placed: five, set: five, by: five[2:], want: true},
		"alone, of a larger placement":    {placed: five, set: five[:1], by: five[:1]},
		"one of three, twice":             {placed: five[:3], set: five[:3], by: []string{"k1", "k1"}},
		"one named twice":                 {placed: five, set: []string{"k1", "k1", "k2"}, by: five[:1]},
		"one named three times":           {placed: five, set: []string{"k1", "k1", "k1"}, by: five[:1]},
		"a custodian and keys of its own": {placed: five, set: []string{"k1", "n1", "n2"}, by: []string{"k1", "n1", "n2"}},
		"newcomers, past the custodians":  {placed: five, set: []string{"k1", "n1", "n2"}, by: []string{"n1", "n2"}},
		"handed over to by one":           {placed: five, handover: map[string][][]string{"k1": {next}}, set: next, by: next},
		"handed over to by two of five":   {placed: five, handover: map[string][][]string{"k1": {next}, "k2": {next}}, set: next, by: next},
		"handed over to by three of five": {placed: five, handover: map[string][][]string{"k1": {next}, "k2": {next}, "k5": {next}}, set: next, by: []string{"n1", "n2"}, want: true},
		"handed over to three sets":       {placed: five, handover: map[string][][]string{"k1": {next}, "k2": {{"n1", "n2"}}, "k5": {{"n1", "n3"}}}, set: next, by: next},
		"handed over to in another order": {placed: five[:1], handover: map[string][][]string{"k1": {{"n2", "n1", "n1"}}}, set: next[:2], by: []string{"n1", "n2"}, want: true},
		"handed over twice": {placed: five[:3], handover: map[string][][]string{"k1": {next}, "k2": {next}, "n1": {{"m1", "m2"}}, "n3": {{"m1", "m2"}}},
			set: []string{"m1", "m2"}, by: []string{"m1", "m2"}, want: true},
		"handed over by no one":          {placed: five, handover: map[string][][]string{"n1": {{"n1", "n2"}}, "n2": {{"n1", "n2"}}}, set: next[:2], by: next[:2]},
		"handed over to one alone":       {placed: five[:1], handover: map[string][][]string{"k1": {{"n1"}}}, set: []string{"n1"}, by: []string{"n1"}},
		"nobody placed it, nobody keeps": {set: five[:2], by: five[:2]},
		"none":                           {placed: five, set: five},
	} {
		w := newWorld(t, standard(1, 1))
		var rs, grants []*jobs.Record
		if tc.placed != nil {
			rs = append(rs, w.sign("sam", &jobs.Placement{Keepers: w.ids(tc.placed)}))
		}
		for from, sets := range tc.handover {
			for _, to := range sets {
				rs = append(rs, w.sign(from, &jobs.Handover{Set: w.ids(to)}))
			}
		}
		for _, k := range tc.by {
			grants = append(grants, w.grant(k, "ann", tc.set, jobs.Hold{}))
		}
		rs = append(append(rs, grants...), w.seal("ann", 0, 0, "a", grants...))
		for i := range rs {
			l := w.ledger()
			for _, r := range append(slices.Clone(rs[i:]), rs[:i]...) {
				w.apply(l, r)
				l.Verdict(0) // to be judged again when that changes
			}
			if seals, _ := l.RoundComplete(0, 0); (len(seals) == 1) != tc.want {
				t.Errorf("%s: granted is %v", name, !tc.want)
			}
		}
	}
}

// A grant is for a worker, a unit and a replica, and counts only where a seal names it.
func TestGrantIsForWhatItNames(t *testing.T) {
	w := newWorld(t, standard(2, 1))
	g := w.grant("k1", "ann", []string{"k1"}, jobs.Hold{Unit: 0, Replica: 1}, jobs.Hold{Unit: 0, Replica: jobs.MaxVotes})
	for name, tc := range map[string]struct {
		seal *jobs.Record
		want bool
	}{
		"as granted":      {w.seal("ann", 0, 1, "a", g), true},
		"another worker":  {w.seal("bob", 0, 1, "a", g), false},
		"another unit":    {w.seal("ann", 1, 1, "a", g), false},
		"another replica": {w.seal("ann", 0, 0, "a", g), false},
		"no replica":      {w.seal("ann", 0, jobs.MaxVotes, "a", g), false},
		"unnamed":         {w.seal("ann", 0, 1, "a"), false},
	} {
		l := placedOn(w, "k1")
		w.apply(l, tc.seal, g)
		seals, _ := l.RoundComplete(int(tc.seal.Body.(*jobs.Seal).Unit), 0)
		if (len(seals) == 1) != tc.want {
			t.Errorf("%s: counts is %v", name, !tc.want)
		}
	}
}

// A second placement takes nothing away from votes that were granted under the first.
func TestPlacedAloneThenWithOthers(t *testing.T) {
	w := newWorld(t, policy{level: jobs.Trusted, votes: 1, units: 1, inputs: 1, lease: time.Minute, trust: []string{"ann"}})
	l := placedOn(w, "k1")
	g := w.grant("k1", "ann", []string{"k1"}, jobs.Hold{})
	w.apply(l, g, w.seal("ann", 0, 0, "a", g), w.reveal("ann", 0, 0, "a"))
	w.apply(l, w.sign("sam", &jobs.Placement{Keepers: w.ids([]string{"k2", "k3", "k4"})}))
	if s := l.Verdict(0).State; s != Agreed {
		t.Errorf("the unit is %s now", s)
	}
}

// Strangers can fill neither a unit nor the shard so that no room is left for what counts.
func TestFloodLeavesRoom(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	l := placedOn(w, "k1")
	for i := range 3 * maxUnitSeals {
		eve := fmt.Sprintf("eve%d", i)
		w.apply(l, w.seal(eve, 0, 0, "a"), w.reveal(eve, 0, 0, fmt.Sprintf("lie %d", i)))
	}
	if n, m := len(l.Seals(0)), len(l.Reveals(0)); n != maxUnitSeals || m != maxUnitReveals {
		t.Fatalf("%d seals and %d reveals kept", n, m)
	}
	if len(l.contents) != maxUnitReveals {
		t.Errorf("%d contents kept for %d reveals", len(l.contents), maxUnitReveals)
	}
	for replica, worker := range []string{"ann", "bob"} {
		g := w.grant("k1", worker, []string{"k1"}, jobs.Hold{Replica: uint8(replica)})
		w.apply(l, g, w.seal(worker, 0, uint8(replica), "a", g), w.reveal(worker, 0, uint8(replica), "a"))
	}
	if v := l.Verdict(0); v.State != Agreed || len(v.Votes) != 2 {
		t.Errorf("under a flood: %s", w.describe(l, 0))
	}
	w.invariants(l, epoch)
	if sum := l.Summary(epoch); sum.Executions != 2 || len(sum.Donors) != 2 {
		t.Errorf("the flood is in the summary: %d executions, %d donors", sum.Executions, len(sum.Donors))
	}
}

func TestStrangersHaveHalfOfTheRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("signs 16,384 records")
	}
	w := newWorld(t, standard(1, 1))
	l := placedOn(w, "k1")
	bodies := make([]any, jobs.MaxBatch)
	for until := int64(0); len(l.general) < maxStrangers; {
		for i := range bodies {
			until++
			bodies[i] = &jobs.Receipt{Until: until}
		}
		rs, err := jobs.SignBatch(w.node("eve"), "test", w.job.ID, 0, bodies...)
		if err != nil {
			t.Fatal(err)
		}
		w.apply(l, rs...)
	}
	if _, err := l.Apply(w.sign("eve", &jobs.Receipt{Until: -1})); !errors.Is(err, ErrFull) {
		t.Errorf("one more stranger's record: %v", err)
	}
	g := w.grant("k1", "ann", []string{"k1"}, jobs.Hold{})
	for name, r := range map[string]*jobs.Record{"a keeper's": g, "sam's": w.sign("sam", &jobs.Control{Act: jobs.ActCancel})} {
		if fresh, err := l.Apply(r); !fresh || err != nil {
			t.Errorf("%s record: %v, %v", name, fresh, err)
		}
	}
}

func TestAttach(t *testing.T) {
	w := newWorld(t, standard(3, 2))
	r := w.reveal("sam", 0, WholeUnit, "a,?")
	short := w.reveal("sam", 1, WholeUnit, "a")
	lying := *w.reveal("sam", 2, WholeUnit, "a,?").Body.(*jobs.Reveal)
	lying.GaveUp = false
	liar := w.sign("sam", &lying)
	l := w.ledger()
	if err := l.Attach(r, w.tuples("a,?")); !errors.Is(err, ErrForeign) {
		t.Errorf("for a reveal that is not here: %v", err)
	}
	for _, r := range []*jobs.Record{r, short, liar} {
		if _, err := l.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(l.Wanted()); got != 3 {
		t.Errorf("%d wanted", got)
	}
	for name, err := range map[string]error{
		"too few":      l.Attach(short, w.tuples("a")),
		"other tuples": l.Attach(r, w.tuples("a,b")),
		"misstated":    l.Attach(liar, w.tuples("a,?")),
		"a seal":       l.Attach(w.seal("ann", 0, 0, "a,a"), w.tuples("a,a")),
	} {
		if err == nil {
			t.Errorf("%s: attached", name)
		}
	}
	if err := l.Attach(r, w.tuples("a,?")); err != nil || l.Verdict(0).State != Stuck {
		t.Errorf("%v, unit %s", err, l.Verdict(0).State)
	}
	if err := l.Attach(liar, w.tuples("a,?")); err == nil {
		t.Error("misstated, with tuples that are known: attached")
	}
	if len(l.Verdict(1).Votes) != 0 || len(l.Verdict(2).Votes) != 0 {
		t.Error("what the liar or the short one revealed counts")
	}
}

// Tuples that are known from one unit are no answer for a unit with more inputs.
func TestTuplesOfAnotherUnit(t *testing.T) {
	w := newWorld(t, standard(2, 1))
	w.manifest.Units[1].Count = 2
	l := w.ledger()
	w.apply(l, w.reveal("sam", 0, WholeUnit, "a"), w.reveal("sam", 1, WholeUnit, "a"))
	if l.Verdict(0).State != Agreed || l.Verdict(1).State != Open {
		t.Errorf("units %s and %s", l.Verdict(0).State, l.Verdict(1).State)
	}
}

// What is wanted does not depend on what was here for a while: tuples are known as long as there is
// a reveal that they fit, and a liar who names their digest keeps them no longer.
func TestTuplesGoWithTheirReveal(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	var rs []*jobs.Record // of eve, who says more than is kept of one author
	for _, answer := range []string{"a", "b", "c"} {
		rs = append(rs, w.reveal("eve", 0, 0, answer))
	}
	slices.SortFunc(rs, compareSayings)
	dropped := rs[maxSayings]
	lying := *dropped.Body.(*jobs.Reveal)
	lying.GaveUp = true
	liar := w.sign("sam", &lying)
	for name, order := range map[string][]*jobs.Record{
		"liar last":         append(slices.Clone(rs), liar),
		"liar first":        append([]*jobs.Record{liar}, rs...),
		"while it was here": {dropped, liar, rs[0], rs[1]},
	} {
		l := w.ledger()
		w.apply(l, order...)
		if got := l.Wanted(); len(got) != 1 || got[0].ID != liar.ID {
			t.Errorf("%s: %d reveals wanted", name, len(got))
		}
	}
}

// Only what would be a vote is worth fetching: a stranger's payload is not.
func TestWantedAreVotesToBe(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	l := placedOn(w, "k1")
	g := w.grant("k1", "ann", []string{"k1"}, jobs.Hold{})
	reveal, stray := w.reveal("ann", 0, 0, "a"), w.reveal("eve", 0, 0, "a")
	for _, r := range []*jobs.Record{stray, reveal, w.seal("ann", 0, 0, "a", g)} {
		if _, err := l.Apply(r); err != nil || len(l.Wanted()) != 0 {
			t.Fatalf("%s: %v, wanted %d", r.Kind, err, len(l.Wanted()))
		}
	}
	if _, err := l.Apply(g); err != nil {
		t.Fatal(err)
	}
	if got := idsOf(l.Wanted()); !slices.Equal(got, idsOf([]*jobs.Record{reveal})) {
		t.Errorf("wanted: %.8s", got)
	}
}

func TestControl(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	later, far := epoch.Add(48*time.Hour).Unix(), epoch.Add(400*24*time.Hour).Unix()
	control := func(n uint32, act jobs.Act, expires int64) *jobs.Record {
		return w.sign("sam", &jobs.Control{Number: n, Act: act, Expires: expires})
	}
	for name, tc := range map[string]struct {
		records []*jobs.Record
		closed  bool
		expires int64
	}{
		"none":                {nil, false, w.job.Head.Expires},
		"extended":            {[]*jobs.Record{control(1, jobs.ActExtend, later)}, false, later},
		"extended too far":    {[]*jobs.Record{control(1, jobs.ActExtend, far)}, false, epoch.Add(jobs.MaxLife).Unix()},
		"shortened":           {[]*jobs.Record{control(1, jobs.ActExtend, epoch.Unix())}, false, w.job.Head.Expires},
		"cancelled":           {[]*jobs.Record{control(1, jobs.ActCancel, 0)}, true, w.job.Head.Expires},
		"cancelled, extended": {[]*jobs.Record{control(1, jobs.ActCancel, 0), control(2, jobs.ActExtend, later)}, false, later},
		"extended, cancelled": {[]*jobs.Record{control(1, jobs.ActExtend, later), control(2, jobs.ActCollected, 0)}, true, later},
	} {
		for range 2 {
			l := w.ledger()
			w.apply(l, tc.records...)
			if _, closed := l.Closed(); closed != tc.closed || l.Expires() != tc.expires {
				t.Errorf("%s: closed %v, expires %d", name, closed, l.Expires())
			}
			slices.Reverse(tc.records)
		}
	}
}

func TestSummaryNamesFirstDonors(t *testing.T) {
	w := newWorld(t, standard(100, 1))
	l := placedOn(w, "k1")
	for i := range 100 {
		worker := fmt.Sprintf("w%d", i)
		g := w.grant("k1", worker, []string{"k1"}, jobs.Hold{Unit: uint16(i)})
		w.apply(l, g, w.seal(worker, i, 0, "a", g), w.reveal(worker, i, 0, "a"))
		if want := min(i+1, MaxSummaryDonors); len(l.Summary(epoch).Donors) != want {
			t.Fatalf("%d donors named, want %d", len(l.Summary(epoch).Donors), want)
		}
	}
	if s := l.Summary(epoch); s.Executions != 100 || !slices.IsSortedFunc(s.Donors, compareNodes) {
		t.Errorf("%d executions", s.Executions)
	}
}

// Digests hold against someone who chooses records so that an XOR of their ids comes out as it
// likes: a sum of ids is not fooled by what cancels itself.
func TestDigestsAreNoXOR(t *testing.T) {
	w := newWorld(t, standard(1, 1))
	r := w.seal("ann", 0, 0, "a")
	var once, thrice setSum
	once.add(r)
	thrice.add(r, r, r)
	if once.short() == thrice.short() {
		t.Error("a record added twice cancels itself")
	}
	var carried setSum
	carried.add(&jobs.Record{ID: jobs.Digest{7: 1}}, &jobs.Record{ID: jobs.Digest{0: 255, 1: 255, 2: 255, 3: 255, 4: 255, 5: 255, 6: 255, 7: 255}})
	if carried != (setSum{0, 1}) {
		t.Errorf("no carry: %v", carried)
	}
}

// What is held is held of a decided unit only: with another answer other bytes are asked for.
func TestHeldEndsWithTheVerdict(t *testing.T) {
	w := newWorld(t, policy{level: jobs.Trusted, votes: 1, units: 1, inputs: 1, lease: time.Minute, trust: []string{"ann", "bob"}})
	l := placedOn(w, "k1")
	l.SetHeld(0)
	if l.Held(0) {
		t.Error("held before there is anything to hold")
	}
	for i, worker := range []string{"ann", "bob"} {
		g := w.grant("k1", worker, []string{"k1"}, jobs.Hold{Replica: uint8(i)})
		w.apply(l, g, w.seal(worker, 0, uint8(i), worker, g), w.reveal(worker, 0, uint8(i), worker))
		if i == 0 {
			l.SetHeld(0)
		}
		if l.Held(0) != (i == 0) {
			t.Errorf("after %d answers held is %v", i+1, l.Held(0))
		}
	}
}
