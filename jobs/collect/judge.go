package collect

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/scheduler/trust"
)

// On disk: a pair for each donor, unit and job that is judged here.
const (
	donorPrefix     = 'd' // what is known of a donor, from all jobs
	standingPrefix  = 's' // where a unit stands
	suspicionPrefix = 'q' // what a job has seen of lies
	finalPrefix     = 'f' // a job whose answers are final
)

// Judge is what a submitter judges with at the levels that only its own key can finish: its
// record of donors, and its secret. The collectors of all its jobs share it.
type Judge struct {
	disk    disk.Disk
	network string
	signer  jobs.Signer
	secret  []byte

	mu   sync.Mutex // of book, and of every acceptance that leans on it
	book *trust.Book
}

const secretDomain = "shoal/judge/1\x00"

// NewJudge makes the judge of this node's own jobs, and takes up its record of donors.
func NewJudge(d disk.Disk, network string, s jobs.Signer) (*Judge, error) {
	// Ed25519 signs the same message the same way: a secret that every machine with the key has,
	// and nobody else.
	secret := jobs.Sum([]byte(secretDomain), s.Sign([]byte(secretDomain)))
	j := &Judge{disk: d, network: network, signer: s, secret: secret[:], book: trust.NewBook()}
	return j, d.Scan([]byte{donorPrefix}, func(key, value []byte) error {
		if len(key) != 1+len(jobs.NodeID{}) {
			return fmt.Errorf("record of a donor under a key of %d bytes", len(key))
		}
		return j.book.Restore(jobs.NodeID(key[1:]), value)
	})
}

// Known is what is known of some donors.
func (j *Judge) Known(ids []jobs.NodeID) []trust.Donor {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]trust.Donor, len(ids))
	for i, id := range ids {
		out[i] = j.book.Get(id)
	}
	return out
}

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
}

// quiet is since when a unit, or a shard, has had no news.
type quiet struct {
	votes int // or seals
	since time.Time
}

// patience is how long the submitter waits for somebody new before it runs a unit itself: five
// leases, which is ten minutes where nothing else was asked for, and never more.
func (t *trial) patience() time.Duration { return min(5*t.lease, 10*time.Minute) }

func unitOf(ref protocol.ShardRef, n uint16) uint32 { return ref.Shard*jobs.UnitsPerShard + uint32(n) }

func jobKey(prefix byte, id jobs.JobID) []byte { return append([]byte{prefix}, id[:]...) }

func standingKey(ref protocol.ShardRef, n uint16) []byte {
	k := unitKey(ref, n)
	k[0] = standingPrefix
	return k
}

// begin takes up the judging of a job where it was left.
func (j *Judge) begin(job *jobs.Job) (*trial, error) {
	h := &job.Head
	coin := trust.NewCoin(j.secret, job.ID)
	t := &trial{Judge: j, lease: h.LeaseTime(), quiet: map[uint32]quiet{}, idle: map[uint32]quiet{}, ours: map[uint32]bool{}, voters: map[jobs.NodeID]bool{}, guilty: map[jobs.NodeID]bool{}}
	j.mu.Lock()
	defer j.mu.Unlock()
	t.accept = trust.NewAcceptance(trust.RuleOf(h.Policy), trust.PlanOf(h.Policy.Level), coin, j.book, int(h.Units))
	err := j.disk.Scan(jobKey(standingPrefix, job.ID), func(key, value []byte) error {
		var s trust.Standing
		if err := jobs.Decode(value, protocol.MaxMessage, &s); err != nil {
			return err
		}
		ref := protocol.ShardRef{Job: job.ID, Shard: binary.BigEndian.Uint32(key[33:])}
		return t.accept.RestoreUnit(unitOf(ref, binary.BigEndian.Uint16(key[37:])), s)
	})
	if err != nil {
		return nil, fmt.Errorf("where the units of job %s stand: %w", job.ID.Short(), err)
	}
	raw, ok, err := j.disk.Get(jobKey(suspicionPrefix, job.ID))
	if err != nil || !ok {
		return t, err
	}
	var s trust.Suspicion
	if err := jobs.Decode(raw, protocol.MaxMessage, &s); err != nil {
		return nil, err
	}
	t.accept.Restore(s)
	return t, nil
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
		return d
	}
	q, known := t.quiet[at]
	if !known || q.votes != len(votes) {
		q = quiet{len(votes), now}
		t.quiet[at] = q
	}
	if len(votes) == 0 && t.ours[at] || now.Sub(q.since) >= t.patience() && !(others && d.Step == trust.More) {
		d = trust.Decision{Step: trust.Run}
	}
	return d
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

// again gives the units whose answers may stand no more.
func (t *trial) again() []uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.accept.Again()
}

