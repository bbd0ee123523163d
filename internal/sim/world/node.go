package world

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/keeper"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// role is what a node does.
type role struct{ keeps, donates, submits, liar bool }

// node is what outlives a process: a key, a disk, blobs.
type node struct {
	w      *world
	name   string
	number int
	key    ed25519.PrivateKey
	place  [32]byte // where it is in the key space
	role   role
	lie    *liar // nil: honest
	disk   *disk
	blobs  *blobs
	ppm    int64         // of its clocks
	off    time.Duration // of its calendar
	speed  int           // hundredths of the usual
	subnet string        // that it is seen in; empty for a private address
	clog   time.Duration // until then what it sends and is sent is held back
	jumped time.Duration // when somebody last set its calendar
	newer  bool          // it runs the newer of two releases
	crawl  bool          // its way into the network is a hundred times slower
	runs   int           // processes so far
	lives  int           // disks so far
	gone   bool          // for good
	mute   bool          // and without a word
	left   time.Duration // when
	p      *process      // nil while it is down
}

// process is one run of a node's program.
type process struct {
	*node
	m         *strand.Machine
	ctx       context.Context
	keeper    *keeper.Keeper
	client    *client.Client
	worker    *worker.Worker
	submitter *submit.Submitter
	judge     *collect.Judge // of its own jobs
	changed   strand.Signal  // peers
	board     *board
	missed    map[*node]bool // whom that vanished without a word it holds no connection with any more
}

func (w *world) add(name string, r role) *node {
	n := &node{w: w, name: name, number: len(w.nodes), role: r}
	n.use(w.keyOf(n.number, 0))
	n.ppm = int64(w.draw(2*w.fate.driftPPM+1) - w.fate.driftPPM)
	n.off = w.between(0, 2*w.fate.clockOff) - w.fate.clockOff
	n.speed = 50 + w.draw(150)
	n.disk, n.blobs = newDisk(n), newBlobs(n)
	n.subnet = w.subnet(n.number)
	if r.liar {
		n.lie = w.drawLiar(n)
	}
	n.newer = w.fate.releases && w.draw(2) == 0
	w.nodes = append(w.nodes, n)
	return n
}

// subnet is a network that a node may be in: where a unit's voters must all come from others, each
// has its own, else two share one.
func (w *world) subnet(number int) string {
	switch {
	case !w.fate.public:
		return ""
	case w.level() == jobs.Paranoid:
		return fmt.Sprintf("198.51.%d.0/24", number)
	}
	return fmt.Sprintf("198.51.%d.0/24", number/2)
}

func (n *node) id() []byte { id := n.ID(); return id.Bytes() }

// ID implements jobs.Signer.
func (n *node) ID() jobs.NodeID { return jobs.NodeID(n.key.Public().(ed25519.PublicKey)) }

// Sign implements jobs.Signer. A job's head is signed for good even where signatures are fast:
// whoever opens one checks it.
func (n *node) Sign(m []byte) []byte {
	if n.w.opt.Fast && !bytes.HasPrefix(m, []byte("shoal/head/")) {
		return signFast(n.key, m)
	}
	return ed25519.Sign(n.key, m)
}

// signFast is a keyed digest: only the world, which has every key, can check it.
func signFast(key ed25519.PrivateKey, m []byte) []byte {
	h := hmac.New(sha256.New, key.Seed())
	h.Write(m)
	a := h.Sum(make([]byte, 0, ed25519.SignatureSize))
	return append(a, a...)
}

func (n *node) nonce(job jobs.JobID, shard uint32, unit uint16) jobs.Digest {
	h := hmac.New(sha256.New, n.key.Seed())
	fmt.Fprint(h, job, shard, unit)
	return jobs.Digest(h.Sum(nil))
}

func (n *node) honest() bool { return n.lie == nil }

