package collect

import (
	"maps"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// trial is the judging of one job. What is in it is guarded by the judge's mu.
type trial struct {
	*Judge
	accept *trust.Acceptance
	lease  time.Duration
	quiet  map[uint32]quiet     // undecided units
	idle   map[uint32]quiet     // shards, by the units that donors have sealed
	ours   map[uint32]bool      // units that this node is to run, or has run
	voters map[jobs.NodeID]bool // donors with standing that have voted in this job; at most jobs.MaxVoters
	guilty map[jobs.NodeID]bool // said two things of one unit, and have not voted yet; at most maxGuilty
	looked map[uint32]glance    // undecided units
}

// glance is what a unit's summary was when its records were last read, and when.
type glance struct {
	unit scheduler.UnitSummary
	at   time.Time
}

// lookOver is how often the records of a unit are read of which the summary says nothing new. It
// does not tell of every vote; and who reads all units at each change reads their square.
const lookOver = 5 * time.Second

// news leaves of some units those of which there may be something new to read.
func (t *trial) news(now time.Time, ref protocol.ShardRef, sum *scheduler.Summary, units []uint16) []uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(units, func(n uint16) bool {
		at, u := unitOf(ref, n), sum.Unit(int(n))
		if g, known := t.looked[at]; known && g.unit == u && now.Sub(g.at) < lookOver {
			return true
		}
		t.looked[at] = glance{u, now}
		return false
	})
}

// quiet is since when a unit, or a shard, has had no news.
type quiet struct {
	votes int // or seals
	since time.Time
}

// The submitter waits for somebody new before it runs a unit itself: so many leases, which is ten
// minutes where nothing else was asked for, and never more.
const (
	patientLeases = 5
	mostPatience  = patientLeases * jobs.DefaultLease
)

func (t *trial) patience() time.Duration { return min(patientLeases*t.lease, mostPatience) }

func unitOf(ref protocol.ShardRef, n uint16) uint32 { return ref.Shard*jobs.UnitsPerShard + uint32(n) }

func jobKey(prefix byte, id jobs.JobID) []byte { return append([]byte{prefix}, id[:]...) }

func standingKey(ref protocol.ShardRef, n uint16) []byte {
	k := unitKey(ref, n)
	k[0] = standingPrefix
	return k
}

// decide judges a unit by what a ledger has of it, at the given time. Where others can be asked yet,
// patience does not end.
func (t *trial) decide(now time.Time, ref protocol.ShardRef, n uint16, votes []trust.Vote, others bool) trust.Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := unitOf(ref, n)
	t.burnGuilty(votes)
	d := t.accept.Judge(at, votes)
	for _, v := range votes {
		if !v.Own && t.book.Get(v.Worker).Proven() && len(t.voters) < jobs.MaxVoters {
			t.voters[v.Worker] = true
		}
	}
	if d.Step == trust.Accept {
		delete(t.quiet, at)
		delete(t.looked, at)
		return d
	}
	q, known := t.quiet[at]
	if !known || q.votes != len(votes) {
		q = quiet{len(votes), now}
		t.quiet[at] = q
	}
	if len(votes) == 0 && t.ours[at] || now.Sub(q.since) >= t.patience() && (!others || d.Step != trust.More) {
		d = trust.Decision{Step: trust.Run}
	}
	return d
}

// foresee notes that it could be known beforehand who votes on a unit.
func (t *trial) foresee(ref protocol.ShardRef, n uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accept.Foresee(unitOf(ref, n))
}

// unclaimed gives units of a shard that nobody has touched, where no donor has sealed anything in
// the shard for as long as the submitter has patience: it runs them itself, a few at a time.
func (t *trial) unclaimed(now time.Time, ref protocol.ShardRef, sum *scheduler.Summary) (out []uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sealed, room := 0, ownAtOnce
	for n := range sum.Len() {
		u, at := sum.Unit(n), unitOf(ref, uint16(n))
		switch {
		case u.Own:
			t.ours[at] = true
			room--
		case u.State == scheduler.Open:
			out = append(out, uint16(n))
		case u.State >= scheduler.Sealed && !t.ours[at]: // its own runs are no sign of donors
			sealed++
		}
	}
	q, known := t.idle[ref.Shard]
	if !known || q.votes != sealed {
		q = quiet{sealed, now}
		t.idle[ref.Shard] = q
	}
	if now.Sub(q.since) < t.patience() {
		return nil
	}
	out = out[:min(len(out), max(room, 0))]
	for _, n := range out {
		t.ours[unitOf(ref, n)] = true
	}
	return out
}

// whom gives the donors that may vote late, who all have standing: those that are at work on this
// job, and, as far as there is room, others that the book knows. Nobody, where it knows none.
func (t *trial) whom() []jobs.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.voters {
		if !t.book.Get(id).Proven() {
			delete(t.voters, id)
		}
	}
	out := slices.Collect(maps.Keys(t.voters))
	if len(out) < min(jobs.MaxVoters, t.book.Proven()) {
		for _, id := range t.book.IDs() {
			if len(out) < jobs.MaxVoters && !t.voters[id] && t.book.Get(id).Proven() {
				out = append(out, id)
			}
		}
	}
	slices.SortFunc(out, func(a, b jobs.NodeID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// exhausted reports whether everyone that may vote late has voted.
func exhausted(votes []trust.Vote, whom []jobs.NodeID) bool {
	return len(whom) > 0 && !slices.ContainsFunc(whom, func(id jobs.NodeID) bool {
		return !slices.ContainsFunc(votes, func(v trust.Vote) bool { return v.Worker == id })
	})
}

// changes are what is to be written after some units of a shard were judged.
func (t *trial) changes(ref protocol.ShardRef, units []uint16) []disk.Pair {
	t.mu.Lock()
	defer t.mu.Unlock()
	pairs := []disk.Pair{{Key: jobKey(suspicionPrefix, ref.Job), Value: jobs.Encode(t.accept.Suspicion())}}
	for _, n := range units {
		pairs = append(pairs, disk.Pair{Key: standingKey(ref, n), Value: jobs.Encode(t.accept.Standing(unitOf(ref, n)))})
	}
	for _, c := range t.book.Changed() {
		pairs = append(pairs, disk.Pair{Key: append([]byte{donorPrefix}, c.Donor[:]...), Value: c.Record})
	}
	return pairs
}

// unwritten notes that changes did not get to the disk: what is known of donors is written with the next.
func (t *trial) unwritten(changes []disk.Pair) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range changes {
		if p.Key[0] == donorPrefix {
			t.book.Touch(jobs.NodeID(p.Key[1:]))
		}
	}
}

// again gives the units whose answers may stand no more.
func (t *trial) again() []uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.accept.Again()
}

// seen is what the job has seen of lies, and whether more was seen than there are votes to look for.
func (t *trial) seen() (trust.Suspicion, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.accept.Suspicion(), t.accept.Degraded()
}

// nearest chooses which units to run next.
func (t *trial) nearest(waiting, running [][]trust.Vote) []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.book.Nearest(waiting, running, ownAtOnce)
}