// judgeShard reads what there is of some units, from every keeper that answers, and accepts, asks
// for votes, or has units run here.
func (c *Collector) judgeShard(ctx context.Context, ref protocol.ShardRef, m *jobs.Manifest, set []jobs.NodeID, todo []uint16) error {
	ledger := scheduler.NewLedger(c.job, ref.Shard, m)
	var err error
	heard := 0
	for _, at := range set {
		var rs []*jobs.Record
		if rs, err = c.cfg.Keepers.Read(ctx, ref, at, todo, true); err == nil {
			heard++
		}
		c.apply(ledger, m, rs)
	}
	if heard == 0 {
		return err
	}
	c.trial.convict(ledger)
	var asks []jobs.UnitAsk
	var done []judged
	whom := c.trial.whom()
	for _, n := range todo {
		c.openVotes(ctx, ref, m, ledger, int(n), set)
		v := ledger.Verdict(int(n))
		if answer, ok := ledger.Final(int(n)); ok {
			u, uerr := c.adopt(ctx, ref, m, ledger, n, answer, set)
			if uerr != nil {
				err = uerr // judging it again could contradict what was said
				continue
			}
			done = append(done, judged{n, u})
			continue
		}
		votes := votesOf(ledger, v, int(c.job.Head.Policy.Votes))
		d := c.trial.decide(c.rt.Now(), ref, n, votes, unnamed(ledger, n, whom))
		if d.Step == trust.More && exhausted(votes, whom) {
			d.Step = trust.Run
		}
		switch d.Step {
		case trust.Accept:
			u, uerr := c.assembleAnswer(ctx, ref, m, ledger, int(n), d, set)
			if uerr != nil {
				err = uerr
				continue
			}
			c.keepNames(ctx, ref, &m.Units[n], set)
			done = append(done, judged{n, u})
		case trust.More:
			asks = append(asks, jobs.UnitAsk{Unit: n, Votes: uint8(min(len(v.Votes)+d.More, jobs.MaxVotes))})
		case trust.Run:
			asks = append(asks, jobs.UnitAsk{Unit: n, Votes: jobs.OwnRun})
		}
	}
	if aerr := c.ask(ctx, ref, ledger, asks, whom); aerr != nil {
		err = aerr
	}
	if derr := c.keepJudged(ctx, ref, ledger, todo, done); derr != nil {
		err = derr
	}
	return err
}

// What is asked for at a time in one shard. Until it comes the others can wait: every unit that is
// accepted says more about its voters, and then fewer have to be asked.
const (
	askedAtOnce = 32
	ownAtOnce   = 4
)

// unnamed reports whether there is somebody to ask whom no earlier ask about a unit names.
func unnamed(l *scheduler.Ledger, n uint16, whom []jobs.NodeID) bool {
	named := l.Named(int(n))
	return len(named) > 0 && slices.ContainsFunc(whom, func(id jobs.NodeID) bool { return !slices.Contains(named, id) })
}

