package jobs

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type key struct{ priv ed25519.PrivateKey }

func testKey(i byte) key {
	return key{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, 32))}
}
func (k key) ID() NodeID           { return NodeID(k.priv.Public().(ed25519.PublicKey)) }
func (k key) Sign(m []byte) []byte { return ed25519.Sign(k.priv, m) }

func testHead() Head {
	return Head{
		Version: HeadVersion, Network: "test", Submitter: testKey(1).ID(), Created: 1e9, Expires: 1e9 + 3600,
		Name: "count", Program: BlobOf([]byte("\x00asm")), Args: []string{"-n", "{}"},
		Limits: Limits{Memory: 256 << 20, Output: 64 << 20, CPU: 1200_000},
		Policy: Policy{Level: Standard, Votes: 2, Lease: 120}, Inputs: 3, Units: 2, Root: Sum([]byte("root")),
	}
}

func testBodies() []any {
	d := Sum([]byte("x"))
	return []any{
		&Placement{Keepers: []NodeID{testKey(1).ID()}, Receipts: []Digest{d}},
		&Receipt{Secret: d, Until: 2e9},
		&Handover{Set: []NodeID{testKey(2).ID()}},
		&Grant{Worker: testKey(3).ID(), Network: "10.1.2.0/24", Set: []NodeID{testKey(1).ID()}, Holds: []Hold{{Unit: 7, Replica: 1}}},
		&Seal{Unit: 7, Replica: 1, Commitment: d, Grants: []Digest{d}},
		&Reveal{Unit: 7, Replica: 1, Tuples: d, Nonce: d, Seals: []Digest{d, d}, Inline: []byte("payload"), CPU: 12},
		&Control{Number: 1, Act: ActCancel},
	}
}

func TestNodeIDIsTheLibp2pPeerID(t *testing.T) {
	id := testKey(1).ID()
	if !strings.HasPrefix(id.String(), "12D3Koo") {
		t.Fatalf("peer id %s", id)
	}
	back, err := ParseNodeID(id.String())
	if err != nil || back != id {
		t.Fatalf("ParseNodeID(%s) = %v, %v", id, back, err)
	}
	for _, bad := range []string{"", "Qm", "0OIl", strings.Repeat("1", 1000)} {
		if _, err := ParseNodeID(bad); err == nil {
			t.Errorf("ParseNodeID(%q) accepted", bad)
		}
	}
}

func TestJobIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id JobID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		s := id.String()
		if len(s) != JobIDLen {
			t.Fatalf("%d characters", len(s))
		}
		back, err := ParseJobID(s)
		if err != nil || back != id {
			t.Fatal(back, err)
		}
		if last := s[:51] + string("abcdefgh"[(strings.IndexByte("abcdefghijklmnopqrstuvwxyz234567", s[51])+1)%8]); last != s {
			if _, err := ParseJobID(last); err == nil && last[51]%2 == 1 {
				t.Fatalf("accepted %s with stray bits", last)
			}
		}
	})
}

func TestHeadSignAndOpen(t *testing.T) {
	j, err := SignHead(testHead(), testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenHead(j.Bytes(), "test")
	if err != nil || again.ID != j.ID {
		t.Fatal(again, err)
	}
	if diff := cmp.Diff(again.Head.Args, []string{"-n", "{}"}); diff != "" {
		t.Error(diff)
	}
	if _, err := OpenHead(j.Bytes(), "other"); err == nil {
		t.Error("accepted on another network")
	}
	raw := j.Bytes()
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if got, err := OpenHead(bad, "test"); err == nil {
			t.Fatalf("bit flipped at byte %d accepted: %+v", i, got.Head)
		}
	}
}

func TestHeadValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Head){
		"version":       func(h *Head) { h.Version = 9 },
		"network":       func(h *Head) { h.Network = "" },
		"no inputs":     func(h *Head) { h.Inputs = 0 },
		"more units":    func(h *Head) { h.Units = 4 },
		"life":          func(h *Head) { h.Expires = h.Created + 91*24*3600 },
		"born dead":     func(h *Head) { h.Expires = h.Created },
		"no program":    func(h *Head) { h.Program = Blob{} },
		"bidi name":     func(h *Head) { h.Name = "a\u202eb" },
		"control name":  func(h *Head) { h.Name = "a\nb" },
		"long name":     func(h *Head) { h.Name = strings.Repeat("x", 101) },
		"data path":     func(h *Head) { h.Data = []NamedBlob{{Name: "../x"}} },
		"data twice":    func(h *Head) { h.Data = []NamedBlob{{Name: "x"}, {Name: "x"}} },
		"memory":        func(h *Head) { h.Limits.Memory = 2 << 30 },
		"no time":       func(h *Head) { h.Limits.CPU = 0 },
		"level":         func(h *Head) { h.Policy.Level = 0 },
		"votes":         func(h *Head) { h.Policy.Votes = 1 },
		"strong of 1":   func(h *Head) { h.Policy.Level, h.Policy.Votes = Strong, 1 },
		"paranoid of 2": func(h *Head) { h.Policy.Level = Paranoid },
		"lease":         func(h *Head) { h.Policy.Lease = 1 },
	} {
		h := testHead()
		spoil(&h)
		if _, err := SignHead(h, testKey(1)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBatchWholeAndParts(t *testing.T) {
	job := JobID(Sum([]byte("job")))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		bodies := make([]any, n)
		for i := range bodies {
			bodies[i] = &Seal{Unit: uint16(i), Commitment: Sum([]byte{byte(i)})}
		}
		records, err := SignBatch(testKey(1), "test", job, 3, bodies...)
		if err != nil {
			t.Fatal(err)
		}
		var some []*Record
		for i, r := range records {
			if i == 0 || rapid.Bool().Draw(t, "take") {
				some = append(some, r)
			}
		}
		some = append(some, some[0]) // a repeat must not matter
		out := Batches(some)
		if len(out) != 1 {
			t.Fatalf("%d batches", len(out))
		}
		raw := Encode(out[0])
		var back Batch
		if err := Decode(raw, MaxBatchBytes, &back); err != nil {
			t.Fatal(err)
		}
		got, err := back.Open("test")
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range got {
			if r.ID != some[i].ID || !bytes.Equal(Encode(Batches([]*Record{r})), Encode(Batches([]*Record{some[i]}))) {
				t.Fatalf("record %d came back different", i)
			}
		}
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		var bad Batch
		if Decode(raw, MaxBatchBytes, &bad) == nil {
			if _, err := bad.Open("test"); err == nil {
				t.Fatalf("flipped byte %d accepted", at)
			}
		}
	})
}

func TestEveryKindRoundTrips(t *testing.T) {
	job := JobID(Sum([]byte("job")))
	records, err := SignBatch(testKey(1), "test", job, 3, testBodies()...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		b := Batches([]*Record{r})[0]
		got, err := b.Open("test")
		if err != nil {
			t.Fatalf("%s: %v", r.Kind, err)
		}
		if diff := cmp.Diff(Encode(testBodies()[i]), Encode(got[0].Body)); diff != "" {
			t.Errorf("%s: %s", r.Kind, diff)
		}
		if _, err := b.Open("elsewhere"); err == nil {
			t.Errorf("%s: accepted on another network", r.Kind)
		}
	}
}

var writeGolden = flag.Bool("write-golden", false, "write missing golden files; existing ones are never rewritten")

