package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Bounds of what one keeper grants, over all the shards it keeps (DESIGN §3, Claim).
const (
	maxLive      = 2 * jobs.MaxGrantHolds // replicas held by one worker at a time
	claimsBurst  = 200                    // claims of one worker at once …
	claimsRate   = 20                     // … and a second
	networkTimes = 4                      // what a whole network may, beside one worker
	maxRoll      = 1 << 14                // workers remembered
	maxPlaces    = 1 << 12                // shards in which one worker's holds are counted
	activeFor    = 15 * time.Minute       // who asked for work in this time is a known donor
)

// Standing is lost by silence: two seals that are not revealed in time bar a worker, the first
// time for barFirst, then for twice as long each time, and forgiven in a calm of forgiveAfter.
const (
	silences     = 2
	barFirst     = time.Hour
	barMost      = 64 * time.Hour
	forgiveAfter = 7 * 24 * time.Hour
)

// Place is a shard of a job.
type Place struct {
	Job   jobs.JobID
	Shard uint32
}

// Roll is what one keeper knows of workers, beyond any one shard: since when it has met each, what
// it holds, how often it asks, and whether it stands by what it seals. It is bounded; what of it is
// to outlive the process Changed gives and Restore takes. It is not safe for concurrent use.
type Roll struct {
	workers  map[jobs.NodeID]*onRoll
	networks map[string]*network
	dirty    map[jobs.NodeID]bool // changed since Changed was asked
}

type onRoll struct {
	met, seen time.Time
	asked     time.Time // for work
	network   string
	proven    bool
	convicted bool
	silent    int // since the last bar
	bars      int
	barred    time.Time // until then
	claims    bucket
	held      map[Place]held
}

// network is the workers that were last seen in one.
type network struct {
	claims  bucket
	workers map[jobs.NodeID]*onRoll
}

// held is how many replicas a worker holds in a shard, for all that the roll was told.
type held struct {
	n     int
	until time.Time
}

