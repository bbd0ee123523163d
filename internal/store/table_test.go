package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

func TestTableIsAMapThatSurvives(t *testing.T) {
	root := t.TempDir()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		home := fmt.Sprintf("%s/%d", root, round)
		s := openIn(t, home, Options{NoSync: true})
		model := map[string]string{}
		key := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00é")), 1, 4, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				var kvs []KV
				for k, v := range rapid.MapOfN(key, rapid.String(), 0, 5).Draw(rt, "pairs") {
					kvs = append(kvs, KV{[]byte(k), []byte(v)})
					model[k] = v
				}
				require(rt, s.Table("t").Put(context.Background(), kvs...))
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				delete(model, k)
				require(rt, s.Table("t").Delete(context.Background(), []byte(k), nil, []byte("absent")))
			},
			"delete prefix": func(rt *rapid.T) {
				p := key.Draw(rt, "prefix")
				maps.DeleteFunc(model, func(k, _ string) bool { return strings.HasPrefix(k, p) })
				require(rt, s.Table("t").DeletePrefix(context.Background(), []byte(p)))
			},
			"reopen": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "crash") {
					crash(t, s)
				} else {
					require(rt, s.Close())
				}
				var err error
				s, err = Open(home, Options{NoSync: true})
				require(rt, err)
			},
			"": func(rt *rapid.T) { // the invariant
				prefix := rapid.SampledFrom([]string{"", "a", "é"}).Draw(rt, "prefix")
				got := map[string]string{}
				var order []string
				require(rt, s.Table("t").Scan([]byte(prefix), func(k, v []byte) error {
					got[string(k)] = string(v)
					order = append(order, string(k))
					return nil
				}))
				want := maps.Clone(model)
				maps.DeleteFunc(want, func(k, _ string) bool { return !strings.HasPrefix(k, prefix) })
				if !maps.Equal(got, want) || !slices.IsSorted(order) {
					rt.Fatalf("scan of %q gives %q in order %q, want %q", prefix, got, order, want)
				}
				for k, v := range model {
					if g, found, err := s.Table("t").Get([]byte(k)); err != nil || !found || string(g) != v {
						rt.Fatalf("get %q: %q, %v, %v", k, g, found, err)
					}
				}
			},
		})
		require(rt, s.Close())
	})
}

func require(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableRefuses(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{NoSync: true})
	table := s.Table("t")
	for name, kv := range map[string]KV{
		"empty key":       {nil, []byte("v")},
		"key too long":    {make([]byte, MaxKey+1), nil},
		"value too large": {[]byte("k"), make([]byte, MaxValue+1)},
	} {
		if err := table.Put(t.Context(), KV{[]byte("good"), nil}, kv); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if got := get(t, table, "good"); got != "-" {
		t.Error("half of a refused put was stored")
	}
	if err := table.Put(t.Context(), KV{[]byte("big"), make([]byte, MaxValue)}, KV{make([]byte, MaxKey), nil}); err != nil {
		t.Error(err)
	}
}

func TestScanLongerThanAPageAndWritingMeanwhile(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{NoSync: true})
	table := s.Table("t")
	var kvs []KV
	for i := range 3*scanKeys + 7 {
		kvs = append(kvs, KV{fmt.Appendf(nil, "k%06d", i), bytes.Repeat([]byte{1}, i%7000)})
	}
	require(t, table.Put(t.Context(), kvs...))
	seen := 0
	err := table.Scan([]byte("k"), func(k, v []byte) error {
		if !bytes.Equal(k, kvs[seen].Key) || !bytes.Equal(v, kvs[seen].Value) {
			t.Fatalf("pair %d is %s with %d bytes", seen, k, len(v))
		}
		seen++
		return table.Put(t.Context(), KV{append([]byte("other "), k...), v})
	})
	if err != nil || seen != len(kvs) {
		t.Fatalf("saw %d of %d, %v", seen, len(kvs), err)
	}
	stop := errors.New("stop")
	if err := table.Scan(nil, func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want what f returned", err)
	}
	require(t, table.DeletePrefix(t.Context(), []byte("k")))
	left := 0
	require(t, table.Scan(nil, func(k, _ []byte) error { left++; return nil }))
	if left != len(kvs) {
		t.Errorf("%d pairs left, want the %d others", left, len(kvs))
	}
}

// commits counts the transactions written to the database so far.
func commits(s *Store) (n int) {
	_ = s.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil })
	return n
}

func TestConcurrentPutsShareTransactions(t *testing.T) {
	home := t.TempDir()
	s := openIn(t, home, Options{})
	const writers, each = 32, 20
	before := commits(s)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := s.Table("t").Put(t.Context(), KV{fmt.Appendf(nil, "%d/%d", w, i), []byte("v")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := commits(s) - before; n > writers*each/4 {
		t.Errorf("%d puts took %d transactions", writers*each, n)
	}
	crash(t, s)
	n := 0
	require(t, openIn(t, home, Options{}).Table("t").Scan(nil, func(_, _ []byte) error { n++; return nil }))
	if n != writers*each {
		t.Errorf("%d of %d puts are there", n, writers*each)
	}
}

func TestCancelledPutIsNotWritten(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{NoSync: true})
	s.queue.turn <- struct{}{} // a commit that takes its time
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("changed my mind")
	done := make(chan error, 1)
	go func() { done <- s.Table("t").Put(ctx, KV{[]byte("k"), []byte("v")}) }()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	<-s.queue.turn
	put(t, s.Table("t"), "other", "v")
	if got := get(t, s.Table("t"), "k"); got != "-" {
		t.Errorf("the cancelled put was written: %q", got)
	}
}

func TestGroupIsBounded(t *testing.T) {
	q := &commitQueue{}
	for range 5 {
		q.queue = append(q.queue, &write{size: groupBytes / 2})
	}
	var sizes []int
	for group := q.take(); len(group) > 0; group = q.take() {
		sizes = append(sizes, len(group))
	}
	q.queue = []*write{{size: 3 * groupBytes}}
	if n := len(q.take()); n != 1 || !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("groups of %v, and %d of one too large", sizes, n)
	}
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprintf("parallelism=%d", writers), func(b *testing.B) {
			s := openIn(b, b.TempDir(), Options{})
			value := make([]byte, 300)
			b.SetParallelism(writers)
			if writers == 1 {
				for i := 0; b.Loop(); i++ {
					require(b, s.Table("t").Put(b.Context(), KV{fmt.Appendf(nil, "%09d", i), value}))
				}
				return
			}
			var n sync.Mutex
			i := 0
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n.Lock()
					i++
					key := fmt.Appendf(nil, "%09d", i)
					n.Unlock()
					require(b, s.Table("t").Put(b.Context(), KV{key, value}))
				}
			})
		})
	}
}
