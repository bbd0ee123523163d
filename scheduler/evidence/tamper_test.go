package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// remembering verifies each signature once: a flip leaves most of a file as it is.
func remembering() jobs.Verifier {
	good := map[jobs.Digest]bool{}
	return func(author jobs.NodeID, message, sig []byte) bool {
		name := jobs.Sum(author[:], sig, message)
		if !good[name] && jobs.Verify(author, message, sig) {
			good[name] = true
		}
		return good[name]
	}
}

// Whichever bit of a file flips, the file is refused, and the finding says where.
func TestEveryBit(t *testing.T) {
	for _, c := range []struct {
		name  string
		world func() *world
		step  int // bits
	}{
		{"every bit, answers inside", func() *world { return newWorld(t, 2, 2, standard()).agreeAll() }, 1},
		{"some bits of every byte, answers beside", func() *world {
			w := newWorld(t, 2, 2, standard())
			w.large = true
			return w.agreeAll()
		}, 7},
		{"a bit of many bytes, many units", func() *world { return newWorld(t, 10, 4, standard()).agreeAll() }, 31},
		{"a bit of every byte, with the submitter's last word", func() *world {
			w := newWorld(t, 2, 2, jobs.Policy{Level: jobs.Strong, Votes: 2, Lease: 60}).agreeAll()
			answer := w.ledgers[0].Verdict(0).Votes[0].Reveal.Body.(*jobs.Reveal).Tuples
			w.sign(w.submitter, 0, &jobs.Final{Answers: []jobs.Digest{answer}})
			return w
		}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := c.world().file()
			o := Options{Verify: remembering()}
			if r := check(t, file, o); !r.Valid() {
				t.Fatalf("refused as it is: %v", r.Findings)
			}
			for bit := 0; bit < 8*len(file); bit += c.step {
				file[bit/8] ^= 1 << (bit % 8)
				r := check(t, file, o)
				file[bit/8] ^= 1 << (bit % 8)
				if r.Valid() {
					t.Errorf("bit %d of byte %d: not found", bit%8, bit/8)
				} else if f := r.Findings[0]; f.Where == "" || f.What == "" {
					t.Errorf("bit %d of byte %d: not named: %q", bit%8, bit/8, f)
				}
			}
			t.Logf("%d bytes", len(file))
		})
	}
}

// A file cut anywhere, or with anything behind its end, is refused.
func TestCut(t *testing.T) {
	file := newWorld(t, 4, 2, standard()).agreeAll().file()
	o := Options{Verify: remembering()}
	for n := range file {
		if check(t, file[:n], o).Valid() {
			t.Errorf("cut after %d of %d bytes: not found", n, len(file))
		}
	}
	for _, more := range [][]byte{{0}, {0x40}, file} {
		if check(t, append(bytes.Clone(file), more...), o).Valid() {
			t.Errorf("%d more bytes: not found", len(more))
		}
	}
}

// Bytes that cannot be read are found where they are, and told without the names of Go.
func TestDamageIsToldInWords(t *testing.T) {
	file := newWorld(t, 4, 2, standard()).agreeAll().file()
	s := takeApart(t, file)
	head, list := int(frameSize(len(jobs.Encode(s.opening)))), int(frameSize(len(jobs.Encode(s.shard))))
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	deep := bytes.Repeat([]byte{0x81}, 1000)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"the list of inputs is left out", join(file[:head], file[head+list:]), fmt.Sprintf("the list of inputs of units 1 to 2: bytes %d to %d of the file are not as they were written: cannot unmarshal", head+1, len(file)-list)},
		{"nested for ever", join(file[:head], []byte{0x59, 3, 0xe8}, deep), fmt.Sprintf("bytes %d to %d of the file are not as they were written: exceeded max nested level", head+1, head+1003)},
		{"a length of gigabytes", join(file[:head], []byte{0x5a, 0xff, 0xff, 0xff, 0xff}, deep), fmt.Sprintf("from byte %d on: longer than", head+1)},
		{"a length in eight bytes", join(file[:head], []byte{0x5b, 0, 0, 0, 0, 0, 0, 0, 1, 0}), "not a canonical byte string"},
		{"a list of millions", join([]byte{0x5a, 0, 0x7f, 0xff, 0xfb, 0x9a, 0, 0x7f, 0xff, 0xf6}, make([]byte, 0x7ffff6)), "the head: bytes 1 to 8388608 of the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := check(t, c.file, Options{})
			if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].String(), c.want) || strings.Contains(r.Findings[0].String(), "*") {
				t.Errorf("%v, not %q", r.Findings, c.want)
			}
		})
	}
}

// endless is a file without an end.
type endless struct {
	pattern []byte
	read    int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.pattern[(e.read+i)%len(e.pattern)]
	}
	e.read += len(p)
	return len(p), nil
}

// A file without an end is given up after one section at most.
func TestEndless(t *testing.T) {
	for _, pattern := range []string{"\x00", "y\n", "\x40", "\x9f", "\x5a\x00\x7f\xff\xff", "\x5a\xff"} {
		e := &endless{pattern: []byte(pattern)}
		r, err := Check(e, Options{})
		if err != nil || r.Wrong != 1 || e.read > MaxSection+5 {
			t.Errorf("%q without end: %d bytes read: %v, %v", pattern, e.read, r.Findings, err)
		}
	}
}