// widen reports whether an ask is to be repeated to more voters: too few of those that it names are
// left to give the votes, or none of them has come for a lease. The new ones get their time.
func (t *trial) widen(now time.Time, ref protocol.ShardRef, l *scheduler.Ledger, n uint16, whom []jobs.NodeID) bool {
	if !unnamed(l, n, whom) {
		return false
	}
	votes, left := l.Verdict(int(n)).Votes, 0
	for _, id := range l.Named(int(n)) {
		if !slices.ContainsFunc(votes, func(v scheduler.Vote) bool { return v.Worker == id }) {
			left++
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := unitOf(ref, n)
	q, known := t.quiet[at]
	if left >= int(l.Asked(int(n)))-len(votes) && known && now.Sub(q.since) < t.lease {
		return false
	}
	t.quiet[at] = quiet{q.votes, now}
	return true
}

// within leaves of some asks those that are new, or that name too few, and that there is room for.
func (c *Collector) within(ref protocol.ShardRef, l *scheduler.Ledger, asks []jobs.UnitAsk, whom []jobs.NodeID) (fresh []jobs.UnitAsk) {
	room, own := askedAtOnce, ownAtOnce
	c.mu.Lock()
	accepted := c.accepted[ref.Shard]
	for n := range l.Units() {
		switch asked := l.Asked(n); {
		case accepted[n] != scheduler.Open || asked == 0:
		case asked == jobs.OwnRun:
			own--
		default:
			room--
		}
	}
	c.mu.Unlock()
	for _, a := range asks {
		switch asked := l.Asked(int(a.Unit)); {
		case asked >= a.Votes && asked != jobs.OwnRun && c.trial.widen(c.rt.Now(), ref, l, a.Unit, whom):
			fresh = append(fresh, jobs.UnitAsk{Unit: a.Unit, Votes: asked})
		case asked >= a.Votes:
		case a.Votes == jobs.OwnRun && own > 0:
			own--
			fresh = append(fresh, a)
		case a.Votes != jobs.OwnRun && (asked > 0 || room > 0):
			room--
			fresh = append(fresh, a)
		}
	}
	return fresh
}

// ask asks the keepers for votes that they were not asked for yet, with one record.
func (c *Collector) ask(ctx context.Context, ref protocol.ShardRef, l *scheduler.Ledger, asks []jobs.UnitAsk, whom []jobs.NodeID) error {
	fresh := c.within(ref, l, asks, whom)
	if len(fresh) == 0 {
		return nil
	}
	rs, err := jobs.SignBatch(c.trial.signer, c.trial.network, ref.Job, ref.Shard, &jobs.Ask{Units: fresh, Voters: whom})
	if err != nil {
		return err
	}
	_, err = c.cfg.Keepers.Offer(ctx, ref, rs)
	return err
}

// votesOf are a unit's votes as its acceptance sees them. Who gave an input up has not voted; a
// vote is late unless it is independent of as many others as the first round has.
func votesOf(l *scheduler.Ledger, v *scheduler.Verdict, first int) []trust.Vote {
	var out []trust.Vote
	for i, x := range v.Votes {
		b := x.Reveal.Body.(*jobs.Reveal)
		if b.GaveUp && !x.Own {
			continue
		}
		others := 0
		for k, o := range v.Votes {
			if k != i && scheduler.Independent(x, o) {
				others++
			}
		}
		vote := trust.Vote{Worker: x.Worker, Answer: b.Tuples, Own: x.Own, Late: others < first-1}
		if x.Seal != nil {
			vote.Network = networkOf(l, x.Seal)
		}
		out = append(out, vote)
	}
	return out
}

// networkOf is the network in which the keepers that granted a seal saw its worker; of several the
// first in order.
func networkOf(l *scheduler.Ledger, seal *jobs.Record) string {
	network := ""
	for _, r := range l.Grants(seal.Body.(*jobs.Seal).Grants) {
		if g := r.Body.(*jobs.Grant); g.Worker == seal.Author && g.Network != "" && (network == "" || g.Network < network) {
			network = g.Network
		}
	}
	return network
}

// judged is a unit that was accepted.
type judged struct {
	number uint16
	unit   *unit
}

// keepJudged writes what came of judging some units, all at once, and counts it.
func (c *Collector) keepJudged(ctx context.Context, ref protocol.ShardRef, l *scheduler.Ledger, looked []uint16, done []judged) error {
	proofs := prove(ref, l)
	for _, x := range done {
		proofs.unit(x.number)
		proofs.pairs = append(proofs.pairs, disk.Pair{Key: unitKey(ref, x.number), Value: jobs.Encode(x.unit)})
	}
	if err := c.cfg.Disk.Put(ctx, append(proofs.pairs, c.trial.changes(ref, looked)...)...); err != nil {
		return err
	}
	if len(done) > 0 {
		c.countAll(ref, done)
	}
	if err := c.reopen(ctx); err != nil {
		return err
	}
	return c.finish(ctx)
}

// reopen takes units back that lean on what fell.
func (c *Collector) reopen(ctx context.Context) error {
	for _, at := range c.trial.again() {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: at / jobs.UnitsPerShard}
		n := uint16(at % jobs.UnitsPerShard)
		if err := c.takeBack(ctx, ref, n); err != nil {
			return err
		}
	}
	return nil
}

// takeBack makes a unit open again that was accepted.
func (c *Collector) takeBack(ctx context.Context, ref protocol.ShardRef, n uint16) error {
	c.mu.Lock()
	stood := c.accepted[ref.Shard] != nil && c.accepted[ref.Shard][n] != scheduler.Open
	c.mu.Unlock()
	if !stood {
		return nil
	}
	raw, ok, err := c.cfg.Disk.Get(unitKey(ref, n))
	if err != nil || !ok {
		return err
	}
	var u unit
	if err := jobs.Decode(raw, protocol.MaxMessage, &u); err != nil {
		return err
	}
	if err := c.cfg.Disk.Delete(ctx, unitKey(ref, n)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted[ref.Shard][n] = scheduler.Open
	c.discount(&u, c.inputsOf(&u))
	c.recount(ref.Shard)
	return nil
}

// finish notes that the answers are final: every unit is accepted, and nothing is in doubt.
func (c *Collector) finish(ctx context.Context) error {
	if !c.Complete() || len(c.trial.again()) > 0 {
		return nil
	}
	if err := c.sayFinal(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.final = true
	c.mu.Unlock()
	c.changed.Raise()
	return nil
}
