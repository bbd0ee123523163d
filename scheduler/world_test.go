package scheduler

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// fataler is what *testing.T, *testing.B, *testing.F and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// node is a member of the test world: a name with a real key.
type node struct {
	name string
	priv ed25519.PrivateKey
}

func newNode(name string) node {
	seed := jobs.Sum([]byte("test node"), []byte(name))
	return node{name, ed25519.NewKeyFromSeed(seed[:])}
}

func (n node) ID() jobs.NodeID      { return jobs.NodeID(n.priv.Public().(ed25519.PublicKey)) }
func (n node) Sign(m []byte) []byte { return ed25519.Sign(n.priv, m) }

// world is a job with one shard, and everyone who has to do with it. Records are really signed
// and really opened.
type world struct {
	fataler
	job      *jobs.Job
	manifest *jobs.Manifest
	nodes    map[string]node
	names    map[jobs.NodeID]string
	answers  map[jobs.Digest][]jobs.Tuple // by tuples digest: what payloads would say
}

// epoch is when test worlds begin.
var epoch = time.Unix(1_700_000_000, 0)

// policy is what test jobs differ in.
type policy struct {
	level  jobs.Level
	votes  uint8
	units  int
	inputs int // a unit
	lease  time.Duration
	millis uint32 // estimate of a unit
	trust  []string
}

func newWorld(t fataler, p policy) *world {
	w := &world{fataler: t, nodes: map[string]node{}, names: map[jobs.NodeID]string{}, answers: map[jobs.Digest][]jobs.Tuple{}}
	w.manifest = &jobs.Manifest{}
	for i := range p.units {
		w.manifest.Units = append(w.manifest.Units, jobs.UnitSpec{Count: uint32(p.inputs), Source: jobs.FromRange, From: int64(i * p.inputs)})
	}
	h := jobs.Head{
		Version: jobs.HeadVersion, Network: "test", Submitter: w.node("sam").ID(),
		Created: epoch.Unix(), Expires: epoch.Add(24 * time.Hour).Unix(), Program: jobs.BlobOf([]byte("\x00asm")),
		Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: 60_000},
		Policy: jobs.Policy{Level: p.level, Votes: p.votes, Lease: uint32(p.lease / time.Second)},
		Inputs: uint64(p.units * p.inputs), Units: uint32(p.units), UnitTime: p.millis,
		Root: jobs.Root([]jobs.Digest{jobs.LeafOf(jobs.Encode(w.manifest))}),
	}
	for _, name := range p.trust {
		h.Policy.Trust = append(h.Policy.Trust, w.node(name).ID())
	}
	var err error
	if w.job, err = jobs.SignHead(h, w.node("sam")); err != nil {
		t.Fatalf("head: %v", err)
	}
	return w
}

func (w *world) node(name string) node {
	n, ok := w.nodes[name]
	if !ok {
		n = newNode(name)
		w.nodes[name], w.names[n.ID()] = n, name
	}
	return n
}

func (w *world) ids(names []string) []jobs.NodeID {
	out := make([]jobs.NodeID, len(names))
	for i, name := range names {
		out[i] = w.node(name).ID()
	}
	return out
}

// anyone is a worker of whom nothing is known that speaks against it.
func anyone(worker jobs.NodeID) Applicant { return Applicant{Worker: worker, Room: jobs.MaxGrantHolds} }

func (w *world) ledger() *Ledger { return NewLedger(w.job, 0, w.manifest) }

// sign makes one record, and brings it through its encoding as the wire does.
func (w *world) sign(author string, body any) *jobs.Record {
	w.Helper()
	shard := uint32(0)
	if _, ok := body.(*jobs.Control); ok {
		shard = jobs.WholeJob
	}
	rs, err := jobs.SignBatch(w.node(author), "test", w.job.ID, shard, body)
	if err != nil {
		w.Fatalf("sign: %v", err)
	}
	var b jobs.Batch
	if err := jobs.Decode(jobs.Encode(jobs.Batches(rs)[0]), jobs.MaxBatchBytes, &b); err != nil {
		w.Fatalf("batch: %v", err)
	}
	if rs, err = b.Open("test"); err != nil {
		w.Fatalf("batch: %v", err)
	}
	return rs[0]
}