// sections takes a file apart.
type sections struct {
	opening opening
	shard   shardPart
	chunk   chunk
}

func takeApart(t *testing.T, file []byte) *sections {
	t.Helper()
	var s sections
	r := bytes.NewReader(file)
	for _, v := range []any{&s.opening, &s.shard, &s.chunk} {
		b, err := readSection(r)
		if err == nil {
			err = jobs.Decode(b, MaxSection, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readSection(r); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one shard with one chunk: %v", err)
	}
	return &s
}

func (s *sections) join(t *testing.T) []byte {
	t.Helper()
	slices.SortFunc(s.shard.Custody, compareBatches)
	slices.SortFunc(s.chunk.Batches, compareBatches)
	slices.SortFunc(s.chunk.Tuples, compareTuples)
	var b bytes.Buffer
	for _, v := range []any{s.opening, s.shard, s.chunk} {
		if err := writeSection(&b, v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// drop leaves records of a kind out.
func drop(bs []jobs.Batch, kind jobs.Kind, n int) []jobs.Batch {
	return slices.DeleteFunc(slices.Clone(bs), func(b jobs.Batch) bool {
		if b.Entries[0].Kind != kind || n == 0 {
			return false
		}
		n--
		return true
	})
}

// What is left out, doubled or added is found and named.
func TestLeftOut(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *sections)
		want string
	}{
		{"a vote", func(_ *testing.T, s *sections) { s.chunk.Batches = drop(s.chunk.Batches, jobs.KindReveal, 1) }, "1 of the votes here count"},
		{"all votes", func(_ *testing.T, s *sections) { s.chunk.Batches = drop(s.chunk.Batches, jobs.KindReveal, 2) }, "no verdict is proved"},
		{"a seal", func(_ *testing.T, s *sections) { s.chunk.Batches = drop(s.chunk.Batches, jobs.KindSeal, 1) }, "is no vote: there is no seal that it opens"},
		{"all grants", func(_ *testing.T, s *sections) { s.chunk.Batches = drop(s.chunk.Batches, jobs.KindGrant, 6) }, "some of the grants it leans on are not there"},
		{"the placement", func(_ *testing.T, s *sections) { s.shard.Custody = drop(s.shard.Custody, jobs.KindPlacement, 1) }, "is no vote: it was not granted by a majority of keepers to whom"},
		{"the answers", func(_ *testing.T, s *sections) { s.chunk.Tuples = nil }, "the answers it names by their digest are not there"},
		{"another answer", func(_ *testing.T, s *sections) {
			s.chunk.Tuples = append(s.chunk.Tuples, []jobs.Tuple{{Outcome: jobs.OK}})
		}, "there are answers that no vote names"},
		{"an answer that cannot be", func(_ *testing.T, s *sections) {
			s.chunk.Tuples = append(s.chunk.Tuples, []jobs.Tuple{{Outcome: 99}})
		}, "a list of answers, number 1: unknown outcome 99"},
		{"another version", func(_ *testing.T, s *sections) { s.opening.Schema = "shoal.evidence/2" }, "not evidence, or of another version"},
		{"a needless grant", func(t *testing.T, s *sections) {
			k := keyOf("k1")
			rs, err := jobs.SignBatch(k, network, s.chunk.Batches[0].Job, 0, &jobs.Grant{Worker: k.ID(), Set: []jobs.NodeID{k.ID()}, Holds: []jobs.Hold{{Unit: 0}}})
			if err != nil {
				t.Fatal(err)
			}
			s.chunk.Batches = append(s.chunk.Batches, jobs.Batches(rs)...)
		}, "nothing leans on it"},
		{"a placement by another", func(t *testing.T, s *sections) {
			k := keyOf("k1")
			rs, err := jobs.SignBatch(k, network, s.chunk.Batches[0].Job, 0, &jobs.Placement{Keepers: []jobs.NodeID{k.ID()}})
			if err != nil {
				t.Fatal(err)
			}
			s.shard.Custody = append(s.shard.Custody, jobs.Batches(rs)...)
		}, "record by someone who may not state that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2, 2, standard())
			w.large = true
			s := takeApart(t, w.agreeAll().file())
			c.do(t, s)
			r := check(t, s.join(t), Options{})
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), c.want) }) {
				t.Errorf("%v, none with %q", r.Findings, c.want)
			}
		})
	}
}

