// Package collect gathers a job's answers: it reads the records of decided units from their
// keepers, verifies them again trusting none, accepts, fetches the outputs, and assembles them
// in input order. What was accepted is on disk; a restart goes on from there.
package collect

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Keepers is what a collector asks of the keepers of a shard.
type Keepers interface {
	Keepers(ctx context.Context, ref protocol.ShardRef) ([]jobs.NodeID, error)
	Describe(ctx context.Context, ref protocol.ShardRef) (*client.Described, error)
	Summary(ctx context.Context, ref protocol.ShardRef) (*scheduler.Summary, error)
	Await(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, known uint64, wait time.Duration) (*scheduler.Summary, error)
	Read(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, units []uint16, general bool) ([]*jobs.Record, error)
	Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error)
	Holders(ctx context.Context, ref protocol.ShardRef) ([]scheduler.Holder, error)
}

// Blobs holds payloads and packs.
type Blobs interface {
	Has(jobs.Digest) bool
	Open(jobs.Digest) (io.ReadCloser, error)
	Fetch(ctx context.Context, owner string, b jobs.Blob, holders []jobs.NodeID, until time.Time) error
}

// Config says what a collector is made of.
type Config struct {
	Keepers Keepers
	Disk    disk.Disk
	Blobs   Blobs
	Logger  *slog.Logger
	// Manifest gives a shard's manifest, with its path to the head's root, where this node has it;
	// else the keepers are asked.
	Manifest func(shard uint32) (*jobs.Manifest, []jobs.Digest, error)
	Runtime  strand.Runtime // nil: goroutines
	// Judge is this node's, where the job is its own; nobody else can finish one at strong.
	Judge *Judge
}

// Pace of collecting.
const (
	shardsAtOnce = 16
	watchAtMost  = 15 * time.Second
	lookAgain    = time.Second // where there are more shards than are watched at once
	retryAtFirst = 200 * time.Millisecond
	retryAtMost  = 5 * time.Second
)

// Collector collects one job.
type Collector struct {
	cfg Config
	rt  strand.Runtime
	job *jobs.Job

	trial *trial // nil where what the keepers' records say is all

	mu        sync.Mutex
	final     bool             // at strong: nothing that was accepted can fall any more
	said      map[uint32]bool  // shards of another's job about which its last word is known
	drawn     map[uint32]uint8 // by shard, a bit a draw: those that the keepers have of this run
	manifests map[uint32]*listed
	accepted  map[uint32][]scheduler.State // by shard and unit; Open: not accepted
	summaries map[uint32]*scheduler.Summary
	seen      map[seenKey]uint64   // versions of keepers' summaries that were told
	looked    map[uint32]time.Time // when each shard was last looked at
	tally     Tally
	changed   strand.Signal
	donors    map[jobs.NodeID]evidence.Share
	lastErr   error
	reading   reading
}

type seenKey struct {
	shard  uint32
	keeper jobs.NodeID
}

// Tally counts what was accepted.
type Tally struct {
	_                     struct{} `cbor:",toarray"`
	Units                 uint64
	Agreed, Failed, Stuck uint64 // units
	Done                  uint64 // inputs with an answer, failures included
	BadInputs             uint64 // inputs whose answer is a failure
	StuckInputs           uint64
	Executions            uint64
	Fuel                  uint64 // instructions of the accepted answers
	Own                   uint64 // units decided by this submitter's own run
}