// tuples reads an answer: a word for each input, joined by commas. "!" is a trap, "?" is given
// up, any other word is what the program wrote.
func (w *world) tuples(answer string) []jobs.Tuple {
	var out []jobs.Tuple
	for word := range strings.SplitSeq(answer, ",") {
		switch word {
		case "!":
			out = append(out, jobs.Tuple{Outcome: jobs.Trap})
		case "?":
			out = append(out, jobs.Tuple{Outcome: jobs.GaveUp})
		default:
			out = append(out, jobs.Tuple{Outcome: jobs.OK, Output: jobs.Sum([]byte(word)), Size: uint64(len(word))})
		}
	}
	w.answers[jobs.TuplesDigest(out)] = out
	return out
}

// nonce is a worker's for a unit: the same for the same answer only, as an honest worker's is
// for all, so that a liar here can seal two answers.
func (w *world) nonce(worker string, unit int, replica uint8) jobs.Digest {
	return jobs.Sum([]byte("nonce"), []byte(worker), []byte{byte(unit), replica})
}

func (w *world) grant(keeper, worker string, set []string, holds ...jobs.Hold) *jobs.Record {
	slices.SortFunc(holds, jobs.CompareHolds)
	return w.sign(keeper, &jobs.Grant{Worker: w.node(worker).ID(), Set: w.ids(set), Holds: holds})
}

func (w *world) seal(worker string, unit int, replica uint8, answer string, grants ...*jobs.Record) *jobs.Record {
	c := jobs.Commit(w.job.ID, 0, uint16(unit), w.node(worker).ID(), jobs.TuplesDigest(w.tuples(answer)), w.nonce(worker, unit, replica))
	return w.sign(worker, &jobs.Seal{Unit: uint16(unit), Replica: replica, Commitment: c, Grants: idsOf(grants)})
}

func (w *world) reveal(worker string, unit int, replica uint8, answer string, seals ...*jobs.Record) *jobs.Record {
	ts := w.tuples(answer)
	return w.sign(worker, &jobs.Reveal{
		Unit: uint16(unit), Replica: replica, Tuples: jobs.TuplesDigest(ts), Nonce: w.nonce(worker, unit, replica),
		GaveUp: slices.Contains(strings.Split(answer, ","), "?"), Seals: idsOf(seals), Inline: []byte(answer),
	})
}

func idsOf(rs []*jobs.Record) []jobs.Digest {
	var out []jobs.Digest
	for _, r := range rs {
		out = append(out, r.ID)
	}
	return out
}

// apply merges records as a keeper does: a reveal's tuples come with it.
func (w *world) apply(l *Ledger, rs ...*jobs.Record) {
	for _, r := range rs {
		_, _ = l.Apply(r) // refusals show in the ledger
		w.attach(l, r)
	}
}

func (w *world) attach(l *Ledger, r *jobs.Record) {
	if b, ok := r.Body.(*jobs.Reveal); ok && w.answers[b.Tuples] != nil {
		_ = l.Attach(r, w.answers[b.Tuples])
	}
}

// describe is a unit's verdict in words: the same words for the same verdict.
func (w *world) describe(l *Ledger, n int) string {
	v := l.Verdict(n)
	s := v.State.String() + fmt.Sprintf(" wanted=%d votes=", v.Wanted)
	for i, x := range v.Votes {
		if i > 0 {
			s += "+"
		}
		s += w.names[x.Worker]
	}
	for i := range v.Inputs() {
		in := v.Input(i)
		s += fmt.Sprintf(" %s×%d", in.State, in.Votes)
		if in.State != Open && in.State != Disputed {
			s += fmt.Sprintf("(%s %.4s)", in.Tuple.Outcome, in.Tuple.Output)
		}
	}
	return s
}

// all are a ledger's records.
func all(l *Ledger) (out []*jobs.Record) {
	for slot := range l.Slots() {
		out = append(out, l.Records(slot)...)
	}
	return out
}

func standard(units, inputs int) policy {
	return policy{level: jobs.Standard, votes: 2, units: units, inputs: inputs, lease: 2 * time.Minute}
}

func TestWorldIsSound(t *testing.T) {
	w := newWorld(t, standard(2, 3))
	if _, err := jobs.OpenManifest(&w.job.Head, 0, jobs.Encode(w.manifest), nil); err != nil {
		t.Fatal(err)
	}
}