// forged makes all of a file anew with other answers, as far as that goes without keys: tuples,
// payloads, their digests, the seals' commitments and who names whom. sign says whose signature
// an author's records get.
func forged(t *testing.T, file []byte, sign func(author jobs.NodeID) (key, bool)) []byte {
	t.Helper()
	s := takeApart(t, file)
	ids := map[jobs.Digest]jobs.Digest{} // of records that were made anew, by the id before
	again := func(bs []jobs.Batch, kind jobs.Kind, change func(author jobs.NodeID, body any) (jobs.NodeID, any)) []jobs.Batch {
		var out []jobs.Batch
		for _, b := range bs {
			if b.Entries[0].Kind != kind {
				out = append(out, b)
				continue
			}
			rs, err := b.Open(network)
			if err != nil {
				t.Fatal(err)
			}
			author, body := change(b.Author, rs[0].Body)
			signer, ok := sign(b.Author)
			if !ok {
				signer = keyOf("nobody")
			}
			made, err := jobs.SignBatch(signer, network, b.Job, b.Shard, body)
			if err != nil {
				t.Fatal(err)
			}
			ids[rs[0].ID] = made[0].ID
			n := jobs.Batches(made)[0]
			if !ok {
				n.Author, n.Sig = author, b.Sig
			}
			out = append(out, n)
		}
		return out
	}
	rename := func(list []jobs.Digest) []jobs.Digest {
		for i, id := range list {
			if n, ok := ids[id]; ok {
				list[i] = n
			}
		}
		return list
	}
	name := func(n jobs.NodeID) jobs.NodeID {
		if k, ok := sign(n); ok {
			return k.ID()
		}
		return n
	}
	lie := make([]jobs.Tuple, 2)
	for i := range lie {
		lie[i] = jobs.Tuple{Outcome: jobs.OK, Output: jobs.BlobOf([]byte("lie")).Digest, Size: 3, Fuel: 1}
	}
	payload := append(jobs.NewPayloadHead(lie, make([][]byte, 2)), "lielie"...)
	s.chunk.Batches = again(s.chunk.Batches, jobs.KindGrant, func(a jobs.NodeID, body any) (jobs.NodeID, any) {
		g := *body.(*jobs.Grant)
		g.Worker = name(g.Worker)
		g.Set = slices.Clone(g.Set)
		for i := range g.Set {
			g.Set[i] = name(g.Set[i])
		}
		return a, &g
	})
	s.chunk.Batches = again(s.chunk.Batches, jobs.KindSeal, func(a jobs.NodeID, body any) (jobs.NodeID, any) {
		b := *body.(*jobs.Seal)
		b.Commitment = jobs.Commit(s.chunk.Batches[0].Job, 0, b.Unit, name(a), jobs.TuplesDigest(lie), jobs.Digest{1})
		b.Grants = rename(slices.Clone(b.Grants))
		return a, &b
	})
	s.chunk.Batches = again(s.chunk.Batches, jobs.KindReveal, func(a jobs.NodeID, body any) (jobs.NodeID, any) {
		b := *body.(*jobs.Reveal)
		b.Tuples, b.Nonce, b.Inline, b.Seals = jobs.TuplesDigest(lie), jobs.Digest{1}, payload, rename(slices.Clone(b.Seals))
		return a, &b
	})
	return s.join(t)
}

// Other answers, with everything that is not signed made to fit them: refused, whatever keys of
// his own the forger brings.
func TestForged(t *testing.T) {
	w := newWorld(t, 2, 2, standard())
	file := w.agreeAll().file()
	own := func(who ...string) func(jobs.NodeID) (key, bool) {
		mine := map[jobs.NodeID]key{}
		for _, name := range who {
			mine[keyOf(name).ID()] = keyOf("forger's " + name)
		}
		return func(n jobs.NodeID) (key, bool) {
			k, ok := mine[n]
			return k, ok
		}
	}
	for _, c := range []struct {
		name string
		sign func(jobs.NodeID) (key, bool)
		want string
	}{
		{"without keys", own(), "bad signature"},
		{"with his own donors", own("ann", "bob"), "bad signature"}, // of the grants
		{"with his own donors and keepers", own("ann", "bob", "k1", "k2", "k3"), "it was not granted by a majority of keepers to whom"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := check(t, forged(t, file, c.sign), Options{})
			if r.Proved != 0 || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), c.want) }) {
				t.Errorf("%d units proved; %v, none with %q", r.Proved, r.Findings, c.want)
			}
		})
	}
}

// A forger who signs the job itself, too, has made another job of another submitter: who names
// the submitter is not taken in.
func TestForgedSubmitter(t *testing.T) {
	w := newWorld(t, 2, 2, standard())
	s := takeApart(t, w.agreeAll().file())
	h := w.job.Head
	h.Submitter = keyOf("forger").ID()
	job, err := jobs.SignHead(h, keyOf("forger"))
	if err != nil {
		t.Fatal(err)
	}
	s.opening.Head = job.Bytes()
	r := check(t, s.join(t), Options{Submitter: w.submitter.ID()})
	if r.Proved != 0 || !strings.Contains(r.Findings[0].String(), "signed by") {
		t.Errorf("%+v", r)
	}
}

// Any bytes at all are read without harm, and only what Check calls valid is.
func FuzzCheck(f *testing.F) {
	w := newWorld(f, 2, 1, standard()).agreeAll()
	file := w.file()
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte{})
	f.Add([]byte{0x5a, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x5b, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := check(t, b, Options{})
		if r.Valid() && !bytes.Equal(b, file) && r.Job.ID == w.job.ID {
			t.Errorf("another file is valid evidence of the same job: %x", b)
		}
	})
}