// New makes the collector of a job and takes up what was accepted before.
func New(cfg Config, job *jobs.Job) (*Collector, error) {
	c := &Collector{
		cfg: cfg, rt: strand.Or(cfg.Runtime), job: job, manifests: map[uint32]*listed{}, accepted: map[uint32][]scheduler.State{},
		summaries: map[uint32]*scheduler.Summary{}, seen: map[seenKey]uint64{}, looked: map[uint32]time.Time{}, donors: map[jobs.NodeID]evidence.Share{},
		reading: newReading(), said: map[uint32]bool{}, drawn: map[uint32]uint8{},
	}
	if cfg.Judge != nil && job.Head.Policy.Level >= jobs.Strong {
		var err error
		if c.trial, err = cfg.Judge.begin(job); err != nil {
			return c, err
		}
		if _, c.final, err = cfg.Disk.Get(jobKey(finalPrefix, job.ID)); err != nil {
			return c, err
		}
	}
	if err := c.restore(); err != nil || !c.readsFinal() {
		return c, err
	}
	for shard := range job.Head.Shards() {
		rs, err := c.finals(protocol.ShardRef{Job: job.ID, Shard: shard})
		if err != nil {
			return c, err
		}
		c.said[shard] = len(rs) > 0
	}
	return c, nil
}

// Job is the job being collected.
func (c *Collector) Job() *jobs.Job { return c.job }

// Run collects until every unit is accepted or ctx ends; at strong, until the keepers know, too, that
// all is final.
func (c *Collector) Run(ctx context.Context) error {
	shards := c.job.Head.Shards()
	turns := strand.NewQueue[uint32](int(shards))
	left := 0
	for s := range shards {
		if !c.complete(s) {
			left++
			_ = turns.Put(ctx, c.rt, s) // there is room for all
		}
	}
	wait := func(uint32) time.Duration { return watchAtMost }
	if left > shardsAtOnce || c.trial != nil { // where units are judged, one shard's liar concerns all
		wait = c.patience
	}
	done := strand.NewQueue[uint32](shardsAtOnce)
	var workers strand.Group
	defer workers.Wait(c.rt)
	ctx, cancel := c.rt.WithCancel(ctx)
	defer cancel(nil)
	for range min(left, shardsAtOnce) {
		workers.Go(c.rt, func() {
			for {
				s, ok := turns.Take(ctx, c.rt, strand.Forever)
				if !ok {
					return
				}
				next := turns
				if c.turn(ctx, s, wait(s)) {
					next = done
				}
				if next.Put(ctx, c.rt, s) != nil {
					return
				}
			}
		})
	}
	for ; left > 0; left-- {
		if _, ok := done.Take(ctx, c.rt, strand.Forever); !ok {
			return ctx.Err()
		}
	}
	if c.trial != nil {
		return c.tellFinal(ctx)
	}
	return nil
}

// patience is how long to stay with a shard where there are many: not at all before each was
// looked at once, so that how far the job is is soon known.
func (c *Collector) patience(shard uint32) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.summaries[shard] == nil {
		return 0
	}
	return lookAgain
}

// turn works on one shard for a while and reports whether all of it is accepted.
func (c *Collector) turn(ctx context.Context, shard uint32, wait time.Duration) bool {
	ref := protocol.ShardRef{Job: c.job.ID, Shard: shard}
	began, retry, gather, before := c.rt.Now(), retryAtFirst, gatherFor, ""
	for ctx.Err() == nil {
		err := c.look(ctx, ref)
		gather = min(2*gather, gatherAtMost) // a keeper may prompt for nothing, again and again
		if now := c.stands(shard); now != before {
			gather, before = gatherFor, now
		}
		if c.complete(shard) {
			return true
		}
		c.note(err)
		left := wait - c.rt.Now().Sub(began)
		if left <= 0 {
			return false
		}
		if err != nil {
			c.cfg.Logger.Debug("collecting", "job", c.job.ID.Short(), "shard", shard, "error", err)
			_ = strand.Sleep(ctx, c.rt, retry)
			retry = min(2*retry, retryAtMost)
			continue
		}
		retry = retryAtFirst
		c.await(ctx, ref, left, gather)
	}
	return false
}

func (c *Collector) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastErr = err
}

