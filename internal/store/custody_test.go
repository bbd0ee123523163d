package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

func TestReserveQuotaAndCaps(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true, Quota: 1000}).Blobs()
	blob, err := b.PutBytes(make([]byte, 100))
	require(t, err)
	half := Cap{Prefix: "stranger/", Bytes: 500}
	reserve := func(owner string, n uint64, caps ...Cap) (func(), bool) {
		release, err := b.Reserve(owner, n, caps...)
		if err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		return release, err == nil
	}
	if _, ok := reserve("me", 901); ok {
		t.Error("more than the quota")
	}
	if _, ok := reserve("stranger/1", 501, half); ok {
		t.Error("more than the cap")
	}
	one, ok := reserve("stranger/1", 300, half)
	if !ok {
		t.Fatal("refused")
	}
	require(t, b.Hold(t.Context(), "stranger/2", blob.Digest, time.Now()))
	if _, ok := reserve("stranger/2", 101, half); ok {
		t.Error("what is held and reserved is more than the cap")
	}
	mine, ok := reserve("me", 600, half)
	if !ok {
		t.Error("the cap of others holds me up")
	}
	if got := b.Usage(); got != (Usage{Blobs: 100, Reserved: 900, Quota: 1000}) || b.Held("stranger/") != 400 || b.Held("") != 1000 {
		t.Errorf("usage %+v, strangers %d", got, b.Held("stranger/"))
	}
	if _, ok := reserve("me", 1); ok {
		t.Error("beyond full")
	}
	one()
	one()
	mine()
	if got := b.Usage(); got.Reserved != 0 || b.Held("") != 100 {
		t.Errorf("after release: %+v, %d", got, b.Held(""))
	}
}

func TestHoldRefusesOwnersWithoutAName(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	blob, err := b.PutBytes(nil)
	require(t, err)
	for _, owner := range []string{"", strings.Repeat("x", MaxOwner+1)} {
		if err := b.Hold(t.Context(), owner, blob.Digest, time.Now()); err == nil {
			t.Errorf("%.20q holds", owner)
		}
	}
}

// model is what the account of a store must say.
type model struct {
	size  map[jobs.Digest]uint64
	used  map[jobs.Digest]time.Time
	holds map[string]map[jobs.Digest]time.Time
}

func (m *model) collect(now time.Time) {
	for d, used := range m.used {
		wanted := used.Add(youth).After(now)
		for _, of := range m.holds {
			wanted = wanted || of[d].After(now)
		}
		if !wanted {
			delete(m.used, d)
			for _, of := range m.holds {
				delete(of, d)
			}
		}
	}
}

// check compares the store with the model.
func (m *model) check(t *rapid.T, b *Blobs, all []jobs.Blob) {
	var bytes uint64
	for _, blob := range all {
		_, want := m.used[blob.Digest]
		if want {
			bytes += blob.Size
		}
		if got := b.Has(blob.Digest); got != want {
			t.Fatalf("%s is here: %v, want %v", blob.Digest, got, want)
		}
	}
	if u := b.Usage(); u.Blobs != bytes {
		t.Fatalf("%d bytes on disk, want %d", u.Blobs, bytes)
	}
	for _, prefix := range []string{"", "a", "ab", "b/"} {
		var held uint64
		for owner, of := range m.holds {
			for d := range of {
				if strings.HasPrefix(owner, prefix) {
					held += m.size[d]
				}
			}
		}
		if got := b.Held(prefix); got != held {
			t.Fatalf("owners under %q hold %d bytes, want %d", prefix, got, held)
		}
	}
}

func TestCustodyAgainstAModel(t *testing.T) {
	root, round := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		home := fmt.Sprintf("%s/%d", root, round)
		now := time.Unix(1_800_000_000, 0)
		o := Options{NoSync: true, Now: func() time.Time { return now }}
		s := openIn(t, home, o)
		var all []jobs.Blob
		m := &model{map[jobs.Digest]uint64{}, map[jobs.Digest]time.Time{}, map[string]map[jobs.Digest]time.Time{"a": {}, "ab": {}, "b/\x00": {}}}
		for i := range 6 {
			all = append(all, jobs.BlobOf(noise(100+i, byte(i))))
			m.size[all[i].Digest] = all[i].Size
		}
		blob := rapid.IntRange(0, len(all)-1)
		owner := rapid.SampledFrom([]string{"a", "ab", "b/\x00"})
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				i := blob.Draw(rt, "blob")
				_, err := s.Blobs().PutBytes(noise(100+i, byte(i)))
				require(rt, err)
				m.used[all[i].Digest] = now
			},
			"hold": func(rt *rapid.T) {
				d, who := all[blob.Draw(rt, "blob")].Digest, owner.Draw(rt, "owner")
				until := now.Add(time.Duration(rapid.IntRange(-10, 600).Draw(rt, "minutes")) * time.Minute)
				err := s.Blobs().Hold(t.Context(), who, d, until)
				if _, here := m.used[d]; here != (err == nil) {
					rt.Fatalf("hold: %v", err)
				}
				if was, held := m.holds[who][d]; err == nil && (!held || until.After(was)) {
					m.holds[who][d] = until
				}
			},
			"release": func(rt *rapid.T) {
				who := owner.Draw(rt, "owner")
				require(rt, s.Blobs().Release(t.Context(), who))
				clear(m.holds[who])
			},
			"remove": func(rt *rapid.T) {
				d := all[blob.Draw(rt, "blob")].Digest
				require(rt, s.Blobs().Remove(t.Context(), d))
				delete(m.used, d)
				for _, of := range m.holds {
					delete(of, d)
				}
			},
			"collect": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(rt, "minutes")) * time.Minute)
				_, err := s.Blobs().GC(t.Context(), now)
				require(rt, err)
				m.collect(now)
			},
			"restart": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "crash") {
					crash(t, s)
				}
				require(rt, s.Close())
				var err error
				s, err = Open(home, o)
				require(rt, err)
			},
			"": func(rt *rapid.T) {
				m.check(rt, s.Blobs(), all)
			},
		})
		require(rt, s.Close())
	})
}

func TestHoldReleaseAndCollectAtOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := openIn(t, t.TempDir(), Options{NoSync: true, Now: func() time.Time { return now }}).Blobs()
	var blobs []jobs.Blob
	for i := range 40 {
		blob, err := b.PutBytes(noise(1000, byte(i)))
		require(t, err)
		blobs = append(blobs, blob)
	}
	later := now.Add(2 * youth)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			owner := fmt.Sprint("owner/", w%2)
			for i, blob := range blobs {
				err := b.Hold(t.Context(), owner, blob.Digest, later.Add(youth))
				if i%9 == w {
					err = errors.Join(err, b.Release(t.Context(), owner))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := b.GC(t.Context(), now); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	var kept, held uint64
	for _, blob := range blobs {
		holders, err := b.holders(blob.Digest)
		require(t, err)
		held += uint64(len(holders)) * 1000
		if len(holders) > 0 {
			kept += 1000
		}
	}
	if got := b.Held(""); got != held {
		t.Errorf("%d bytes held, the index says %d", got, held)
	}
	sum, err := b.GC(t.Context(), later)
	if err != nil || sum.Bytes != 40_000-kept || b.Usage().Blobs != kept {
		t.Errorf("collected %+v, %v; %d kept; usage %+v", sum, err, kept, b.Usage())
	}
	names := files(t, b)
	for _, blob := range blobs {
		if b.Has(blob.Digest) != slices.Contains(names, blob.Digest.String()) {
			t.Errorf("%s: index and files differ", blob.Digest)
		}
	}
}
