package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// postOf is the post of a submitter's nth job, with the receipt of a keeper.
func postOf(t *testing.T, submitter, keeper noticeKey, nth int) (jobs.JobID, protocol.Post) {
	t.Helper()
	now := time.Now().Unix()
	j, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "main", Submitter: submitter.ID(), Nonce: [16]byte{byte(nth)}, Created: now + int64(nth), Expires: now + 3600,
		Program: jobs.BlobOf([]byte("p")), Limits: jobs.Limits{Memory: 1 << 20, CPU: 1000},
		Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60}, Inputs: 1, Units: 1,
	}, submitter)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := jobs.SignBatch(keeper, "main", j.ID, 0, &jobs.Receipt{Secret: [32]byte{1}, Until: now + 3600})
	if err != nil {
		t.Fatal(err)
	}
	return j.ID, protocol.Post{Head: j.Bytes(), Receipts: jobs.Batches(rs)}
}

// A submitter that has as many open jobs on the board as one may, and is off, gets room for the next
// when one of them is seen to be finished; that one is still known.
func TestFinishedJobsMakeRoom(t *testing.T) {
	n := openIdle(t, t.TempDir())
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, b := context.Background(), n.board
	finished := map[jobs.JobID]bool{}
	b.finished = func(id jobs.JobID) bool { return finished[id] }
	submitter, keeper := noticeKeyOf(1), noticeKeyOf(2)
	var ids []jobs.JobID
	for i := range scheduler.MaxPerSubmitter + 2 {
		id, p := postOf(t, submitter, keeper, i)
		ids = append(ids, id)
		b.hear(ctx, p)
	}
	expect := func(when string, open, known int) {
		t.Helper()
		b.retry(ctx)
		if got := len(b.Jobs()); got != open {
			t.Errorf("%s: %d jobs are open, not %d", when, got, open)
		}
		for i, id := range ids {
			_, there := b.get(id)
			_, kept, err := b.disk.Get(id[:])
			if want := i < known; there != want || kept != want || err != nil {
				t.Errorf("%s: job %d: on the board %v, on disk %v, want %v (%v)", when, i, there, kept, want, err)
			}
		}
	}
	expect("none is finished", 16, 16)
	for _, i := range []int{3, 4} {
		finished[ids[i]] = true
	}
	expect("two are finished", 16, 18)
	if len(b.waiting) != 0 {
		t.Errorf("%d still wait", len(b.waiting))
	}
}

// What waits for room is bounded, in all and of one submitter.
func TestWaitingJobsAreBounded(t *testing.T) {
	n := openIdle(t, t.TempDir())
	defer n.Close()
	keeper := noticeKeyOf(99)
	for s := range maxWaiting/maxWaitingFor + 1 {
		for i := range scheduler.MaxPerSubmitter + maxWaitingFor + 1 {
			_, p := postOf(t, noticeKeyOf(byte(s)), keeper, i)
			n.board.take(p, time.Now())
		}
		if got, want := len(n.board.waiting), min((s+1)*maxWaitingFor, maxWaiting); got != want {
			t.Fatal(fmt.Sprintf("after %d submitters", s+1), got, "wait, not", want)
		}
	}
}

// A job that is kept here and that gossip has lost comes on the board all the same, its submitter
// being off; not at the first look, when it may not be placed yet, and not when it is cancelled.
func TestKeptJobsAreReposted(t *testing.T) {
	n := openIdle(t, t.TempDir())
	defer n.Close()
	ctx, submitter, now := context.Background(), noticeKeyOf(1), time.Now().Unix()
	m := jobs.Encode(&jobs.Manifest{Units: []jobs.UnitSpec{{Count: 1, Source: jobs.FromRange}}})
	j, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "main", Submitter: submitter.ID(), Created: now, Expires: now + 3600,
		Program: jobs.BlobOf([]byte("p")), Limits: jobs.Limits{Memory: 1 << 20, CPU: 1000},
		Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60}, Inputs: 1, Units: 1, Root: jobs.Root([]jobs.Digest{jobs.LeafOf(m)}),
	}, submitter)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.keeper.Adopt(ctx, j.Bytes(), 0, m, nil, false); err != nil {
		t.Fatal(err)
	}
	missed := n.board.repost(ctx, nil)
	if _, there := n.board.get(j.ID); there {
		t.Error("posted at the first look")
	}
	missed = n.board.repost(ctx, missed)
	if _, there := n.board.get(j.ID); !there {
		t.Error("not posted")
	}
	rs, err := jobs.SignBatch(submitter, "main", j.ID, jobs.WholeJob, &jobs.Control{Number: 1, Act: jobs.ActCancel})
	if err != nil {
		t.Fatal(err)
	}
	n.board.hear(ctx, n.board.withControl(j, rs[0]))
	for range 3 {
		missed = n.board.repost(ctx, missed)
	}
	if _, there := n.board.get(j.ID); there {
		t.Error("posted though it is cancelled")
	}
}