// look reads what the keepers say of a shard, and accepts what can be.
func (c *Collector) look(ctx context.Context, ref protocol.ShardRef) error {
	m, err := c.manifest(ctx, ref)
	if err != nil {
		return err
	}
	sum, err := c.cfg.Keepers.Summary(ctx, ref)
	if err != nil {
		return err
	}
	if err := c.draw(ctx, ref, sum); err != nil {
		c.cfg.Logger.Debug("no fresh secret for the lots", "job", c.job.ID.Short(), "shard", ref.Shard, "error", err)
	}
	c.mu.Lock()
	c.summaries[ref.Shard], c.looked[ref.Shard] = sum, c.rt.Now()
	var todo []uint16
	for n := range m.Units {
		if c.accepted[ref.Shard][n] == scheduler.Open && c.ripe(sum.Unit(n).State) {
			todo = append(todo, uint16(n))
		}
	}
	if c.trial != nil {
		todo = c.trial.news(c.rt.Now(), ref, sum, todo)
		todo = append(todo, c.trial.unclaimed(c.rt.Now(), ref, sum)...)
		slices.Sort(todo)
	}
	c.recount(ref.Shard)
	last := c.readsFinal() && c.completeLocked(ref.Shard) && !c.said[ref.Shard]
	c.mu.Unlock()
	c.changed.Raise()
	if len(todo) == 0 && !last {
		if c.trial != nil {
			return c.conclude(ctx)
		}
		return nil
	}
	set, err := c.cfg.Keepers.Keepers(ctx, ref)
	if err != nil {
		return err
	}
	if last {
		return c.lookFinal(ctx, ref, m, set)
	}
	if c.trial != nil {
		return c.judgeShard(ctx, ref, m, set, todo)
	}
	ledger := scheduler.NewLedger(c.job, ref.Shard, m)
	for at := range set {
		if todo, err = c.acceptFrom(ctx, ref, m, ledger, set, at, todo); len(todo) == 0 {
			return nil
		}
	}
	return err
}

// ripe reports whether a unit in a state is worth a look. Who judges for itself looks at votes that
// do not agree, too.
func (c *Collector) ripe(s scheduler.State) bool {
	return s.Decided() || c.trial != nil && (s == scheduler.Sealed || s == scheduler.Disputed)
}

// listed is a shard's manifest, and what shows that it is the one the head commits to.
type listed struct {
	manifest *jobs.Manifest
	path     []jobs.Digest
	kept     bool // it is on this home's disk
}

// manifest gives a shard's manifest.
func (c *Collector) manifest(ctx context.Context, ref protocol.ShardRef) (*jobs.Manifest, error) {
	m, err := c.listed(ctx, ref)
	if err != nil {
		return nil, err
	}
	return m.manifest, nil
}

func (c *Collector) listed(ctx context.Context, ref protocol.ShardRef) (*listed, error) {
	c.mu.Lock()
	m := c.manifests[ref.Shard]
	c.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m = &listed{kept: true}
	if c.cfg.Manifest != nil {
		m.manifest, m.path, _ = c.cfg.Manifest(ref.Shard) // the keepers have it too
	}
	if m.manifest == nil {
		if m = c.stored(ref.Shard); m == nil {
			m = &listed{}
		}
	}
	if m.manifest == nil {
		d, err := c.cfg.Keepers.Describe(ctx, ref)
		if err != nil {
			return nil, err
		}
		m.manifest, m.path = d.Manifest, d.Path
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests[ref.Shard] = m
	if c.accepted[ref.Shard] == nil {
		c.accepted[ref.Shard] = make([]scheduler.State, len(m.manifest.Units))
	}
	return m, nil
}

// complete reports whether nothing is left to do about a shard.
func (c *Collector) complete(shard uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trial != nil {
		return c.final
	}
	return c.completeLocked(shard) && (c.said[shard] || !c.readsFinal())
}

// completeLocked reports whether all of a shard is accepted. The caller holds mu.
func (c *Collector) completeLocked(shard uint32) bool {
	units := c.accepted[shard]
	if units == nil {
		return false
	}
	return !slices.Contains(units, scheduler.Open)
}

// Changed is closed at the next change of what Progress would say.
func (c *Collector) Changed() <-chan struct{} { return c.changed.Next() }

// Complete reports whether every unit is accepted.
func (c *Collector) Complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Units == uint64(c.job.Head.Units)
}
