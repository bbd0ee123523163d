package node

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/submit"
)

func counter(t *testing.T, home string) *transfers {
	t.Helper()
	s, err := store.Open(home, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	moves, err := newTransfers(table{s.Table("lending")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return moves
}

func TestBytesMoveAtTheRateThatIsWished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moves := &transfers{month: time.Now().Format(monthLayout)}
		moves.wish(1<<20, 0, "")
		began := time.Now()
		for range 10 {
			if err := moves.pass(t.Context(), out, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("10 MiB at 1 MiB a second took %s", took)
		}
		if err := moves.pass(t.Context(), in, 1<<20); err != nil || time.Since(began) != 9*time.Second {
			t.Error("the other way has to wait")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := moves.pass(ctx, out, 1<<22); err == nil {
			t.Error("waits for longer than it may")
		}
	})
}

func TestTheMonthIsCountedAcrossRestarts(t *testing.T) {
	home := t.TempDir()
	s, err := store.Open(home, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	moves, err := newTransfers(table{s.Table("lending")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	moves.wish(0, 40<<20, "")
	for range 3 {
		if err := moves.pass(t.Context(), in, 10<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := moves.keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()

	again := counter(t, home)
	again.wish(0, 40<<20, "")
	if err := again.pass(t.Context(), out, 10<<20); err != nil {
		t.Fatal(err)
	}
	if err := again.pass(t.Context(), out, 1); err == nil || !strings.Contains(err.Error(), "40 MiB of transfers are used up") {
		t.Errorf("beyond the month's: %v", err)
	}
	if why := again.why(time.Now().AddDate(0, 1, 1)); why != "" {
		t.Errorf("the next month: %s", why)
	}
	again.wish(0, 0, "metered")
	if why := again.why(time.Now()); why != "metered" {
		t.Errorf("why: %q", why)
	}
}

// Over a metered connection the blobs of others stay where they are; one's own job goes on.
func TestOwnJobsMoveAllTheSame(t *testing.T) {
	s, err := store.Open(t.TempDir(), store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	moves := &transfers{table: table{s.Table("lending")}, month: time.Now().Format(monthLayout)}
	b := blocks{s.Blobs(), moves, new(atomic.Uint64)}
	hold := func(owner string, fill byte) (whole jobs.Digest, block jobs.Digest) {
		t.Helper()
		text := bytes.Repeat([]byte{fill}, jobs.BlockSize+1)
		blob, err := s.Blobs().PutBytes(text)
		if err == nil {
			err = s.Blobs().Hold(t.Context(), owner, blob.Digest, time.Now().Add(time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
		return blob.Digest, jobs.Sum(text[:jobs.BlockSize])
	}
	list, own := hold(submit.Owner(jobs.JobID{1}), 1)
	_, others := hold(keptPrefix+"x", 2)
	for _, c := range []struct {
		stopped string
		block   jobs.Digest
		want    bool
	}{{"", own, true}, {"", others, true}, {"metered", list, true}, {"metered", own, true}, {"metered", others, false}} {
		moves.wish(0, 0, c.stopped)
		has, err := b.HasBlock(t.Context(), c.block)
		_, got := b.Block(t.Context(), c.block)
		if err != nil || has != c.want || (got == nil) != c.want {
			t.Errorf("stopped %q, own %v: has it %v, gives it %v, %v", c.stopped, c.block != others, has, got == nil, err)
		}
	}
	if moves.moved < 3*jobs.BlockSize {
		t.Errorf("own bytes are not counted: %d", moves.moved)
	}
}
