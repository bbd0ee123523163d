package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// blocksOf cuts data as a sender would.
func blocksOf(data []byte) (blob jobs.Blob, list []byte, blocks map[jobs.Digest][]byte) {
	h := jobs.NewBlobHasher()
	h.Write(data)
	blocks = map[jobs.Digest][]byte{}
	for i, d := range blockDigests(h.List()) {
		blocks[d] = data[i*jobs.BlockSize : min(len(data), (i+1)*jobs.BlockSize)]
	}
	return h.Blob(), h.List(), blocks
}

func TestBlobArrivesInAnyOrder(t *testing.T) {
	root := t.TempDir()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		home := fmt.Sprintf("%s/%d", root, round)
		size := rapid.SampledFrom(sizes[:7]).Draw(rt, "size")
		data := noise(size, 1)
		if rapid.Bool().Draw(rt, "repeating") {
			clear(data) // all whole blocks are the same
		}
		blob, list, blocks := blocksOf(data)
		s, err := Open(home, Options{NoSync: true})
		require(rt, err)
		p, err := s.Blobs().Partial(blob)
		require(rt, err)
		for !p.Done() {
			missing := p.Missing(1 + rapid.IntRange(0, 3).Draw(rt, "ask"))
			d := rapid.SampledFrom(missing).Draw(rt, "next")
			if p.Have(d) {
				rt.Fatalf("%s is both missing and here", d)
			}
			if data, ok := blocks[d]; ok {
				require(rt, p.PutBlock(d, data))
			} else {
				require(rt, p.PutList(list))
			}
			if got, err := s.Blobs().Block(t.Context(), d); err != nil || jobs.Sum(got) != d {
				rt.Fatalf("a block that arrived is not served: %v", err)
			}
			if s.Blobs().Has(blob.Digest) {
				rt.Fatal("whole before Finish")
			}
			if rapid.Bool().Draw(rt, "restart") {
				before := p.Missing(100)
				crash(t, s)
				s, err = Open(home, Options{NoSync: true})
				require(rt, err)
				p, err = s.Blobs().Partial(blob)
				require(rt, err)
				if after := p.Missing(100); len(after) > len(before) { // fewer, where a hole in the file is what was missing
					rt.Fatalf("%d blocks missing before the restart, %d after", len(before), len(after))
				}
			}
		}
		require(rt, errors.Join(p.Finish(), p.Finish()))
		p.Close()
		if got, err := s.Blobs().Bytes(blob.Digest, uint64(size)); err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("got %d bytes, %v", len(got), err)
		}
		if u := s.Blobs().Usage(); u.Blobs != uint64(size) {
			rt.Fatalf("usage %+v", u)
		}
		checkBlocks(t, s.Blobs(), blob, data)
		require(rt, s.Close())
	})
}

