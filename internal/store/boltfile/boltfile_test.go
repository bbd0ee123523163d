package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// sample is a database with what real ones have: branches, overflow pages, an inline
// bucket, an empty one, a nested one and free pages.
func sample(t testing.TB, pageSize int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			big, err := tx.CreateBucketIfNotExists([]byte("big"))
			if err != nil {
				return err
			}
			for i := range n {
				if err := big.Put(fmt.Appendf(nil, "key %05d", i), bytes.Repeat([]byte{byte(i)}, i%200)); err != nil {
					return err
				}
			}
			if err := big.Put([]byte("z"), make([]byte, 3*pageSize)); err != nil {
				return err
			}
			nested, err := big.CreateBucketIfNotExists([]byte("nested"))
			if err != nil {
				return err
			}
			if err := nested.Put([]byte("k"), []byte("v")); err != nil {
				return err
			}
			_, err = tx.CreateBucketIfNotExists([]byte("empty"))
			return err
		}
	}
	for _, n := range []int{400, 200, 300} {
		if err := db.Update(fill(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("big")).Delete([]byte("z")) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(b []byte) error {
	metas, err := Metas(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	return metas[0].Check(bytes.NewReader(b), int64(len(b)))
}

func TestWholeFiles(t *testing.T) {
	for _, pageSize := range []int{1024, 4096, 16384} {
		b := sample(t, pageSize)
		metas, err := Metas(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(metas) != 2 || metas[0].TxID != metas[1].TxID+1 {
			t.Fatalf("page size %d: metas %+v, %v", pageSize, metas, err)
		}
		for _, m := range metas {
			if err := m.Check(bytes.NewReader(b), int64(len(b))); err != nil {
				t.Errorf("page size %d, transaction %d: %v", pageSize, m.TxID, err)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	whole := sample(t, 4096)
	metas, err := Metas(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	root, newest := int(metas[0].Root)*4096, int(metas[0].Page)*4096
	for name, hurt := range map[string]func(b []byte) []byte{
		"empty":              func(b []byte) []byte { return nil },
		"text":               func(b []byte) []byte { return []byte("not a database at all") },
		"cut in the middle":  func(b []byte) []byte { return b[:int(metas[0].HighWater)*4096/2] },
		"cut in a meta":      func(b []byte) []byte { return b[:40] },
		"both metas zero":    func(b []byte) []byte { clear(b[:8192]); return b },
		"root page zero":     func(b []byte) []byte { clear(b[root : root+4096]); return b },
		"root of other type": func(b []byte) []byte { b[root+8] = 0x07; return b },
		"too many elements":  func(b []byte) []byte { b[root+10], b[root+11] = 0xff, 0xff; return b },
		"huge overflow":      func(b []byte) []byte { binary.NativeEndian.PutUint32(b[root+12:], 1<<31); return b },
		"freelist page zero": func(b []byte) []byte { clear(b[metas[0].Freelist*4096:][:4096]); return b },
		"a loop":             func(b []byte) []byte { return loop(b, metas[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := check(hurt(bytes.Clone(whole))); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want damage", err)
			}
		})
	}
	t.Run("newest meta zero", func(t *testing.T) {
		b := bytes.Clone(whole)
		clear(b[newest : newest+4096])
		left, err := Metas(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(left) != 1 || left[0] != metas[1] {
			t.Errorf("got %+v, %v; want the older meta", left, err)
		}
	})
}

// loop makes the first branch of the first branch page found point back to that page.
func loop(b []byte, m Meta) []byte {
	for id := uint64(2); id < m.HighWater; id++ {
		p := b[id*m.PageSize:]
		if binary.NativeEndian.Uint64(p) == id && binary.NativeEndian.Uint16(p[8:]) == branchPage {
			binary.NativeEndian.PutUint64(p[pageHeader+8:], id)
		}
	}
	return b
}

// What Check calls whole, bbolt must open and read through: it would panic otherwise.
func requireReadable(t interface{ Fatalf(string, ...any) }, dir string, b []byte) {
	path := filepath.Join(dir, "db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatalf("write: %v", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatalf("checked as whole, but bbolt: %v", err)
	}
	defer db.Close()
	var all func(b *bolt.Bucket) error
	all = func(b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if sub := b.Bucket(k); v == nil && sub != nil {
				return all(sub)
			}
			return nil
		})
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return all(b) })
	})
	if err != nil {
		t.Fatalf("checked as whole, but reading: %v", err)
	}
}

func TestRandomDamageNeverReachesBbolt(t *testing.T) {
	whole := sample(t, 1024)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(whole)
		for range rapid.IntRange(1, 8).Draw(t, "flips") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "to")
		}
		b = b[:rapid.IntRange(max(0, len(b)-3000), len(b)).Draw(t, "cut")]
		if check(b) == nil {
			requireReadable(t, dir, b)
		}
	})
}

func FuzzCheck(f *testing.F) {
	whole := sample(f, 1024)
	f.Add(0, byte(0), 0)
	f.Add(1024+16, byte(1), 0)
	f.Add(2048+10, byte(255), 0)
	f.Add(0, byte(0), 5000)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, at int, to byte, cut int) {
		b := bytes.Clone(whole)
		if at >= 0 && at < len(b) {
			b[at] = to
		}
		if cut > 0 && cut <= len(b) {
			b = b[:len(b)-cut]
		}
		if check(b) == nil {
			requireReadable(t, dir, b)
		}
	})
}
