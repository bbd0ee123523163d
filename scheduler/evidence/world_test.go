package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// key is a node that signs.
type key struct{ ed25519.PrivateKey }

func keyOf(name string) key {
	seed := sha256.Sum256([]byte(name))
	return key{ed25519.NewKeyFromSeed(seed[:])}
}

func (k key) ID() jobs.NodeID      { return jobs.NodeID(k.Public().(ed25519.PublicKey)) }
func (k key) Sign(m []byte) []byte { return ed25519.Sign(k.PrivateKey, m) }

// world is a job with its keepers and donors, and the records they make of it.
type world struct {
	t         testing.TB
	submitter key
	keepers   []key
	job       *jobs.Job
	manifests [][]byte
	opened    []*jobs.Manifest
	leaves    []jobs.Digest
	ledgers   []*scheduler.Ledger
	units     []uint32 // inputs of each unit of shard 0

	large    bool // payloads are blobs
	distinct bool // no two inputs have the same answer
}

const network = "test"

func newWorld(t testing.TB, inputs, perUnit int, policy jobs.Policy) *world {
	w := &world{t: t, submitter: keyOf("submitter"), keepers: []key{keyOf("k1"), keyOf("k2"), keyOf("k3")}}
	h := jobs.Head{
		Version: jobs.HeadVersion, Network: network, Submitter: w.submitter.ID(), Created: 1, Expires: 1000, Name: "test",
		Program: jobs.BlobOf([]byte("program")), Profile: 1, Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, Fuel: 1e9, CPU: 1000}, Policy: policy,
	}
	split := jobs.Splitter{PerUnit: perUnit, PutManifest: func(_ uint32, m []byte) error { w.manifests = append(w.manifests, m); return nil }}
	w.must(split.AddRange(0, int64(inputs)-1))
	var err error
	w.leaves, err = split.Finish(&h)
	w.must(err)
	w.job, err = jobs.SignHead(h, w.submitter)
	w.must(err)
	for s, m := range w.manifests {
		manifest, err := jobs.OpenManifest(&w.job.Head, uint32(s), m, jobs.Path(w.leaves, s))
		w.must(err)
		w.opened = append(w.opened, manifest)
		w.ledgers = append(w.ledgers, scheduler.NewLedger(w.job, uint32(s), manifest))
		w.place(uint32(s))
		for i := range manifest.Units {
			if s == 0 {
				w.units = append(w.units, manifest.Units[i].Count)
			}
		}
	}
	return w
}

func standard() jobs.Policy { return jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60} }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ids() (out []jobs.NodeID) {
	for _, k := range w.keepers {
		out = append(out, k.ID())
	}
	return out
}

// sign signs bodies together and applies them.
func (w *world) sign(k key, shard uint32, bodies ...any) []*jobs.Record {
	w.t.Helper()
	rs, err := jobs.SignBatch(k, network, w.job.ID, shard, bodies...)
	w.must(err)
	for _, r := range rs {
		_, err := w.ledgers[shard].Apply(r)
		w.must(err)
	}
	return rs
}

func (w *world) place(shard uint32) {
	p := &jobs.Placement{Keepers: w.ids()}
	for i, k := range w.keepers {
		r := w.sign(k, shard, &jobs.Receipt{Secret: [32]byte{byte(i), byte(shard)}, Until: 1000})
		p.Receipts = append(p.Receipts, r[0].ID)
	}
	w.sign(w.submitter, shard, p)
}

// answer is the right one.
func answer(input uint64) []byte { return append([]byte("answer to "), byte('0'+input%10)) }

// task is one execution of a unit.
type task struct {
	donor   key
	shard   uint32
	unit    uint16
	replica uint8
	tuples  []jobs.Tuple
	payload []byte
	seal    *jobs.Record
	network string
}

func nonceOf(k key, unit uint16) jobs.Digest {
	id := k.ID()
	return jobs.Sum([]byte("nonce"), id[:], []byte{byte(unit >> 8), byte(unit)})
}

