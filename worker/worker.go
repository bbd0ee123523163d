package worker

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
	"github.com/shoalgrid/shoal/worker/shares"
)

// Keepers is what a worker asks of the keepers of a shard.
type Keepers interface {
	Keepers(ctx context.Context, ref protocol.ShardRef) ([]jobs.NodeID, error)
	Describe(ctx context.Context, ref protocol.ShardRef) (*client.Described, error)
	Summary(ctx context.Context, ref protocol.ShardRef) (*scheduler.Summary, error)
	Glance(ctx context.Context, ref protocol.ShardRef) (*scheduler.Summary, error)
	Claim(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) (*client.Assignment, error)
	Renew(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold) (lost []jobs.Hold, err error)
	Release(ctx context.Context, ref protocol.ShardRef, holds []jobs.Hold)
	Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error)
	Read(ctx context.Context, ref protocol.ShardRef, at jobs.NodeID, units []uint16, general bool) ([]*jobs.Record, error)
	Watch(ctx context.Context, ref protocol.ShardRef, votes uint8, holds []jobs.Hold, units []uint16, wait time.Duration) (*client.Sealed, error)
}

// Board lists the jobs that are known and open.
type Board interface {
	Jobs() []*jobs.Job
	Changed() *strand.Signal // raised when the list changed
}

// Blobs holds programs, inputs and payloads.
type Blobs interface {
	Path(jobs.Digest) (string, bool)
	Open(jobs.Digest) (io.ReadCloser, error)
	Put(r io.Reader, max uint64) (jobs.Blob, error)
	Hold(ctx context.Context, owner string, b jobs.Blob, until time.Time) error
	Fetch(ctx context.Context, owner string, b jobs.Blob, holders []jobs.NodeID, until time.Time) error
	Release(ctx context.Context, owner string) error
}

// Program says what a guest is started for.
type Program struct {
	Path   string
	Digest jobs.Digest
	Job    *jobs.Job
	Data   []File
	Own    bool // this node's own job: normal priority
}

// File is a host file that a guest sees, read-only.
type File struct{ Name, Path string }

// Input is what a guest is run on once.
type Input struct {
	Number uint64
	Args   []string
	Stdin  io.Reader
	File   *File
	State  State // nil: what the guest leaves in /state is lost with it
}

// Report is how that run ended.
type Report struct {
	Tuple  jobs.Tuple
	Stderr []byte
	Reason string // why it gave up, for the owner of this machine
	CPU    time.Duration
}

// Guest runs inputs of one program, one at a time.
type Guest interface {
	Run(ctx context.Context, in Input, stdout io.Writer) (Report, error)
	Pause() error
	Resume() error
	Close() error
}

// Runner starts guests.
type Runner interface {
	Start(ctx context.Context, p Program) (Guest, error)
}

// Config says what a worker is made of.
type Config struct {
	Network  string
	Signer   jobs.Signer
	Nonce    func(job jobs.JobID, shard uint32, unit uint16) jobs.Digest // HMAC under the node's key
	Keepers  Keepers
	Board    Board
	Blobs    Blobs
	Disk     disk.Disk
	Runner   Runner
	Profiles []jobs.Profile // that this node can run
	Temp     string         // folder for outputs while they grow
	Slots    int            // guests at a time, until Allow
	MaxSlots int            // that Allow can ask for
	OwnSlots int            // more of them, for own jobs while strangers' stand still
	// RunOwn reports whether this node should run units of its own job.
	RunOwn  func(*jobs.Job) bool
	Logger  *slog.Logger
	Runtime strand.Runtime // nil: goroutines
}

// Mode is whether a worker takes strangers' work.
type Mode uint8

const (
	// OwnOnly runs this node's own jobs and nobody else's.
	OwnOnly Mode = iota
	// Donating takes units of any job on the board.
	Donating
	// Paused has its guests stopped and takes nothing new of strangers.
	Paused
	// Finishing ends what it holds and takes nothing new of strangers.
	Finishing
)