// The bytes of every record kind are frozen: a new version gets a new file, never a new
// content of an old one.
func TestGoldenBytes(t *testing.T) {
	job, err := SignHead(testHead(), testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"head": job.Bytes()}
	for _, body := range testBodies() {
		records, err := SignBatch(testKey(1), "test", job.ID, 3, body)
		if err != nil {
			t.Fatal(err)
		}
		files[records[0].Kind.String()] = Encode(Batches(records)[0])
	}
	files["manifest"] = Encode(Manifest{Shard: 1, First: 9, Units: []UnitSpec{
		{Count: 2, Source: FromRange, From: -3},
		{Count: 1, Source: FromInline, Inline: Encode([]Input{{Name: "a/b", Data: []byte("x")}})},
		{Count: 5, Source: FromBlob, Pack: BlobOf([]byte("pack"))},
	}})
	files["payload"] = NewPayloadHead([]Tuple{{Outcome: OK, Output: Sum([]byte("4")), Size: 1}, {Outcome: Exit, Exit: 3}}, [][]byte{nil, []byte("boom")})
	for name, got := range files {
		path := filepath.Join("testdata", "golden", name+".v1.hex")
		want, err := os.ReadFile(path)
		if err != nil && *writeGolden {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if strings.TrimSpace(string(want)) != hex.EncodeToString(got) {
			t.Errorf("%s: bytes differ from %s (%v)", name, path, err)
		}
	}
}

func TestMerkle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "n")
		leaves := make([]Digest, n)
		for i := range leaves {
			leaves[i] = LeafOf([]byte{byte(i)})
		}
		root, all := Root(leaves), allPaths(leaves)
		for i := range leaves {
			path := Path(leaves, i)
			if diff := cmp.Diff(path, all[i]); diff != "" && n > 1 {
				t.Fatal(diff)
			}
			if r, ok := RootFrom(leaves[i], i, n, path); !ok || r != root {
				t.Fatalf("leaf %d of %d", i, n)
			}
			if r, ok := RootFrom(leaves[i], i, n, append(path, root)); ok && r == root {
				t.Fatal("a longer path leads to the root")
			}
			if _, ok := RootFrom(leaves[i], n, n, path); ok {
				t.Fatal("a place outside the tree")
			}
		}
	})
}

func TestBlobHasher(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*BlockSize/16+5)
	for _, n := range []int{0, 1, BlockSize - 1, BlockSize, BlockSize + 1, 2 * BlockSize, len(data)} {
		whole := BlobOf(data[:n])
		h := NewBlobHasher()
		for p := data[:n]; len(p) > 0; {
			k := min(len(p), 100_003)
			h.Write(p[:k])
			p = p[k:]
		}
		if h.Blob() != whole || whole.Size != uint64(n) || len(h.List()) != 32*whole.Blocks() {
			t.Errorf("%d bytes: %v, %v", n, h.Blob(), whole)
		}
		if n <= BlockSize && whole.Digest != Sum(data[:n]) {
			t.Errorf("%d bytes: not named by their SHA-256", n)
		}
		if n > BlockSize && whole.Digest != Sum(h.List()) {
			t.Errorf("%d bytes: not named by their list", n)
		}
	}
}

func TestUnitInputs(t *testing.T) {
	for _, c := range []struct {
		inputs   uint64
		perInput time.Duration
		cores    int
		want     int
	}{
		{1000, 0, 2, 125}, {1000, time.Millisecond, 2, 125}, {3, 0, 8, 1}, {1, time.Hour, 1, 1},
		{1 << 30, time.Microsecond, 4, 4096}, {100_000, time.Second, 2, 60}, {100_000, 2 * time.Minute, 2, 1}, {10, 0, 0, 2},
	} {
		if got := UnitInputs(c.inputs, c.perInput, c.cores); got != c.want {
			t.Errorf("UnitInputs(%d, %s, %d) = %d, want %d", c.inputs, c.perInput, c.cores, got, c.want)
		}
	}
}

