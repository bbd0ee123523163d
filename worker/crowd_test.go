package worker

import (
	"container/heap"
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// looker is one of many idle donors: when it looks next, and its pause.
type looker struct {
	id    jobs.NodeID
	at    time.Duration
	pause time.Duration
	asks  []jobs.Hold // what it is about to claim: a message takes its time
}

type lookers []*looker

func (h lookers) Len() int           { return len(h) }
func (h lookers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h lookers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lookers) Push(x any)        { *h = append(*h, x.(*looker)) }
func (h *lookers) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// crowd is five keepers with one unit, and how often they are asked.
type crowd struct {
	job     *jobs.Job
	keepers []*scheduler.Ledger
	lag     []time.Duration // after which each hears of anything
	claims  []int
	reads   int
	holders map[jobs.NodeID]jobs.Hold // who was assigned what
}

type key struct{ ed25519.PrivateKey }

func (k key) ID() jobs.NodeID      { return jobs.NodeID(k.Public().(ed25519.PublicKey)) }
func (k key) Sign(m []byte) []byte { return ed25519.Sign(k.PrivateKey, m) }

func newCrowd(t *testing.T, donors int) *crowd {
	t.Helper()
	submitter := key{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	m := &jobs.Manifest{Units: []jobs.UnitSpec{{Count: 1, Source: jobs.FromRange}}}
	job, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "test", Submitter: submitter.ID(), Created: 1, Expires: 1000, Program: jobs.BlobOf([]byte("\x00asm")),
		Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: 1000}, Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 120},
		Inputs: 1, Units: 1, Root: jobs.Root([]jobs.Digest{jobs.LeafOf(jobs.Encode(m))}),
	}, submitter)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{job: job, claims: make([]int, scheduler.Keepers), holders: map[jobs.NodeID]jobs.Hold{}}
	for i := range scheduler.Keepers {
		l := scheduler.NewLedger(job, 0, m)
		l.SetDonors(donors)
		c.keepers = append(c.keepers, l)
		c.lag = append(c.lag, time.Duration(i)*100*time.Millisecond)
	}
	return c
}

const latency = 300 * time.Millisecond // of a claim

var crowdEpoch = time.Unix(1_700_000_000, 0)

// look is what a worker's feeder does with one shard: read what the keepers say of it, and see what
// it is eligible for.
func (c *crowd) look(id jobs.NodeID, now time.Duration, rnd *rand.Rand) (asks []jobs.Hold, due time.Duration, donors int) {
	free := make([]int, 8)
	for i, l := range c.keepers {
		s := l.SummaryFor(crowdEpoch.Add(now-c.lag[i]), scheduler.Applicant{Worker: id})
		s.Narrow(c.job.ID, id)
		c.reads++
		for r := range free {
			free[r] += int(s.Unit(0).Free >> r & 1)
		}
		due, donors = max(due, s.Wait), max(donors, int(s.Lottery.Donors))
	}
	sum := &scheduler.Summary{Units: []byte{0, 0}}
	for r := range free {
		if free[r] >= scheduler.Majority(scheduler.Keepers) {
			sum.Units[1] |= 1 << r
		}
	}
	asks = pick(sum, false, false, func(uint16) bool { _, holds := c.holders[id]; return holds }, 1, rnd.Uint64())
	return asks, due, donors
}

// claim asks all of the keepers, and gives back what no majority granted.
func (c *crowd) claim(id jobs.NodeID, now time.Duration, holds []jobs.Hold) {
	granted := 0
	for i, l := range c.keepers {
		c.claims[i]++
		granted += len(l.Claim(crowdEpoch.Add(now-c.lag[i]), scheduler.Applicant{Worker: id, Room: 1}, holds))
	}
	if granted >= scheduler.Majority(scheduler.Keepers) {
		c.holders[id] = holds[0]
	} else {
		for _, l := range c.keepers {
			l.Release(id, holds)
		}
	}
}

// renew is what those who hold a replica do now and then.
func (c *crowd) renew(now time.Duration) {
	for id, h := range c.holders {
		for i, l := range c.keepers {
			l.Renew(crowdEpoch.Add(now-c.lag[i]), scheduler.Applicant{Worker: id, Room: 1}, []jobs.Hold{h})
		}
	}
}

// Ten thousand idle donors see one unit of work. Few of them ask for it, and it is taken.
func TestTenThousandDonorsOneUnit(t *testing.T) {
	for _, donors := range []int{1000, 10_000} {
		c := newCrowd(t, donors)
		rnd := rand.New(rand.NewPCG(1, uint64(donors)))
		var h lookers
		for i := range donors {
			var id jobs.NodeID
			binary.BigEndian.PutUint32(id[:], uint32(i+1))
			h = append(h, &looker{id: id, at: time.Second + rand.N(100*time.Millisecond), pause: idleAtFirst})
		}
		heap.Init(&h)
		var taken, renewed time.Duration
		for h[0].at < 5*time.Minute {
			x := h[0]
			if x.asks != nil {
				c.claim(x.id, x.at, x.asks)
			}
			var wait, due time.Duration
			known := 0
			if x.asks, due, known = c.look(x.id, x.at, rnd); x.asks != nil {
				x.pause, wait = idleAtFirst, latency
			} else {
				x.pause, wait = rest(x.pause, due, known, false)
			}
			if taken == 0 && len(c.holders) == 2 {
				taken = x.at
			}
			x.at += wait + time.Duration(rnd.Int64N(int64(wait/4+time.Millisecond)))
			heap.Fix(&h, 0)
			if h[0].at > renewed+5*time.Second {
				renewed = h[0].at
				c.renew(renewed)
			}
		}
		if taken == 0 {
			t.Errorf("%d donors: nobody took the unit in five minutes", donors)
		}
		t.Logf("%d donors: taken after %s; claims at each keeper %v; %d summaries read by each donor in five minutes", donors, taken-time.Second, c.claims, c.reads/scheduler.Keepers/donors)
		for i, n := range c.claims {
			if n > 50 {
				t.Errorf("%d donors: keeper %d was asked %d times", donors, i, n)
			}
		}
	}
}