// run executes a unit as a donor does, with a twist to its answers.
func (w *world) run(name string, shard uint32, unit uint16, replica uint8, twist func(i int, t *jobs.Tuple)) *task {
	w.t.Helper()
	t := &task{donor: keyOf(name), shard: shard, unit: unit, replica: replica, network: "net-" + name}
	m := w.opened[shard]
	first := m.FirstInput(int(unit))
	var out bytes.Buffer
	for i := range m.Units[unit].Count {
		a := answer(first + uint64(i))
		if w.distinct {
			a = fmt.Append(a, first+uint64(i))
		}
		x := jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf(a).Digest, Size: uint64(len(a)), Fuel: 100 + uint64(i)}
		if twist != nil {
			twist(int(i), &x)
		}
		if x.Outcome == jobs.OK {
			out.Write(a)
		} else {
			x.Output, x.Size = jobs.Digest{}, 0
		}
		t.tuples = append(t.tuples, x)
	}
	t.payload = append(jobs.NewPayloadHead(t.tuples, make([][]byte, len(t.tuples))), out.Bytes()...)
	return t
}

// sealed has the task granted by all keepers, and seals it.
func (w *world) sealed(t *task) *task {
	w.t.Helper()
	var grants []jobs.Digest
	for _, k := range w.keepers {
		g := w.sign(k, t.shard, &jobs.Grant{Worker: t.donor.ID(), Network: t.network, Set: w.ids(), Holds: []jobs.Hold{{Unit: t.unit, Replica: t.replica}}})
		grants = append(grants, g[0].ID)
	}
	commitment := jobs.Commit(w.job.ID, t.shard, t.unit, t.donor.ID(), jobs.TuplesDigest(t.tuples), nonceOf(t.donor, t.unit))
	t.seal = w.sign(t.donor, t.shard, &jobs.Seal{Unit: t.unit, Replica: t.replica, Commitment: commitment, Grants: grants})[0]
	return t
}

// reveal reveals a task, naming seals.
func (w *world) reveal(t *task, seals ...*task) {
	w.t.Helper()
	b := &jobs.Reveal{Unit: t.unit, Replica: t.replica, Tuples: jobs.TuplesDigest(t.tuples), Nonce: nonceOf(t.donor, t.unit), CPU: 7}
	for _, x := range t.tuples {
		b.GaveUp = b.GaveUp || x.Outcome == jobs.GaveUp
	}
	for _, s := range seals {
		b.Seals = append(b.Seals, s.seal.ID)
	}
	if b.Inline = t.payload; w.large {
		b.Inline, b.Payload = nil, jobs.BlobOf(t.payload)
	}
	r := w.sign(t.donor, t.shard, b)[0]
	w.must(w.ledgers[t.shard].Attach(r, t.tuples))
}

// agree has a unit run by two donors that seal before they reveal.
func (w *world) agree(shard uint32, unit uint16, a, b string) {
	w.t.Helper()
	x, y := w.sealed(w.run(a, shard, unit, 0, nil)), w.sealed(w.run(b, shard, unit, 1, nil))
	w.reveal(x, x, y)
	w.reveal(y, x, y)
}

// agreeAll has every unit run by two donors.
func (w *world) agreeAll() *world {
	for s, l := range w.ledgers {
		for n := range l.Units() {
			w.agree(uint32(s), uint16(n), "ann", "bob")
		}
	}
	return w
}

// file is the evidence of all that was done, by the way of the disk.
func (w *world) file() []byte {
	w.t.Helper()
	var b bytes.Buffer
	e, err := Begin(&b, w.job)
	w.must(err)
	for s, l := range w.ledgers {
		var proofs []Proof
		var grants []*jobs.Record
		for n := range l.Units() {
			p := Of(l, n)
			grants = append(grants, p.Grants(l)...)
			p, err := Decode(network, p.Encode())
			w.must(err)
			proofs = append(proofs, p)
		}
		w.must(e.Shard(w.manifests[s], jobs.Path(w.leaves, s), Custody(l), grants))
		for _, p := range proofs {
			w.must(e.Unit(p))
		}
	}
	w.must(e.End())
	return b.Bytes()
}

// check checks a file.
func check(t testing.TB, file []byte, o Options) *Report {
	t.Helper()
	r, err := Check(bytes.NewReader(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