// start begins a process, with the disk as it was left.
func (n *node) start() {
	if n.p != nil {
		return
	}
	w := n.w
	n.runs++
	p := &process{node: n, m: w.loop.Machine(n.ppm, n.off), missed: map[*node]bool{}}
	root, _ := p.m.WithCancel(context.Background())
	p.ctx = root
	n.p = p
	if n.role.donates {
		w.lending++
	}
	w.step("start", []byte(n.name))
	p.m.Go(p.main)
}

// main builds the parts in the order of internal/node, and runs them.
func (p *process) main() {
	w, net := p.w, &link{p}
	p.board = newBoard(p)
	log := w.opt.Logger.With("node", p.name)
	var err error
	p.keeper, err = keeper.New(keeper.Config{
		Network: network, Signer: p.node, Peers: net, Disk: p.table('k'), Blobs: p.view(), Logger: log,
		Changed: &p.changed, Runtime: p.m, Verify: w.verify,
	})
	if err != nil {
		p.fails(err)
		return
	}
	p.client = client.NewOn(p.m, w.verify, network, net, p.local())
	p.submitter = submit.New(submit.Config{
		Network: network, Signer: p.node, Keepers: p.client, Home: p.keeper, Disk: p.table('j'), Blobs: p.view(), Logger: log, Runtime: p.m,
	})
	p.m.Go(func() { _ = p.keeper.Run(p.ctx) })
	p.m.Go(p.board.run)
	if p.role.submits && w.judges() {
		if p.judge, err = collect.NewJudge(p.table('c'), network, p.node); err != nil {
			p.fails(err)
			return
		}
	}
	if p.role.donates || p.role.submits && w.judges() { // who judges runs some units itself
		p.worker = worker.New(worker.Config{
			Network: network, Signer: p.node, Nonce: p.nonce, Keepers: p.asks(), Board: p.board, Blobs: p.view(), Disk: p.table('w'),
			Runner: runner{p}, Profiles: w.opt.Defect.profiles(p), Slots: 1 + p.number%2, RunOwn: func(*jobs.Job) bool { return false },
			Logger: log, Runtime: w.opt.Defect.runtime(p),
		})
		if p.role.donates {
			p.worker.SetMode(worker.Donating)
		}
		p.m.Go(func() {
			if err := p.worker.Run(p.ctx); err != nil {
				p.fails(err)
			}
		})
	}
	if p.lie != nil && p.lie.kind < cheats {
		p.m.Go(func() { p.lie.mischief(p) })
	}
	for _, k := range w.works {
		switch {
		case k.at != p.node:
		case k.cheat != nil:
			p.m.Go(func() { k.mislead(p) })
		default:
			p.m.Go(func() { k.live(p) })
		}
	}
	w.stir()
}

// fails is for a process that cannot start: where its disk fails at that moment whoever looks after
// it starts it again; else it is one that needs a person.
func (p *process) fails(err error) {
	if d := p.disk; !d.broken && !d.full && !d.locked {
		p.w.broke("I25", "%s does not start again: %v", p.name, err)
		return
	}
	p.w.loop.At(0, func() {
		if p.node.p == p {
			p.node.kill()
			p.w.loop.At(10*time.Second, p.node.start)
		}
	})
}

// kill ends a node's process where it stands: nothing more of it happens.
func (n *node) kill() {
	if n.p != nil {
		n.end()
		n.w.stir()
	}
}

// end is a kill that nobody is told of.
func (n *node) end() {
	p := n.p
	if p == nil {
		return
	}
	n.p = nil
	if n.role.donates {
		n.w.lending--
	}
	n.w.step("kill", []byte(n.name))
	p.m.Kill()
	n.disk.crash()
	n.w.opt.Defect.crash(table{p: p, d: n.disk})
	n.w.seen.crashed(n)
}

// wipe makes a node forget everything but its key.
func (n *node) wipe() {
	n.lives++
	n.disk, n.blobs = newDisk(n), newBlobs(n)
}

