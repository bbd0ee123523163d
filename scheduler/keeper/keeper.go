// Package keeper drives the scheduler: it holds the ledgers of the shards that are placed on
// this node, answers the keeper protocol, keeps records on disk, fetches what must be held,
// and repairs a shard's set of keepers. It decides nothing about work: package scheduler does.
package keeper

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Peers is the network as a keeper needs it.
type Peers interface {
	Self() jobs.NodeID
	// Nearest are the r reachable nodes nearest to a key, this one included where it is near.
	Nearest(ctx context.Context, key [32]byte, r int) ([]jobs.NodeID, error)
	// Call asks another node a question of the keeper protocol.
	Call(ctx context.Context, to jobs.NodeID, request []byte) ([]byte, error)
	// Donors is how many donors the node knows of.
	Donors() int
	// NetworkOf is the network a peer was seen in; empty for a private address.
	NetworkOf(jobs.NodeID) string
}

// Blobs holds the bytes a shard needs.
type Blobs interface {
	Has(jobs.Digest) bool
	Open(jobs.Digest) (io.ReadCloser, error)
	// Fetch gets a blob from one of its holders, unless it is here, and holds it for owner.
	Fetch(ctx context.Context, owner string, b jobs.Blob, holders []jobs.NodeID, until time.Time) error
	Release(ctx context.Context, owner string) error
}

// Config says what a keeper is made of.
type Config struct {
	Network string
	Signer  jobs.Signer
	Peers   Peers
	Disk    disk.Disk
	Blobs   Blobs
	Logger  *slog.Logger
	// Changed is raised when peers came or went.
	Changed *strand.Signal
	Runtime strand.Runtime // nil: goroutines
	// Verify checks signatures; nil: jobs.Verify.
	Verify jobs.Verifier
	// OnControl is told of a submitter's word on a whole job, new here.
	OnControl func(*jobs.Record)
}

// Times of a keeper's own housekeeping. None of them decides a verdict.
const (
	repairEvery   = 30 * time.Second // look a shard's nearest nodes up again
	repairSoon    = time.Second      // after peers changed
	heirsEvery    = 5 * time.Minute  // see who would keep it if most of its keepers vanished
	repairTries   = 5                // times the pause after a repair that failed is doubled
	syncSoon      = 2 * time.Second  // after records came
	syncCalm      = 10 * time.Second // the same where they come to all keepers anyway, as was seen
	syncEvery     = time.Minute
	tickEvery     = 500 * time.Millisecond
	unloadAfter   = 2 * time.Minute  // an idle ledger goes back to disk
	unloadDone    = 45 * time.Second // one that is finished, sooner; longer than anyone waits for one
	unloadUsed    = 2 * time.Second  // and none that was just taken up
	keepAfterEnd  = 3 * 24 * time.Hour
	incompleteFor = time.Hour // a shard whose blobs do not come is let go: nobody has a receipt
	maxShards     = 1 << 16
	maxManifests  = 256 << 20 // bytes of manifests in memory; of one submitter half, and half of the shards
	maxLoaded     = 256
	maxWait       = 30 * time.Second // longest wait of a watch or a summary
	callTimeout   = 5 * time.Second
	bringWait     = 4 * time.Second // for a node to fetch a shard's blobs: less than callTimeout
	bringTries    = 10
	fetchParallel = 8
)

// Keeper holds shards. Make one with New, then Run it.
type Keeper struct {
	cfg    Config
	rt     strand.Runtime
	self   jobs.NodeID
	verify jobs.Verifier

	roll roll

	mu      sync.Mutex
	shards  map[protocol.ShardRef]*shard
	loading sync.Mutex // one ledger is read from disk at a time
	fetches *strand.Gate
	tasks   strand.Group
	counts  counts
	ctx     context.Context // of Run; what handlers start must end with it
}

// New makes a keeper and lists the shards it holds; their ledgers are read when first needed.
func New(cfg Config) (*Keeper, error) {
	if cfg.Verify == nil {
		cfg.Verify = jobs.Verify
	}
	k := &Keeper{
		cfg: cfg, rt: strand.Or(cfg.Runtime), self: cfg.Signer.ID(), verify: client.Remembering(cfg.Verify),
		shards: map[protocol.ShardRef]*shard{}, fetches: strand.NewGate(fetchParallel), ctx: context.Background(),
	}
	if err := k.recall(); err != nil {
		return nil, err
	}
	err := cfg.Disk.Scan([]byte{metaPrefix}, func(_, value []byte) error {
		s, err := k.openShard(value)
		if err != nil {
			k.cfg.Logger.Debug("shard on disk is of another network or not readable, left alone", "error", err)
			return nil
		}
		k.shards[s.ref] = s
		return nil
	})
	return k, err
}

