package world

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
)

// network is the name of every simulated grid.
const network = "sim"

// Options say which world.
type Options struct {
	Seed  uint64
	Nodes int    // honest ones and liars, submitters not among them
	Liars int    // of them
	Vice  string // of all liars; "": as the seed draws it
	Early bool   // only of the menu as it was at first: seeds of then keep their meaning
	Units int    // of all jobs together; 0: as the seed draws it
	Level jobs.Level
	Calm  bool // nothing fails: no faults but the liars
	Churn bool // nodes come and go, as volunteers' machines do
	// Vanish is when three nodes of ten go, for good; 0: never.
	Vanish time.Duration
	Silent bool          // they go without a word: their connections stay
	Takes  time.Duration // of a unit on a usual node, where nothing fails; 0: ten seconds
	Fast   bool          // signatures that cost next to nothing, and that still nobody can forge
	Story  io.Writer     // what happens is told here; nil: nowhere
	// Defect plants a bug, to see that it is found.
	Defect Defect
	Until  string        // the run ends when this invariant, or this check of one, is broken
	Limit  time.Duration // that a world may take to settle once its faults have ended; 0: two hours
	Logger *slog.Logger
}

// Report is what a run came to.
type Report struct {
	Seed       uint64
	Nodes      int
	Liars      int
	Units      int
	Accepted   int            // units
	Wrong      int            // of them, with a wrong answer
	Lies       int            // wrong results that liars gave
	Vices      map[string]int // how often each was committed, by its name
	Faults     int            // of the network, the disks, the machines
	Executions int            // of units
	Causes     Causes         // of the executions beyond the votes that were needed
	Messages   int            // that asked something, while a job was open
	Bytes      int64          // of them and their answers
	Kinds      Kinds          // the same by what they were about
	Lookups    int            // in the overlay, which are no messages here
	Recovered  time.Duration  // from the vanishing until every shard had its keepers again
	Ended      time.Duration  // when the last job was complete
	Steps      uint64
	Took       time.Duration // virtual
	Trace      string        // digest of all steps
	Broken     []Breach
}

// Add sums another run up in r. The digest of many runs is the same in whichever order they came.
func (r *Report) Add(o *Report) {
	r.Units += o.Units
	r.Accepted += o.Accepted
	r.Wrong += o.Wrong
	r.Lies += o.Lies
	for name, n := range o.Vices {
		if r.Vices == nil {
			r.Vices = map[string]int{}
		}
		r.Vices[name] += n
	}
	r.Faults += o.Faults
	r.Executions += o.Executions
	r.Causes.add(o.Causes)
	r.Messages += o.Messages
	r.Bytes += o.Bytes
	r.Kinds.add(o.Kinds)
	r.Lookups += o.Lookups
	r.Steps += o.Steps
	r.Took += o.Took
	mine, _ := hex.DecodeString(r.Trace)
	theirs, _ := hex.DecodeString(o.Trace) // both are digests, or empty
	for i := range mine {
		theirs[i] ^= mine[i]
	}
	r.Trace = hex.EncodeToString(theirs)
}

// Breach is an invariant that did not hold, as one check of it found.
type Breach struct {
	Invariant string
	Check     string // the check's words, before what it found is put in
	At        time.Duration
	What      string
}

// world is one run.
type world struct {
	opt     Options
	loop    *strand.Loop
	fate    fate
	ground  *strand.Machine // for strands that are on no node: it never fails
	ctx     context.Context
	nodes   []*node
	byID    map[jobs.NodeID]*node // also by names that a node has left behind
	keys    map[jobs.NodeID]ed25519.PrivateKey
	order   map[[32]byte][]*node // nodes that keep, the nearest to a key first
	lending int                  // that are up
	works   []*work
	trace   hash.Hash
	verify  jobs.Verifier
	report  *Report
	seen    *witness
	healed  bool
	ended   bool   // every job is complete
	past    []past // messages that may be replayed
}

// Run lives one world to its end.
func Run(opt Options) *Report {
	w := newWorld(opt)
	defer w.loop.Stop()
	w.begin()
	w.loop.Run(w.over)
	w.judge()
	r := w.report
	r.Steps, r.Took, r.Trace = w.loop.Steps(), w.loop.Elapsed(), hex.EncodeToString(w.trace.Sum(nil))
	return r
}

