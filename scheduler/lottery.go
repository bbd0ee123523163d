package scheduler

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Crowd is how many known donors make a grid in which work is given by lot. In a smaller one
// everyone may take anything at once.
const Crowd = 50

// How work is given by lot (DESIGN §3, Claim).
const (
	lots         = 4 // workers that are eligible at first, for each vote that a unit needs
	leastWindow  = 30 * time.Second
	lateBy       = 2  // windows that a worker first met after the draw waits longer
	apartFor     = 4  // windows in which a unit's voters are to come from different networks
	leastOpen    = 64 // units that are open to claims together, at least
	ageParts     = 8  // a unit's age is told in these parts of a window
	assignDomain = "shoal/assign/1\x00"
)

// Window is the time after which twice as many workers are eligible.
func Window(h *jobs.Head) time.Duration { return max(leastWindow, h.LeaseTime()/4) }

// Rank is a worker's place in the draw for a replica: the smaller, the earlier it is eligible.
// Nobody can choose it, since a worker's name is older than the seed.
func Rank(seed jobs.Digest, job jobs.JobID, unit uint16, replica uint8, worker jobs.NodeID) uint64 {
	h := sha256.New()
	h.Write(seed[:])
	h.Write(job[:])
	h.Write(append(binary.BigEndian.AppendUint16(nil, unit), replica))
	h.Write(worker[:])
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// share is the greatest rank that is eligible at first.
func share(h *jobs.Head, donors int) uint64 {
	if donors < Crowd {
		return math.MaxUint64
	}
	return math.MaxUint64 / uint64(donors) * lots * uint64(h.Policy.Votes)
}

// windowsFor is how many windows a rank waits, if the share doubles with each. A share can be what
// somebody else told: it may be 0.
func windowsFor(rank, share uint64) (n int) {
	for share = max(share, 1); share < rank; {
		n++
		if share > math.MaxUint64/2 {
			break
		}
		share *= 2
	}
	return n
}

// draw is the seed by which some consecutive units are given out.
type draw struct {
	seed  jobs.Digest
	since time.Time // when this keeper first knew it
}

// byLot reports whether this shard's units are given by lot.
func (l *Ledger) byLot() bool {
	return l.donors >= Crowd && l.job.Head.Policy.Level != jobs.Trusted
}

// SetDonors tells how many donors are known. Small changes make no difference.
func (l *Ledger) SetDonors(n int) {
	was := l.byLot()
	if was && n >= Crowd && n > l.donors*3/4 && n < l.donors*5/4 {
		return
	}
	l.donors = n
	switch is := l.byLot(); {
	case is != was:
		l.front = 0
		for i := range l.units {
			l.units[i].free, l.units[i].wake = 0, time.Time{}
		}
		l.version++
	case is:
		l.version++
	}
}

// drawn brings the seeds up to date: each is a hash of the secrets in the receipts that the
// submitter's placements name, and of the secret that the submitter drew for those units, if it
// did. More receipts or a secret drawn later make another seed.
func (l *Ledger) drawn(now time.Time) {
	if !l.redraw {
		return
	}
	l.redraw = false
	base, own := l.secrets()
	for i := range l.draws {
		var n [6]byte
		binary.BigEndian.PutUint32(n[:], l.shard)
		binary.BigEndian.PutUint16(n[4:], uint16(i))
		parts := [][]byte{[]byte(assignDomain), l.job.ID[:], n[:], base}
		if r := own[uint16(i)]; r != nil {
			parts = append(parts, r.Body.(*jobs.Draw).Secret[:])
		}
		if seed := jobs.Sum(parts...); seed != l.draws[i].seed {
			l.draws[i] = draw{seed, now}
		}
	}
}

// DrawnSince tells a ledger that was read from disk that its seeds may have been known here since a
// time: who was met later is taken for one who could choose its name by them.
func (l *Ledger) DrawnSince(t time.Time) { l.drawn(t) }

// secrets are what the seeds are made of: the keepers', and by number the submitter's, of several
// the one with the smallest id.
func (l *Ledger) secrets() (base []byte, own map[uint16]*jobs.Record) {
	own = map[uint16]*jobs.Record{}
	var named []jobs.Digest
	for _, r := range l.general {
		switch b := r.Body.(type) {
		case *jobs.Draw:
			if o := own[b.Number]; o == nil || compareIDs(r, o) < 0 {
				own[b.Number] = r
			}
		case *jobs.Placement:
			for _, id := range b.Receipts {
				if o := l.general[id]; o != nil && o.Kind == jobs.KindReceipt && slices.Contains(b.Keepers, o.Author) {
					named = append(named, id)
				}
			}
		}
	}
	slices.SortFunc(named, func(a, b jobs.Digest) int { return slices.Compare(a[:], b[:]) })
	for _, id := range slices.Compact(named) {
		secret := l.general[id].Body.(*jobs.Receipt).Secret
		base = append(base, secret[:]...)
	}
	return base, own
}

// Drawn tells the draws, by their numbers, in which the submitter's own secret has a part. Who may vote
// on a unit of another, in a small grid or while the submitter was away, could be known long before.
func (l *Ledger) Drawn() map[uint16]bool {
	_, own := l.secrets()
	out := make(map[uint16]bool, len(own))
	for n := range own {
		out[n] = true
	}
	return out
}

// advance opens units, in their order, so that there are enough for every donor to find some that
// it is eligible for, and no more: a unit's age counts from its opening, and what waits in a long
// queue must not be everybody's when its turn comes.
func (l *Ledger) advance(now time.Time) {
	if !l.byLot() || l.front == len(l.units) {
		return
	}
	room := openAtOnce(l.donors)
	for n := range l.front {
		if l.look(now, n).free != 0 {
			room--
		}
	}
	for l.front < len(l.units) && room > 0 {
		l.units[l.front].wake = time.Time{}
		l.front++
		if l.look(now, l.front-1).free != 0 {
			room--
		}
	}
}

// eligible reports whether the lot of a free replica has fallen on a worker by now.
func (l *Ledger) eligible(now time.Time, n int, a *Applicant, replica uint8) bool {
	u, d := &l.units[n], &l.draws[n/jobs.DrawUnits]
	if !l.byLot() || len(u.voters) > 0 && replica >= l.job.Head.Policy.Votes {
		return true // there is no draw, or the submitter has named those whom it wants
	}
	age := int(now.Sub(u.since) / Window(&l.job.Head))
	if age < apartFor && l.neighbour(u, a) {
		return false
	}
	if a.Met.After(d.since) {
		age -= lateBy
	}
	return age >= 0 && windowsFor(Rank(d.seed, l.job.ID, uint16(n), replica, a.Worker), share(&l.job.Head, l.donors)) <= age
}

// neighbour reports whether somebody in a worker's network has to do with a unit already.
func (l *Ledger) neighbour(u *unit, a *Applicant) bool {
	if a.Network == "" {
		return false
	}
	return slices.ContainsFunc(u.leases, func(x lease) bool { return x.network == a.Network }) ||
		slices.ContainsFunc(u.sealed, func(s *jobs.Record) bool { return l.Network(s) == a.Network })
}

// Lottery is what a worker must know to ask for nothing that it is not eligible for.
type Lottery struct {
	_      struct{} `cbor:",toarray"`
	Donors uint32   // that the keeper knows of
	Share  uint64   // the greatest rank that is eligible at first
	Window uint32   // milliseconds, after which it is twice as great
	Seeds  []jobs.Digest
	Ages   []byte // a byte a unit: how long its free replicas have waited, in eighths of a window
	Late   uint64 // a bit a seed: the asker was first met after it, and waits two windows longer
}

// lottery tells the draw, as of now.
func (l *Ledger) lottery(now time.Time) *Lottery {
	if !l.byLot() {
		return nil
	}
	window := Window(&l.job.Head)
	out := &Lottery{Donors: uint32(l.donors), Share: share(&l.job.Head, l.donors), Window: uint32(window / time.Millisecond)}
	for i := range l.draws {
		out.Seeds = append(out.Seeds, l.draws[i].seed)
	}
	for i := range l.units {
		age := now.Sub(l.units[i].since) * ageParts / window
		out.Ages = append(out.Ages, byte(min(max(age, 0), math.MaxUint8)))
	}
	return out
}

// SummaryFor is the summary as it is told to one worker.
func (l *Ledger) SummaryFor(now time.Time, a Applicant) Summary {
	s := l.Summary(now)
	l.narrowAsked(&s, a.Worker)
	if s.Lottery == nil {
		return s
	}
	for i := range l.draws {
		if a.Met.After(l.draws[i].since) {
			s.Lottery.Late |= 1 << i
		}
	}
	for n := range l.units {
		if slices.Contains(l.units[n].voters, a.Worker) {
			s.Lottery.Ages[n] = math.MaxUint8 // whom the submitter names waits for no lot
		}
	}
	return s
}

// Narrow leaves of the free replicas those that a worker is eligible for, and notes after how
// long it will be for another.
func (s *Summary) Narrow(job jobs.JobID, worker jobs.NodeID) {
	o := s.Lottery
	if o == nil || o.Window == 0 || len(o.Ages) < s.Len() {
		return
	}
	part := time.Duration(o.Window) * time.Millisecond / ageParts
	for n := range s.Len() {
		at := n / jobs.DrawUnits
		if at >= len(o.Seeds) {
			return
		}
		late := 0
		if o.Late&(1<<at) != 0 {
			late = lateBy
		}
		var mine uint8
		for free := s.Units[2*n+1]; free != 0; free &= free - 1 {
			bit := free & -free
			replica := uint8(bits.TrailingZeros8(bit))
			wait := (late+windowsFor(Rank(o.Seeds[at], job, uint16(n), replica, worker), o.Share))*ageParts - int(o.Ages[n])
			if wait <= 0 {
				mine |= bit
			} else if d := time.Duration(wait) * part; s.Wait == 0 || d < s.Wait {
				s.Wait = d
			}
		}
		s.Units[2*n+1] = mine
	}
}