func TestPartialRefusesWhatIsNotItsOwn(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	data := noise(2*jobs.BlockSize+7, 1)
	blob, list, blocks := blocksOf(data)
	p, err := b.Partial(blob)
	require(t, err)
	defer p.Close()
	first := blockDigests(list)[0]
	foreign := []byte("foreign")
	for name, err := range map[string]error{
		"block before the list":  p.PutBlock(first, blocks[first]),
		"list cut short":         p.PutList(list[:64]),
		"list of other blocks":   p.PutList(noise(len(list), 2)),
		"list as a wrong block":  p.PutBlock(blob.Digest, foreign),
		"bytes of another block": p.PutBlock(first, foreign),
		"block of another blob":  p.PutBlock(jobs.Sum(foreign), foreign),
	} {
		if !errors.Is(err, ErrNotABlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.Finish(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("finish: %v", err)
	}
	require(t, p.PutList(list))
	if err := p.PutBlock(jobs.Sum(foreign), foreign); !errors.Is(err, ErrNotABlock) {
		t.Errorf("block of another blob: %v", err)
	}
	if _, err := b.Partial(jobs.Blob{Digest: blob.Digest, Size: blob.Size + 1}); !errors.Is(err, ErrNotABlock) {
		t.Errorf("other size: %v", err)
	}
	if _, err := b.Partial(jobs.Blob{Size: jobs.MaxBlob + 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// A list may name, in the middle, a block that is shorter than a block: such a blob has no
// bytes, and must not be accepted with some.
func TestListThatLiesAboutLengths(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	short, full := []byte("short"), noise(jobs.BlockSize, 1)
	a, z := jobs.Sum(short), jobs.Sum(full)
	list := append(a[:], z[:]...)
	p, err := b.Partial(jobs.Blob{Digest: jobs.Sum(list), Size: jobs.BlockSize + 5})
	require(t, err)
	defer p.Close()
	require(t, p.PutList(list))
	for _, data := range [][]byte{short, full} {
		if err := p.PutBlock(jobs.Sum(data), data); !errors.Is(err, ErrNotABlock) {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
	if p.Done() {
		t.Error("done")
	}
}

func TestOnePartialForEverybody(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{}).Blobs()
	data := noise(9*jobs.BlockSize+1, 1)
	blob, list, blocks := blocksOf(data)
	digests := blockDigests(list)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p, err := b.Partial(blob)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			errs := []error{p.PutList(list)}
			for _, i := range rand.Perm(len(digests)) {
				errs = append(errs, p.PutBlock(digests[i], blocks[digests[i]]))
			}
			if err := errors.Join(append(errs, p.Finish())...); err != nil || !p.Done() || len(p.Missing(9)) > 0 {
				t.Errorf("done %v, %v", p.Done(), err)
			}
			if !p.Have(digests[0]) || !p.Have(blob.Digest) {
				t.Error("a block is not here")
			}
		})
	}
	wg.Wait()
	checkBlocks(t, b, blob, data)
	if len(files(t, b)) != 1 || b.Usage().Blobs != blob.Size || len(b.partials) > 0 {
		t.Errorf("files %v, usage %+v, %d open", files(t, b), b.Usage(), len(b.partials))
	}
}

func TestPutOvertakesAPartial(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	data := noise(jobs.BlockSize+1, 1)
	blob, list, blocks := blocksOf(data)
	p, err := b.Partial(blob)
	require(t, err)
	defer p.Close()
	if _, err := b.PutBytes(data); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 1 || b.Usage().Blobs != blob.Size {
		t.Errorf("files %v, usage %+v", got, b.Usage())
	}
	require(t, p.PutList(list))
	for d, data := range blocks {
		require(t, p.PutBlock(d, data))
	}
	require(t, p.Finish())
	checkBlocks(t, b, blob, data)
}

func TestPartialWithoutItsFile(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	blob, _, blocks := blocksOf([]byte("some"))
	p, err := b.Partial(blob)
	require(t, err)
	require(t, p.PutBlock(blob.Digest, blocks[blob.Digest]))
	require(t, b.Remove(t.Context(), blob.Digest))
	if err := p.Finish(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("finish of a removed blob: %v", err)
	}
	if err := p.Finish(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("finish again: %v", err)
	}
	p.Close()
	if b.Has(blob.Digest) || b.Usage().Blobs != 0 {
		t.Errorf("usage %+v", b.Usage())
	}
	p, err = b.Partial(blob)
	require(t, err)
	defer p.Close()
	require(t, errors.Join(p.PutBlock(blob.Digest, blocks[blob.Digest]), p.Finish()))
}

func TestPartialsAreBounded(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	blob := func(i int) jobs.Blob { return jobs.BlobOf(fmt.Appendf(nil, "blob %d", i)) }
	for i := range maxPartials {
		p, err := b.Partial(blob(i))
		require(t, err)
		defer p.Close()
	}
	if _, err := b.Partial(blob(maxPartials)); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	p, err := b.Partial(blob(7)) // one that is open is no more
	require(t, err)
	p.Close()
}

func TestAbandonedPartialIsCollected(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := openIn(t, t.TempDir(), Options{NoSync: true, Now: func() time.Time { return now }}).Blobs()
	blob, list, _ := blocksOf(noise(2*jobs.BlockSize, 1))
	p, err := b.Partial(blob)
	require(t, err)
	require(t, p.PutList(list))
	for _, c := range []struct {
		after time.Duration
		open  bool
		want  int
	}{{2 * youth, true, 0}, {youth - time.Second, false, 0}, {youth, false, 1}, {2 * youth, false, 0}} {
		if !c.open && p != nil {
			p.Close()
			p = nil
		}
		if got, err := b.GC(t.Context(), now.Add(c.after)); err != nil || got.Blobs != c.want {
			t.Errorf("after %v: %+v, %v", c.after, got, err)
		}
	}
	if b.Usage().Blobs != 0 || len(files(t, b)) != 0 || b.HasBlock(blob.Digest) {
		t.Errorf("usage %+v, files %v", b.Usage(), files(t, b))
	}
}