// Run repairs, syncs and forgets until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, cancel := k.rt.WithCancel(ctx)
	defer k.tasks.Wait(k.rt)
	defer cancel(nil)
	k.mu.Lock()
	k.ctx = ctx
	k.mu.Unlock()
	peers := k.cfg.Changed
	if peers == nil {
		peers = new(strand.Signal) // only the clock prompts repairs
	}
	for mark := peers.Mark(); k.rt.Wait(ctx, tickEvery, mark) == nil; {
		if mark.Raised() {
			mark = peers.Mark()
			k.hurry(k.rt.Now().Add(repairSoon))
		}
		k.maintain(ctx, k.rt.Now())
		k.keepRoll(ctx, k.rt.Now())
	}
	k.roll.mu.Lock()
	k.roll.keptAt = time.Time{}
	k.roll.mu.Unlock()
	k.keepRoll(context.WithoutCancel(ctx), k.rt.Now())
	return nil
}

// start runs f on a strand that Run waits for.
func (k *Keeper) start(f func(ctx context.Context)) {
	k.mu.Lock()
	ctx := k.ctx
	k.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	k.tasks.Go(k.rt, func() { f(ctx) })
}

// hurry brings every shard's next repair forward.
func (k *Keeper) hurry(at time.Time) {
	for _, s := range k.all() {
		s.mu.Lock()
		if s.repairAt.After(at) {
			s.repairAt = at
		}
		s.mu.Unlock()
	}
}

func (k *Keeper) all() []*shard {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Values(k.shards), func(a, b *shard) int { return a.ref.Compare(b.ref) })
}

// Held are the shards kept here.
func (k *Keeper) Held() []protocol.ShardRef {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Keys(k.shards), protocol.ShardRef.Compare)
}

// Local reports whether a shard is kept here only and for this node alone: its job has not been
// offered to the grid.
func (k *Keeper) Local(ref protocol.ShardRef) bool {
	k.mu.Lock()
	s := k.shards[ref]
	k.mu.Unlock()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local
}

// find gives a shard with its ledger loaded, which somebody is interested in.
func (k *Keeper) find(ref protocol.ShardRef) (*shard, error) {
	s, err := k.kept(ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.touched = k.rt.Now()
	s.worked = s.touched
	s.mu.Unlock()
	return s, k.load(s)
}

// kept gives a shard, its ledger loaded or not: keepers that only compare keep none in memory.
func (k *Keeper) kept(ref protocol.ShardRef) (*shard, error) {
	k.mu.Lock()
	s := k.shards[ref]
	k.mu.Unlock()
	if s == nil || s.leaving() {
		return nil, protocol.Refuse(protocol.Unknown, "that shard is not kept here")
	}
	return s, nil
}

// room reports whether another shard of a submitter's may be kept, with a manifest of that size.
// This node's own jobs have no other bound than the disk. The caller holds mu.
func (k *Keeper) room(submitter jobs.NodeID, manifest int) bool {
	shards, size, theirs, theirSize := 0, manifest, 0, manifest
	for _, s := range k.shards {
		shards, size = shards+1, size+len(s.meta.Manifest)
		if s.job.Head.Submitter == submitter {
			theirs, theirSize = theirs+1, theirSize+len(s.meta.Manifest)
		}
	}
	if submitter == k.self {
		return true
	}
	return shards < maxShards && size <= maxManifests && theirs < maxShards/2 && theirSize <= maxManifests/2
}

// load reads a shard's records from disk if its ledger is not in memory.
func (k *Keeper) load(s *shard) error {
	s.mu.Lock()
	loaded := s.ledger != nil
	s.used = k.rt.Now()
	s.mu.Unlock()
	if loaded {
		return nil
	}
	k.loading.Lock()
	defer k.loading.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger != nil {
		return nil
	}
	ledger := scheduler.NewLedger(s.job, s.ref.Shard, s.manifest)
	err := k.cfg.Disk.Scan(recordPrefix(s.ref), func(key, value []byte) error {
		var b jobs.Batch
		err := asNamed(key, value)
		if err == nil {
			err = jobs.Decode(value, protocol.MaxMessage, &b)
		}
		var rs []*jobs.Record
		if err == nil {
			rs, err = b.OpenWith(k.cfg.Network, storedBefore)
		}
		if err != nil {
			k.cfg.Logger.Warn("a record on disk is not readable, left alone", "job", s.ref.Job.Short(), "error", err)
			return nil
		}
		for _, r := range rs {
			if _, err := ledger.Apply(r); err == nil {
				attachInline(ledger, s.manifest, r)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	ledger.GoOnFrom(s.seen)
	ledger.DrawnSince(s.since)
	s.ledger, s.resting, s.payloads = ledger, nil, true
	s.touched, s.used = k.rt.Now(), k.rt.Now()
	k.learn(s.used, s)
	s.hold()
	s.settle()
	return nil
}

// storedBefore trusts the signatures of what lies on this node's disk: they were verified
// before it was written, and what has rotted since is found by its name.
func storedBefore(jobs.NodeID, []byte, []byte) bool { return true }

var errGone = errors.New("shard was handed over")
