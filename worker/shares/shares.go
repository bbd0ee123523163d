// Package shares divides a donor's time among those who want it. It is pure.
//
// Each submitter that is followed has a share by its weight; all others together are one more of
// weight 1, and are equal among themselves. However many keys a stranger makes, a followed
// submitter loses nothing by it, and however many jobs a submitter has, it has one share.
//
// It works by virtual time: what a submitter has had, divided by its weight, is its lead, and the
// one with the least lead is next. Leads are kept over restarts and fade. Who has not wanted
// anything for a while does not save it up: when it comes back it may catch up by Patience at most,
// so nobody starves beside it.
package shares

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// How time is divided. CPU is this machine's, whatever a program does with it.
const (
	// HalfLife is how fast leads fade: BOINC's for its recent estimated credit.
	HalfLife = 10 * 24 * time.Hour
	// Patience is the CPU by which one that comes back may catch up with the others.
	Patience = time.Hour
	// Turn is the CPU by which the one whose turn it is may get ahead: programs stay loaded.
	Turn = 10 * time.Second
	// MaxRows bounds the submitters whose leads are kept, on each level.
	MaxRows = 1024
)

// Ledger is who has had how much. Make one with New.
type Ledger struct {
	choice   Choice
	followed level // and, as the zero NodeID, all others together
	others   level
}

// New makes a ledger in which nobody has had anything.
func New() *Ledger {
	return &Ledger{followed: newLevel(), others: newLevel()}
}

// strangers stands for all who are not followed.
var strangers = jobs.NodeID{}

// Choose changes whose work is run, and with which weights. Leads stay: a weight counts from now on,
// and nothing is paid back for the time before.
func (l *Ledger) Choose(c Choice) {
	for id := range l.followed.rows {
		if _, stays := c.Followed[id]; !stays && id != strangers {
			l.followed.drop(id)
		}
	}
	all, known := l.followed.rows[strangers]
	for id := range c.Followed {
		if _, there := l.followed.rows[id]; known && !there { // among equals until now
			l.followed.set(id, all.lead, all.at)
		}
		l.others.drop(id)
	}
	l.choice = c
}

// Choice is the one that counts.
func (l *Ledger) Choice() Choice { return l.choice }

func (l *Ledger) weight(id jobs.NodeID) float64 {
	return float64(max(l.choice.Followed[id], 1))
}

func (l *Ledger) isFollowed(id jobs.NodeID) bool {
	_, yes := l.choice.Followed[id]
	return yes
}

// Order puts those who want work in the order in which they should get it. Between equals the order
// in which they are given counts. held is the CPU that their units which are held are going to take;
// now is Unix seconds.
func (l *Ledger) Order(now int64, wanting []jobs.NodeID, held map[jobs.NodeID]time.Duration) []jobs.NodeID {
	var top, rest []jobs.NodeID
	ahead := map[jobs.NodeID]time.Duration{}
	for id, d := range held {
		if l.isFollowed(id) {
			ahead[id] += d
		} else {
			ahead[strangers] += d
		}
	}
	for _, id := range wanting {
		if l.isFollowed(id) {
			top = append(top, id)
		} else {
			rest = append(rest, id)
		}
	}
	equal := func(jobs.NodeID) float64 { return 1 }
	rest = l.others.order(now, rest, held, equal)
	if len(rest) > 0 {
		top = append(top, strangers)
	}
	var out []jobs.NodeID
	for _, id := range l.followed.order(now, top, ahead, l.weight) {
		if id == strangers {
			out = append(out, rest...)
		} else {
			out = append(out, id)
		}
	}
	return out
}

// Took says that a submitter's work was taken: it is its turn.
func (l *Ledger) Took(id jobs.NodeID) {
	if l.isFollowed(id) {
		l.followed.turn = id
		return
	}
	l.followed.turn, l.others.turn = strangers, id
}

// Idle says that a submitter has nothing to be done now: what it does not take meanwhile is not
// saved up.
func (l *Ledger) Idle(id jobs.NodeID) {
	if l.isFollowed(id) {
		delete(l.followed.present, id)
	} else {
		delete(l.others.present, id)
	}
}

// Charge says that a submitter's work took so much CPU.
func (l *Ledger) Charge(now int64, id jobs.NodeID, cpu time.Duration) {
	if l.isFollowed(id) {
		l.followed.charge(now, id, cpu, l.weight(id))
		return
	}
	l.followed.charge(now, strangers, cpu, 1)
	l.others.charge(now, id, cpu, 1)
}

// level is some who share: their leads, and who of them wanted something when last asked.
type level struct {
	rows    map[jobs.NodeID]row
	present map[jobs.NodeID]bool
	changed map[jobs.NodeID]bool // since the last Changes
	turn    jobs.NodeID
}

// row is a lead in seconds, as it was at a time.
type row struct {
	lead float64
	at   int64
}

func newLevel() level {
	return level{rows: map[jobs.NodeID]row{}, present: map[jobs.NodeID]bool{}, changed: map[jobs.NodeID]bool{}}
}

// now is the lead as it has faded since.
func (r row) now(now int64) float64 {
	past := float64(max(now-r.at, 0))
	return r.lead * math.Exp2(-past/HalfLife.Seconds())
}

func (v *level) set(id jobs.NodeID, lead float64, now int64) {
	v.rows[id] = row{lead: lead, at: now}
	v.changed[id] = true
}

func (v *level) drop(id jobs.NodeID) {
	if _, there := v.rows[id]; there {
		delete(v.rows, id)
		v.changed[id] = true
	}
	delete(v.present, id)
}

func (v *level) order(now int64, wanting []jobs.NodeID, held map[jobs.NodeID]time.Duration, weight func(jobs.NodeID) float64) []jobs.NodeID {
	v.arrive(now, wanting, weight)
	lead := make(map[jobs.NodeID]float64, len(wanting))
	for _, id := range wanting {
		lead[id] = v.rows[id].now(now) + held[id].Seconds()/weight(id)
		if id == v.turn {
			lead[id] -= Turn.Seconds() / weight(id)
		}
	}
	out := slices.Clone(wanting)
	slices.SortStableFunc(out, func(a, b jobs.NodeID) int { return cmp.Compare(lead[a], lead[b]) })
	return out
}

// arrive lets those who come back catch up by Patience, and no more.
func (v *level) arrive(now int64, wanting []jobs.NodeID, weight func(jobs.NodeID) float64) {
	least, known := math.Inf(1), false
	here := make(map[jobs.NodeID]bool, len(wanting))
	for _, id := range wanting {
		here[id] = true
		if v.present[id] {
			least, known = min(least, v.rows[id].now(now)), true
		}
	}
	for _, id := range wanting {
		if known && !v.present[id] {
			if floor := least - Patience.Seconds()/weight(id); v.rows[id].now(now) < floor {
				v.set(id, floor, now)
			}
		}
	}
	v.present = here
	v.bound(now)
}

func (v *level) charge(now int64, id jobs.NodeID, cpu time.Duration, weight float64) {
	v.set(id, v.rows[id].now(now)+max(cpu, 0).Seconds()/weight, now)
	v.bound(now)
}

// bound drops the least leads where there are too many. Those who had them lose Patience at most,
// as if they had never come.
func (v *level) bound(now int64) {
	for len(v.rows) > MaxRows {
		var least jobs.NodeID
		first := true
		for id, r := range v.rows {
			if id != strangers && (first || cmp.Or(cmp.Compare(r.now(now), v.rows[least].now(now)), slices.Compare(id[:], least[:])) < 0) {
				least, first = id, false
			}
		}
		v.drop(least)
	}
}
