package node_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/node"
	"github.com/shoalgrid/shoal/internal/store"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/worker/wishes"
)

// beside is a donor at a desk, and a node beside it that has blobs: fetch has the donor fetch a new
// one of that size, for an owner.
func beside(t *testing.T, settings map[string]string) (donor *node.Node, d *desk, fetch func(owner string, size int) (jobs.Blob, error)) {
	t.Helper()
	d = newDesk()
	donor = opened(t, d, true, settings)
	id, err := donor.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := opened(t, newDesk(), false, map[string]string{"bootstrap": id.Addrs[0]})
	until(t, "they meet", func() bool {
		peers, err := donor.Peers(t.Context())
		return err == nil && len(peers) > 0
	})
	there, err := other.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from, err := jobs.ParseNodeID(there.Peer)
	if err != nil {
		t.Fatal(err)
	}
	return donor, d, func(owner string, size int) (jobs.Blob, error) {
		data := make([]byte, size)
		rand.Read(data)
		b, err := node.Offer(t.Context(), other, data)
		if err != nil {
			t.Fatal(err)
		}
		return b, node.Fetch(t.Context(), donor, owner, b, from)
	}
}

const (
	forOthers = node.KeptPrefix + "a"
	forWork   = "work/a"
	forMyself = collect.OwnerPrefix + "a"
)

// A disk that fills while a node runs: nothing more is kept for others, nothing that was taken on
// is deleted, status says why, and the answers to one's own jobs come all the same.
func TestADiskThatFills(t *testing.T) {
	donor, d, fetch := beside(t, nil)
	before, err := fetch(forOthers, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	d.tell(func(r *wishes.Readings) {
		r.DiskFree, r.DiskTotal = wishes.Know[uint64](1<<30), wishes.Know[uint64](100<<30)
	})
	until(t, "status says why nothing new is taken", func() bool {
		return strings.HasPrefix(donating(t, donor).Why, "takes and keeps nothing new: less than 10.0 GiB of the disk are free since ")
	})
	for _, size := range []int{10, 1 << 20} {
		if _, err := fetch(forOthers, size); !errors.Is(err, store.ErrFull) {
			t.Errorf("%d bytes more for others: %v", size, err)
		}
		if _, err := fetch(forMyself, size); err != nil {
			t.Errorf("%d bytes of an own job: %v", size, err)
		}
	}
	if kept, err := node.Keeps(t.Context(), donor, before); err != nil || !kept {
		t.Errorf("what was taken on is kept: %v, %v", kept, err)
	}
	if s := donating(t, donor); s.State != api.DonatingOn {
		t.Errorf("what runs should go on: %s", s.State)
	}
}

// Over a metered connection, and when the month's bytes are used up, nothing large is fetched for
// others, neither to keep nor to work on; what is small is, and so is everything of one's own jobs.
func TestWhatIsFetchedWhereBytesCost(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		happens  func(*desk)
		note     string
	}{
		"metered": {
			nil, func(d *desk) { d.tell(func(r *wishes.Readings) { r.Metered = wishes.Know(true) }) },
			"metered connection: nothing large is moved but for your own jobs",
		},
		"the month's used up": {
			map[string]string{"transfer-monthly": "1 MiB"}, nil,
			"the month's 1 MiB of transfers are used up: nothing large is moved but for your own jobs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			donor, d, fetch := beside(t, c.settings)
			if _, err := fetch(forOthers, 2<<20); err != nil && c.happens != nil {
				t.Fatal(err)
			}
			if c.happens != nil {
				c.happens(d)
			}
			until(t, "status notes it", func() bool { return slices.Contains(donating(t, donor).Notes, c.note) })
			for owner, moves := range map[string]bool{forOthers: false, forWork: false, forMyself: true} {
				_, err := fetch(owner, 2<<20)
				if moves != (err == nil) || err != nil && err.Error() != c.note {
					t.Errorf("large, for %s: %v", owner, err)
				}
				if _, err := fetch(owner, 10<<10); err != nil {
					t.Errorf("small, for %s: %v", owner, err)
				}
			}
		})
	}
}