// Whatever is added comes out again, in order, out of units that open against the head.
func TestSplitThenOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packs, manifests := map[Digest][]byte{}, map[uint32][]byte{}
		s := Splitter{
			PerUnit: rapid.IntRange(1, 50).Draw(t, "per unit"),
			PutPack: func(p []byte) (Blob, error) {
				b := BlobOf(p)
				packs[b.Digest] = bytes.Clone(p)
				return b, nil
			},
			PutManifest: func(n uint32, m []byte) error { manifests[n] = m; return nil },
		}
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		ranged := rapid.Bool().Draw(t, "range")
		data := func(i int) []byte {
			if ranged {
				return fmt.Append(nil, i)
			}
			return bytes.Repeat([]byte{byte(i)}, i%300)
		}
		if ranged {
			if err := s.AddRange(0, int64(n-1)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if ranged {
				break
			}
			if err := s.Add(Input{Data: data(i)}); err != nil {
				t.Fatal(err)
			}
		}
		h := testHead()
		leaves, err := s.Finish(&h)
		if err != nil {
			t.Fatal(err)
		}
		if h.Inputs != uint64(n) || int(h.Shards()) != len(manifests) {
			t.Fatalf("head says %d inputs in %d shards, %d and %d were made", h.Inputs, h.Shards(), n, len(manifests))
		}
		at := 0
		for shard := range h.Shards() {
			m, err := OpenManifest(&h, shard, manifests[shard], Path(leaves, int(shard)))
			if err != nil {
				t.Fatal(err)
			}
			for u := range m.Units {
				if m.FirstInput(u) != uint64(at) {
					t.Fatalf("unit %d begins at %d, not %d", u, m.FirstInput(u), at)
				}
				ins, err := m.Units[u].OpenInputs(packs[m.Units[u].Pack.Digest])
				if err != nil {
					t.Fatal(err)
				}
				for _, in := range ins {
					if !bytes.Equal(in.Data, data(at)) {
						t.Fatalf("input %d is %q", at, in.Data)
					}
					at++
				}
			}
		}
		if at != n {
			t.Fatalf("%d inputs came out of %d", at, n)
		}
	})
}

func TestLines(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "\n": {""}, "a": {"a"}, "a\n": {"a"}, "a\n\nb": {"a", "", "b"}, "a\r\nb\r\n": {"a", "b"}, "\r": {"\r"},
	} {
		var got []string
		if err := Lines(strings.NewReader(in), func(l []byte) error { got = append(got, string(l)); return nil }); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	if err := Lines(strings.NewReader(strings.Repeat("x", MaxLine)+"\n"), func([]byte) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := Lines(strings.NewReader(strings.Repeat("x", MaxLine+3)), func([]byte) error { return nil }); err == nil {
		t.Error("a line too long was accepted")
	}
}

func TestParseRange(t *testing.T) {
	if a, b, err := ParseRange("-2..30"); a != -2 || b != 30 || err != nil {
		t.Error(a, b, err)
	}
	for _, bad := range []string{"", "1", "1...2", "2..1", "a..b", "1..99999999999999999999", "0..9223372036854775807", "-9223372036854775808..9223372036854775806"} {
		if _, _, err := ParseRange(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestArgs(t *testing.T) {
	file, line := Input{Name: "texts/a.txt"}, Input{Data: []byte("seven")}
	template := []string{"-i", "{}", "--n={#}", "plain"}
	if diff := cmp.Diff([]string{"-i", "/in/a.txt", "--n=1", "plain"}, file.Args(template, 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"-i", "seven", "--n=10", "plain"}, line.Args(template, 9)); diff != "" {
		t.Error(diff)
	}
	if !WantsFile(template) || WantsFile([]string{"{#}"}) {
		t.Error("WantsFile")
	}
}

func TestPayloadHead(t *testing.T) {
	ts := []Tuple{{Outcome: OK, Output: Sum(nil), Size: 0}, {Outcome: Trap}}
	raw := append(NewPayloadHead(ts, [][]byte{nil, []byte("oops")}), "rest"...)
	r := bytes.NewReader(raw)
	h, err := ReadPayloadHead(r, 2)
	if err != nil || string(h.StderrOf(1)) != "oops" || r.Len() != 4 {
		t.Fatal(h, err)
	}
	if _, err := ReadPayloadHead(bytes.NewReader(raw), 3); err == nil {
		t.Error("accepted for three inputs")
	}
	for _, bad := range []Tuple{{Outcome: numOutcomes}, {Outcome: Trap, Size: 1}, {Outcome: OK, Exit: 1}} {
		if _, err := ReadPayloadHead(bytes.NewReader(NewPayloadHead([]Tuple{bad}, nil)), 1); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
}