func newWorld(opt Options) *world {
	if opt.Limit == 0 {
		opt.Limit = 2 * time.Hour
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	w := &world{opt: opt, loop: strand.NewLoop(opt.Seed), byID: map[jobs.NodeID]*node{}, keys: map[jobs.NodeID]ed25519.PrivateKey{}, order: map[[32]byte][]*node{}, trace: sha256.New()}
	w.report = &Report{Seed: opt.Seed, Nodes: opt.Nodes, Liars: opt.Liars, Vices: map[string]int{}, Kinds: Kinds{}}
	w.fate = drawFate(w.loop, opt)
	w.ground = w.loop.Machine(0, 0)
	w.ctx = context.Background()
	w.verify = client.Remembering(jobs.Verify)
	if opt.Fast {
		w.verify = w.verifyFast
	}
	w.seen = newWitness(w)
	return w
}

// draw is a number below n.
func (w *world) draw(n int) int { return int(w.loop.Uint64() % uint64(max(n, 1))) }

// chance is true so many times in a million.
func (w *world) chance(ppm int) bool { return ppm > 0 && w.draw(million) < ppm }

const million = 1_000_000

// between is a duration of at least a and less than b.
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.loop.Uint64()%uint64(max(b-a, 1)))
}

// step notes something that happened in the trace of the run.
func (w *world) step(what string, parts ...[]byte) {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(w.loop.Elapsed()))
	w.trace.Write(at[:])
	io.WriteString(w.trace, what)
	for _, p := range parts {
		w.trace.Write(p)
	}
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	if w.opt.Story == nil {
		return
	}
	t := w.loop.Elapsed()
	at := fmt.Sprintf("%02d:%02d:%02d.%03d", int(t.Hours()), int(t.Minutes())%60, int(t.Seconds())%60, t.Milliseconds()%1000)
	fmt.Fprintf(w.opt.Story, "%s  %s\n", at, fmt.Sprintf(format, args...))
}

// fault tells of something that went wrong, and counts it.
func (w *world) fault(format string, args ...any) {
	w.report.Faults++
	line := fmt.Sprintf(format, args...)
	w.step("fault", []byte(line))
	w.tell("%s", line)
}

// begin makes the nodes, lets them come, has the jobs submitted and the faults scheduled.
func (w *world) begin() {
	for i := range w.opt.Nodes {
		n := w.add(fmt.Sprintf("n%d", i), role{keeps: i%5 != 0 || w.opt.Nodes < 5, donates: true, liar: i < w.opt.Liars})
		if w.opt.Churn {
			w.volunteer(n)
			continue
		}
		w.loop.At(w.between(0, w.fate.arrive), n.start)
	}
	for i := range w.fate.submitters {
		s := w.add(fmt.Sprintf("s%d", i), role{submits: true})
		w.loop.At(w.between(0, w.fate.arrive)+w.fate.arrive, s.start)
		w.submit(s, i)
	}
	if w.fate.cheat {
		w.cheat()
	}
	w.scheduleFaults()
	if w.opt.Vanish > 0 {
		w.loop.At(w.opt.Vanish, w.vanish)
	}
}

// over reports whether the run has come to its end: all answers are in and the keepers agree, or
// it has taken so long that they will not come.
func (w *world) over() bool {
	if w.loop.Elapsed() > w.fate.until+w.opt.Limit || w.opt.Until != "" && w.report.Breaks(w.opt.Until) {
		return true
	}
	if !w.healed || w.loop.Steps()%64 != 0 {
		return len(w.report.Broken) >= maxBreaches
	}
	for _, k := range w.works {
		if !k.complete {
			return false
		}
	}
	return w.settled()
}

// maxBreaches is how many breaches a report holds, one of each check; one is enough to fail.
const maxBreaches = 8

// Breaks reports whether an invariant, or one check of it, did not hold.
func (r *Report) Breaks(what string) bool {
	return slices.ContainsFunc(r.Broken, func(b Breach) bool { return b.Invariant == what || b.Check == what })
}

// broke notes that a check of an invariant failed. No two checks have the same words.
func (w *world) broke(invariant, check string, args ...any) {
	if len(w.report.Broken) >= maxBreaches || w.report.Breaks(check) {
		return
	}
	b := Breach{invariant, check, w.loop.Elapsed(), fmt.Sprintf(check, args...)}
	w.report.Broken = append(w.report.Broken, b)
	w.tell("BROKEN %s: %s", invariant, b.What)
}

// verifyFast checks a signature that signFast made.
func (w *world) verifyFast(author jobs.NodeID, message, sig []byte) bool {
	key, known := w.keys[author]
	return known && string(signFast(key, message)) == string(sig)
}