// maxNeighbours is how many nodes notice at once that a peer came or went.
const maxNeighbours = 64

// stir lets nodes notice, after a while, that peers came or went.
func (w *world) stir() {
	at := w.draw(len(w.nodes))
	for i := range min(len(w.nodes), maxNeighbours) {
		p := w.nodes[(at+i)%len(w.nodes)].p
		if p == nil {
			continue
		}
		w.loop.At(w.between(100*time.Millisecond, 2*time.Second), func() {
			p.notices()
		})
	}
}

// notices is what a process does when whom it is connected with has changed.
func (p *process) notices() {
	if !p.m.Dead() && p.client != nil {
		p.client.ForgetAll()
		p.changed.Raise()
	}
}

// board is the heads that one node has heard of.
type board struct {
	p       *process
	jobs    *scheduler.Board
	changed strand.Signal
}

func newBoard(p *process) *board { return &board{p: p, jobs: scheduler.NewBoard()} }

// Jobs implements worker.Board.
func (b *board) Jobs() []*jobs.Job { return b.jobs.Jobs() }

// Changed implements worker.Board.
func (b *board) Changed() *strand.Signal { return &b.changed }

// add puts a job on the board, and reports whether it is new there.
func (b *board) add(j *jobs.Job) bool {
	if b.p.m.Dead() {
		return false
	}
	own := j.Head.Submitter == b.p.ID() || b.p.w.opt.Defect == OpenBoard
	fresh, err := b.jobs.Add(j, own, b.p.m.Date())
	if err != nil || !fresh {
		return false
	}
	b.p.w.seen.posted(b, j)
	b.changed.Raise()
	return true
}

// run copies, now and then, the board of some peer that is reached: gossip can be lost. As in
// internal/node, less often while that brings nothing new.
func (b *board) run() {
	w := b.p.w
	for pause := boardEvery; strand.Sleep(b.p.ctx, b.p.m, pause+strand.Jitter(b.p.m, boardEvery)) == nil; {
		peer := w.nodes[w.draw(len(w.nodes))]
		if peer.p == nil || peer == b.p.node || !w.reaches(b.p.node, peer) {
			continue
		}
		pause = min(2*pause, boardAtMost)
		w.sends("board", boardAsk)
		for _, j := range peer.p.board.Jobs() {
			if b.add(j) {
				pause = boardEvery
				w.answers("board", postSize)
			}
		}
	}
}

const (
	boardEvery  = 20 * time.Second
	boardAtMost = 2 * time.Minute
)

// gossip tells every node that hears of it about a job.
func (w *world) gossip(from *node, j *jobs.Job) {
	for _, n := range w.nodes {
		p := n.p
		if p == nil || p.board == nil || !w.reaches(from, n) || w.chance(w.fate.lossPPM) {
			continue
		}
		w.sends("gossip", postSize)
		w.loop.At(w.between(20*time.Millisecond, 200*time.Millisecond), func() { p.board.add(j) })
	}
}

// local is the keeper of a process, as its own client sees it.
func (p *process) local() client.Local { return localKeeper{p} }

type localKeeper struct{ p *process }

// Handle implements client.Local.
func (l localKeeper) Handle(ctx context.Context, from jobs.NodeID, request []byte) []byte {
	l.p.w.seen.sent(l.p, request)
	return l.p.handle(ctx, from, request)
}

// Local implements client.Local.
func (l localKeeper) Local(ref protocol.ShardRef) bool { return l.p.keeper.Local(ref) }

// handle answers a request as this node does, honestly or not, and shows it to the witness.
func (p *process) handle(ctx context.Context, from jobs.NodeID, request []byte) []byte {
	if p.lie != nil {
		return p.lie.answer(ctx, p, from, request)
	}
	seen := p.w.seen.asked(p, from, request)
	answer := p.w.opt.Defect.handle(ctx, p, from, request)
	p.m.Check()
	p.w.seen.answered(seen, answer)
	return answer
}
