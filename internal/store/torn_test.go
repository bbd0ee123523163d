package store

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/internal/store/boltfile"
)

// history is a database's bytes and what is in it, after each of some writes.
type history struct {
	files [][]byte
	holds []map[string]string
}

func historyOf(t *testing.T) (c history) {
	home := t.TempDir()
	s := openIn(t, home, Options{NoSync: true})
	now := map[string]string{}
	for n := range 12 {
		var pairs []KV
		for i := range 1 + n%4 {
			key := fmt.Sprintf("key %d", (n*3+i)%9)
			value := bytes.Repeat([]byte{byte('a' + n)}, 1<<(n+i)) // some are larger than a page
			pairs = append(pairs, KV{[]byte(key), value})
			now[key] = string(value)
		}
		if err := s.Table("t").Put(t.Context(), pairs...); err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, readFile(t, filepath.Join(home, "state.db")))
		c.holds = append(c.holds, maps.Clone(now))
	}
	return c
}

// A crash in the middle of a write leaves all of it or nothing: of the pages that were under way any may
// be old, new, or torn at any byte; the page that makes them count is written when they are down, and
// may be torn itself.
func TestATornWriteIsAllOrNothing(t *testing.T) {
	c := historyOf(t)
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, len(c.files)-1).Draw(rt, "write")
		left, whole := torn(rt, c.files[n-1], c.files[n])
		home := t.TempDir()
		if err := os.WriteFile(filepath.Join(home, "state.db"), left, 0o600); err != nil {
			rt.Fatal(err)
		}
		s, err := Open(home, Options{NoSync: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		got := map[string]string{}
		if err := s.Table("t").Scan(nil, func(k, v []byte) error { got[string(k)] = string(v); return nil }); err != nil {
			rt.Fatal(err)
		}
		if !maps.Equal(got, c.holds[n-1]) && (!whole || !maps.Equal(got, c.holds[n])) {
			rt.Errorf("%d keys are left of write %d, neither what was there nor what was to be", len(got), n)
		}
	})
}

// torn is what a crash leaves of the write that made after of before, and whether all its pages but the
// last had come down.
func torn(t *rapid.T, before, after []byte) (left []byte, whole bool) {
	metas, err := boltfile.Metas(bytes.NewReader(after), int64(len(after)))
	if err != nil {
		t.Fatal(err)
	}
	page, meta := int(metas[0].PageSize), int(metas[0].Page)
	left = append(bytes.Clone(before), make([]byte, len(after)-len(before))...) // the file grows first
	whole = rapid.Bool().Draw(t, "whole")
	for p := range len(after) / page {
		was, is := left[p*page:(p+1)*page], after[p*page:(p+1)*page]
		switch {
		case p == meta || bytes.Equal(was, is):
		case whole:
			copy(was, is)
		default:
			copy(was, is[:rapid.IntRange(0, page).Draw(t, "torn at")])
		}
	}
	if whole {
		copy(left[meta*page:(meta+1)*page], after[meta*page:meta*page+rapid.IntRange(0, page).Draw(t, "meta torn at")])
	}
	return left, whole
}