// bucket lets claims through at a rate, and some at once.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time, burst, rate float64) bool {
	if b.at.IsZero() {
		b.left = burst
	} else if now.After(b.at) {
		b.left = min(burst, b.left+now.Sub(b.at).Seconds()*rate)
	}
	b.at = later(b.at, now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// NewRoll makes an empty roll.
func NewRoll() *Roll {
	return &Roll{workers: map[jobs.NodeID]*onRoll{}, networks: map[string]*network{}, dirty: map[jobs.NodeID]bool{}}
}

// Meet notes that a node was heard of.
func (r *Roll) Meet(now time.Time, n jobs.NodeID) { r.entry(now, n).seen = now }

func (r *Roll) entry(now time.Time, n jobs.NodeID) *onRoll {
	w := r.workers[n]
	if w == nil {
		if len(r.workers) >= maxRoll {
			r.thin()
		}
		w = &onRoll{met: now, seen: now, held: map[Place]held{}}
		r.workers[n] = w
		r.dirty[n] = true
	}
	return w
}

// thin forgets an eighth of the workers: those that were not seen for longest, first of all those
// against whom nothing is known.
func (r *Roll) thin() {
	names := make([]jobs.NodeID, 0, len(r.workers))
	for n := range r.workers {
		names = append(names, n)
	}
	bad := func(w *onRoll) int {
		if w.convicted || w.bars > 0 {
			return 1
		}
		return 0
	}
	slices.SortFunc(names, func(a, b jobs.NodeID) int {
		x, y := r.workers[a], r.workers[b]
		return cmp.Or(cmp.Compare(bad(x), bad(y)), x.seen.Compare(y.seen), compareNodes(a, b))
	})
	for _, n := range names[:len(names)/8] {
		r.move(n, r.workers[n], "")
		delete(r.workers, n)
		r.dirty[n] = true
	}
}

// move notes that a worker is seen in a network now.
func (r *Roll) move(n jobs.NodeID, w *onRoll, to string) {
	if w.network == to {
		return
	}
	if from := r.networks[w.network]; from != nil {
		if delete(from.workers, n); len(from.workers) == 0 {
			delete(r.networks, w.network)
		}
	}
	if w.network = to; to == "" {
		return
	}
	if r.networks[to] == nil {
		r.networks[to] = &network{workers: map[jobs.NodeID]*onRoll{}}
	}
	r.networks[to].workers[n] = w
}

// Donors is how many workers have asked for work lately.
func (r *Roll) Donors(now time.Time) (n int) {
	for _, w := range r.workers {
		if !w.asked.IsZero() && now.Sub(w.asked) < activeFor {
			n++
		}
	}
	return n
}

// Admit notes that a worker asks for work, from a network as this keeper sees it, and gives what
// is known of it. It does not admit who asks too often, who is barred, or whose whole network
// asks too often; private addresses are no network.
func (r *Roll) Admit(now time.Time, worker jobs.NodeID, network string) (Applicant, bool) {
	w := r.entry(now, worker)
	w.seen, w.asked = now, now
	r.move(worker, w, network)
	if !w.claims.take(now, claimsBurst, claimsRate) || w.out(now) {
		return Applicant{}, false
	}
	if all := r.networks[network]; all != nil && !all.claims.take(now, networkTimes*claimsBurst, networkTimes*claimsRate) {
		return Applicant{}, false
	}
	return r.Applicant(now, worker, network), true
}

// Applicant is what is known of a worker. Who is barred has no room.
func (r *Roll) Applicant(now time.Time, worker jobs.NodeID, network string) Applicant {
	w := r.entry(now, worker)
	a := Applicant{Worker: worker, Network: network, Met: w.met, Proven: w.proven, Convicted: w.convicted}
	if w.out(now) {
		return a
	}
	a.Room = maxLive - w.holding(now)
	if all := r.networks[network]; all != nil {
		a.Room = min(a.Room, networkTimes*maxLive-all.holding(now))
	}
	return a
}

// out reports whether a worker gets nothing: it said two things, or does not reveal what it seals.
func (w *onRoll) out(now time.Time) bool { return w.convicted || now.Before(w.barred) }

func (w *onRoll) holding(now time.Time) (n int) {
	for at, h := range w.held {
		if !now.Before(h.until) {
			delete(w.held, at)
			continue
		}
		n += h.n
	}
	return n
}

func (o *network) holding(now time.Time) (n int) {
	for _, w := range o.workers {
		n += w.holding(now)
	}
	return n
}

// Holds notes how many replicas a worker holds in a shard, at most until the given time.
func (r *Roll) Holds(now time.Time, worker jobs.NodeID, at Place, n int, until time.Time) {
	w := r.entry(now, worker)
	if n == 0 {
		delete(w.held, at)
		return
	}
	if _, known := w.held[at]; known || len(w.held) < maxPlaces {
		w.held[at] = held{n, until}
	}
}

// Learn takes in what a shard has learnt of workers.
func (r *Roll) Learn(now time.Time, d Dealings) {
	for _, n := range d.Proven {
		w := r.entry(now, n)
		r.dirty[n] = r.dirty[n] || !w.proven
		w.proven = true
	}
	for _, n := range d.Convicted {
		w := r.entry(now, n)
		r.dirty[n] = r.dirty[n] || !w.convicted
		w.convicted = true
	}
	for _, n := range d.Silent {
		r.entry(now, n).silence(now)
		r.dirty[n] = true
	}
}

// silence notes a seal that was not revealed in time. What falls due while the worker is barred
// belongs to what it is barred for: a laptop that was closed is barred once, not for each of the
// units that it held.
func (w *onRoll) silence(now time.Time) {
	if now.Before(w.barred) {
		return
	}
	if !w.barred.IsZero() && now.Sub(w.barred) > forgiveAfter {
		w.bars, w.silent, w.barred = 0, 0, time.Time{}
	}
	if w.silent++; w.silent < silences {
		return
	}
	w.barred = now.Add(min(barFirst<<min(w.bars, 16), barMost))
	w.bars++
	w.silent = 0
}