// Worker runs units. Make one with New, then Run it.
type Worker struct {
	cfg  Config
	rt   strand.Runtime
	self jobs.NodeID

	ready    *strand.Queue[*task] // claimed, fetched, waiting for a slot
	readyOwn *strand.Queue[*task] // the same, of the node's own jobs
	finished *strand.Queue[*outcome]
	wake     strand.Signal // the feeder should look again
	moved    strand.Signal // what may run where has changed
	slots    int           // that strangers' work can get at most
	signals  sync.Mutex    // held while guests are signalled

	mu       sync.Mutex
	mode     Mode
	tasks    map[taskKey]*task
	infos    map[jobs.JobID]*jobInfo
	settles  map[protocol.ShardRef]*settler
	guests   []Guest // by slot; nil where none is up
	ownGuest []bool  // by slot: it runs this node's own job
	stopped  []bool  // by slot: its guest was told to stand still
	limit    int     // slots that are lent; those above it are for own jobs
	memory   uint64  // bytes that are lent; 0 is any
	taken    uint64  // of them, by what runs
	stats    Stats

	account    *account
	shares     *shares.Ledger
	ownRunning int
	recalled   map[protocol.ShardRef][]storedTask // of an earlier run; the feeder's
	perUnit    time.Duration                      // moving average of a unit's time on a slot
	idleWhy    string
	crowd      int           // donors that keepers know of, as heard since the last look
	due        time.Duration // after which a keeper's lot falls on this worker; 0: not heard
	asked      bool          // there was something to ask for since the last rest
	group      strand.Group
	ctx        context.Context
}

// Stats are a worker's counts since it started.
type Stats struct {
	Units   int // run and sealed, or revealed for own jobs
	Done    int // of them, seen decided
	Waiting int // sealed or revealed, not seen decided yet
	GaveUp  int
}

// Working is what a worker does for one job now.
type Working struct {
	Job   *jobs.Job
	Units int // held: running or about to
}

// New makes a worker in mode OwnOnly.
func New(cfg Config) *Worker {
	cfg.Slots = max(cfg.Slots, 1)
	slots := max(cfg.MaxSlots, cfg.Slots)
	all := slots + max(cfg.OwnSlots, 0)
	rt := strand.Or(cfg.Runtime)
	return &Worker{
		cfg: cfg, rt: rt, account: newAccount(cfg.Disk, rt), shares: shares.New(), self: cfg.Signer.ID(), slots: slots,
		ready: strand.NewQueue[*task](4 * jobs.MaxGrantHolds), readyOwn: strand.NewQueue[*task](4 * jobs.MaxGrantHolds), finished: strand.NewQueue[*outcome](all),
		tasks: map[taskKey]*task{}, infos: map[jobs.JobID]*jobInfo{}, settles: map[protocol.ShardRef]*settler{}, recalled: map[protocol.ShardRef][]storedTask{},
		guests: make([]Guest, all), ownGuest: make([]bool, all), stopped: make([]bool, all), limit: cfg.Slots, ctx: context.Background(),
	}
}

// Run works until ctx ends. Guests are gone when it returns; what was sealed is on disk.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := w.rt.WithCancel(ctx)
	defer w.group.Wait(w.rt)
	defer cancel(nil)
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	if err := errors.Join(w.recover(ctx), w.recall(ctx), w.recallShares()); err != nil {
		return err
	}
	for slot := range w.guests {
		w.start(func(ctx context.Context) { w.slot(ctx, slot) })
	}
	w.start(w.report)
	w.start(w.renew)
	w.feed(ctx)
	w.giveBack()
	return nil
}

func (w *Worker) start(f func(ctx context.Context)) {
	w.mu.Lock()
	ctx := w.ctx
	w.mu.Unlock()
	w.group.Go(w.rt, func() { f(ctx) })
}

// poke makes the feeder look again.
func (w *Worker) poke() { w.wake.Raise() }

// Stats are the counts so far.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	for _, st := range w.settles {
		s.Waiting += st.waiting()
	}
	return s
}

// Working lists the jobs of which units are held, and why nothing is held where nothing is.
func (w *Worker) Working() (list []Working, idle string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := map[jobs.JobID]int{}
	for _, t := range w.tasks {
		i, ok := at[t.ref.Job]
		if !ok {
			i = len(list)
			at[t.ref.Job] = i
			list = append(list, Working{Job: t.info.job})
		}
		list[i].Units++
	}
	return list, w.idleWhy
}

// giveBack releases what is held and not finished: another worker need not wait for the lease.
func (w *Worker) giveBack() {
	ctx, cancel := w.rt.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	byRef := map[protocol.ShardRef][]jobs.Hold{}
	w.mu.Lock()
	for _, t := range w.tasks {
		byRef[t.ref] = append(byRef[t.ref], t.hold)
	}
	clear(w.tasks)
	w.mu.Unlock()
	var releasing strand.Group
	for _, ref := range inOrder(byRef) {
		releasing.Go(w.rt, func() { w.cfg.Keepers.Release(ctx, ref, byRef[ref]) })
	}
	releasing.Wait(w.rt)
}

const giveBackTime = 2 * time.Second

// inOrder are the shards of a map in an order that does not change from run to run.
func inOrder[V any](m map[protocol.ShardRef]V) []protocol.ShardRef {
	return slices.SortedFunc(maps.Keys(m), protocol.ShardRef.Compare)
}
