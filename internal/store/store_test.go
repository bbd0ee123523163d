package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/shoalgrid/shoal/internal/store/boltfile"
)

// openIn opens a store that is closed with the test.
func openIn(t testing.TB, home string, o Options) *Store {
	t.Helper()
	s, err := Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// crash ends the store as a kill would, as far as one process can: nothing is marked, and
// the lock is free.
func crash(t testing.TB, s *Store) {
	t.Helper()
	s.closing.Do(func() {
		s.queue.close()
		s.blobs.close()
		if err := errors.Join(s.db.Close(), s.lock.unlock(false)); err != nil {
			t.Fatal(err)
		}
	})
}

func put(t testing.TB, table *Table, key, value string) {
	t.Helper()
	if err := table.Put(t.Context(), KV{[]byte(key), []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

// get returns the value, or "-" where there is none.
func get(t testing.TB, table *Table, key string) string {
	t.Helper()
	v, found, err := table.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return "-"
	}
	return string(v)
}

func TestWhatIsPutIsThereAfterReopening(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	for i, end := range []func(*Store){
		func(s *Store) {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		},
		func(s *Store) { crash(t, s) },
	} {
		s := openIn(t, home, Options{})
		key := string(rune('a' + i))
		put(t, s.Table("records"), key, "value of "+key)
		blob, err := s.Blobs().PutBytes([]byte("blob " + key))
		if err != nil {
			t.Fatal(err)
		}
		end(s)
		s = openIn(t, home, Options{})
		if got := get(t, s.Table("records"), key); got != "value of "+key {
			t.Errorf("round %d: got %q", i, got)
		}
		if got := get(t, s.Table("other"), key); got != "-" {
			t.Errorf("round %d: another table has %q", i, got)
		}
		if got, err := s.Blobs().Bytes(blob.Digest, 100); err != nil || string(got) != "blob "+key {
			t.Errorf("round %d: blob %q, %v", i, got, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSecondOpenerIsToldWhoHasIt(t *testing.T) {
	home := t.TempDir()
	s := openIn(t, home, Options{})
	_, err := Open(home, Options{})
	in, ok := errors.AsType[*InUse](err)
	if !ok || in.PID != os.Getpid() || in.Home != home || in.Hint() == "" {
		t.Fatalf("got %v, want in use by %d", err, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openIn(t, home, Options{})
}

func TestAfterCloseEverythingFails(t *testing.T) {
	s := openIn(t, t.TempDir(), Options{})
	blob, err := s.Blobs().PutBytes(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	table := s.Table("t")
	_, _, getErr := table.Get([]byte("k"))
	_, putErr := s.Blobs().PutBytes([]byte("x"))
	_, blockErr := s.Blobs().Block(t.Context(), blob.Digest)
	for name, err := range map[string]error{
		"put":   table.Put(t.Context(), KV{[]byte("k"), nil}),
		"get":   getErr,
		"blob":  putErr,
		"block": blockErr,
		"scan":  table.Scan(nil, func(k, v []byte) error { return nil }),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want %v", name, err, ErrClosed)
		}
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	home := filepath.Join(t.TempDir(), "home")
	s := openIn(t, home, Options{})
	blob, err := s.Blobs().PutBytes([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	path, _ := s.Blobs().Path(blob.Digest)
	for path, want := range map[string]os.FileMode{
		home:                            0o700 | os.ModeDir,
		filepath.Join(home, "blobs"):    0o700 | os.ModeDir,
		filepath.Join(home, "state.db"): 0o600,
		filepath.Join(home, "lock"):     0o600,
		path:                            0o444,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestHomeDeepInALongPath(t *testing.T) {
	home := filepath.Join(t.TempDir(), strings.Repeat(strings.Repeat("d", 60)+"/", 12), "häuschen [*] 1")
	s := openIn(t, home, Options{})
	put(t, s.Table("t"), "k", "v")
	if _, err := s.Blobs().PutBytes([]byte("x")); err != nil {
		t.Fatal(err)
	}
	crash(t, s)
	if got := get(t, openIn(t, home, Options{}).Table("t"), "k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

func TestHomeThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{file, filepath.Join(file, "under"), "nul\x00byte"} {
		if s, err := Open(home, Options{}); err == nil {
			s.Close()
			t.Errorf("%q opened", home)
		}
	}
}

// editVersion sets the version of a closed store's database.
func editVersion(t *testing.T, path string, version []byte) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyVersion), version)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestNewerDatabaseIsRefusedAndUntouched(t *testing.T) {
	home := t.TempDir()
	s := openIn(t, home, Options{})
	put(t, s.Table("t"), "k", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "state.db")
	editVersion(t, path, binary.BigEndian.AppendUint32(nil, dbVersion+1))
	before := readFile(t, path)
	_, err := Open(home, Options{})
	if newer, ok := errors.AsType[*NewerError](err); !ok || newer.Version != dbVersion+1 || newer.File != path || newer.Hint() == "" {
		t.Fatalf("got %v, want newer", err)
	}
	if !bytes.Equal(before, readFile(t, path)) {
		t.Error("the database was written")
	}
	editVersion(t, path, nil)
	if _, err := Open(home, Options{}); err == nil || !strings.Contains(err.Error(), "no version") {
		t.Errorf("without a version: %v", err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damageCase is one way in which a database comes to grief, and what is left of it.
type damageCase struct {
	hurt func(t *testing.T, b []byte) []byte
	left string // values of keys a and b after reopening
}

func TestDamagedDatabase(t *testing.T) {
	newest := func(t *testing.T, b []byte) boltfile.Meta {
		metas, err := boltfile.Metas(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return metas[0]
	}
	for name, c := range map[string]damageCase{
		"untouched": {func(_ *testing.T, b []byte) []byte { return b }, "1 2"},
		"last transaction torn": {func(t *testing.T, b []byte) []byte {
			m := newest(t, b)
			clear(b[m.Root*m.PageSize:][:m.PageSize])
			return b
		}, "1 -"},
		"newest meta torn": {func(t *testing.T, b []byte) []byte {
			m := newest(t, b)
			clear(b[m.Page*m.PageSize:][:100])
			return b
		}, "1 -"},
		"cut to half": {func(_ *testing.T, b []byte) []byte { return b[:len(b)/2] }, "- -"},
		"cut to zero": {func(_ *testing.T, b []byte) []byte { return nil }, "- -"},
		"zeros":       {func(_ *testing.T, b []byte) []byte { clear(b); return b }, "- -"},
		"another file": {func(_ *testing.T, b []byte) []byte {
			return bytes.Repeat([]byte("SQLite format 3\x00"), 4096)
		}, "- -"},
	} {
		t.Run(name, func(t *testing.T) { checkDamage(t, c, name != "untouched" && name != "newest meta torn") })
	}
}

func checkDamage(t *testing.T, c damageCase, wantAside bool) {
	home := t.TempDir()
	path := filepath.Join(home, "state.db")
	s := openIn(t, home, Options{})
	put(t, s.Table("t"), "a", "1")
	blob, err := s.Blobs().PutBytes(make([]byte, 3<<20))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.Table("t"), "b", "2")
	crash(t, s)
	hurt := c.hurt(t, readFile(t, path))
	if err := os.WriteFile(path, hurt, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	clock := func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	s = openIn(t, home, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: clock})
	if got := get(t, s.Table("t"), "a") + " " + get(t, s.Table("t"), "b"); got != c.left {
		t.Errorf("left is %q, want %q", got, c.left)
	}
	if got, err := s.Blobs().Block(t.Context(), blob.Digest); err != nil || len(got) != 3*32 {
		t.Errorf("the blob's list is %d bytes, %v", len(got), err)
	}
	aside := path + ".corrupt-20261122T120000Z"
	kept, err := os.ReadFile(aside)
	if wantAside != (err == nil) || !wantAside != !strings.Contains(log.String(), aside) {
		t.Errorf("moved aside: %v; log: %s", err, &log)
	}
	if wantAside && !bytes.Equal(kept, hurt) {
		t.Error("what was moved aside is not what was found")
	}
	put(t, s.Table("t"), "c", "3")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, openIn(t, home, Options{}).Table("t"), "c"); got != "3" {
		t.Errorf("written after the recovery: %q", got)
	}
}

func TestDamageIsNoticedAlsoAfterACleanEnd(t *testing.T) {
	home := t.TempDir()
	s := openIn(t, home, Options{})
	put(t, s.Table("t"), "a", strings.Repeat("x", 1<<20))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "state.db")
	if err := os.Truncate(path, 8<<10); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // each time a name of its own
		s := openIn(t, home, Options{})
		if got := get(t, s.Table("t"), "a"); got != "-" {
			t.Errorf("got %d bytes", len(got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		asides, err := filepath.Glob(path + ".corrupt-*")
		if err != nil || len(asides) != i+1 {
			t.Errorf("round %d: moved aside: %v, %v", i, asides, err)
		}
		if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
