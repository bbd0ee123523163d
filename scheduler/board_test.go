package scheduler

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

type boardKey byte

func (k boardKey) key() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = byte(k)
	return ed25519.NewKeyFromSeed(seed)
}
func (k boardKey) ID() jobs.NodeID      { return jobs.NodeID(k.key().Public().(ed25519.PublicKey)) }
func (k boardKey) Sign(m []byte) []byte { return ed25519.Sign(k.key(), m) }

func boardJob(t *testing.T, by boardKey, n byte) *jobs.Job {
	t.Helper()
	j, err := jobs.SignHead(jobs.Head{
		Version: jobs.HeadVersion, Network: "test", Submitter: by.ID(), Nonce: [16]byte{n}, Created: 1000, Expires: 2000,
		Program: jobs.BlobOf([]byte("p")), Limits: jobs.Limits{Memory: 1 << 20, CPU: 1000},
		Policy: jobs.Policy{Level: jobs.Standard, Votes: 2, Lease: 60}, Inputs: 1, Units: 1,
	}, by)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestBoardIsASet(t *testing.T) {
	a, b := NewBoard(), NewBoard()
	x, y := boardJob(t, 1, 1), boardJob(t, 2, 2)
	for _, j := range []*jobs.Job{x, y, x} {
		if _, err := a.Add(j, false, 1500); err != nil {
			t.Fatal(err)
		}
	}
	for _, j := range []*jobs.Job{y, x} {
		if _, err := b.Add(j, false, 1500); err != nil {
			t.Fatal(err)
		}
	}
	if a.Digest() != b.Digest() || len(a.Jobs()) != 2 {
		t.Error("the order of arrival shows")
	}
	b.Control(y, &jobs.Control{Number: 1, Act: jobs.ActCancel})
	if a.Digest() == b.Digest() || len(b.Jobs()) != 1 {
		t.Error("a cancelled job is still on the board")
	}
	if _, err := b.Add(y, false, 1600); err == nil {
		t.Error("a cancelled job came back")
	}
}

func TestBoardEnds(t *testing.T) {
	b := NewBoard()
	j := boardJob(t, 1, 1)
	if _, err := b.Add(j, false, 2000); err == nil {
		t.Error("an expired job was taken")
	}
	b.Control(j, &jobs.Control{Number: 1, Act: jobs.ActExtend, Expires: 3000})
	if fresh, err := b.Add(j, false, 2500); !fresh || err != nil {
		t.Error("an extended job was refused:", err)
	}
	if gone := b.Tick(2999); len(gone) != 0 {
		t.Error("an extended job expired early")
	}
	if gone := b.Tick(3000); len(gone) != 1 || len(b.Jobs()) != 0 {
		t.Error("an extended job did not expire")
	}
}

// A job that is ended makes room for another of its submitter; it is still found on the board, as
// long as it is one of the newest. Any order of hearing of them gives the same board.
func TestEndedJobsMakeRoom(t *testing.T) {
	a, b := NewBoard(), NewBoard()
	var all []*jobs.Job
	for n := range byte(MaxPerSubmitter + MaxEnded + 4) {
		all = append(all, boardJob(t, 1, n))
	}
	older := func(x, y *jobs.Job) int { return slices.Compare(x.ID[:], y.ID[:]) } // all were made in one second
	slices.SortFunc(all, older)
	for _, j := range all {
		if _, err := a.Add(j, false, 1500); err != nil {
			t.Fatal(err)
		}
		if fresh, err := a.AddEnded(j, 1500); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
	}
	for _, j := range slices.Backward(all) {
		fresh, err := b.AddEnded(j, 1500)
		if kept := slices.Contains(all[len(all)-MaxEnded:], j); fresh != kept || kept != (err == nil) {
			t.Error("an ended job of many:", kept, fresh, err)
		}
	}
	if a.Digest() != b.Digest() || !slices.Equal(a.Jobs(), all[len(all)-MaxEnded:]) || len(a.Open()) != 0 {
		t.Errorf("%d and %d jobs, %d of them open", len(a.Jobs()), len(b.Jobs()), len(a.Open()))
	}
	if gone := a.Tick(1500); len(gone) != len(all)-MaxEnded || gone[0] != all[0].ID {
		t.Errorf("%d are told to have gone", len(gone))
	}
	open := NewBoard()
	for _, j := range a.Jobs() {
		if _, err := open.Add(j, true, 1500); err != nil {
			t.Fatal(err)
		}
	}
	if open.Digest() == a.Digest() {
		t.Error("whether a job is ended does not show")
	}
	a.Control(all[len(all)-1], &jobs.Control{Number: 1, Act: jobs.ActCancel})
	if _, err := a.AddEnded(all[len(all)-1], 1500); err == nil {
		t.Error("a cancelled job came back")
	}
	if _, err := a.AddEnded(boardJob(t, 2, 1), 2000); err == nil {
		t.Error("an expired job came back")
	}
}

func TestBoardIsBounded(t *testing.T) {
	b := NewBoard()
	for n := range byte(MaxPerSubmitter) {
		if _, err := b.Add(boardJob(t, 1, n), false, 1500); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Add(boardJob(t, 1, 200), false, 1500); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more of a submitter: %v", err)
	}
	if _, err := b.Add(boardJob(t, 1, 200), true, 1500); err != nil {
		t.Errorf("this node's own: %v", err)
	}
	if _, err := b.Add(boardJob(t, 2, 1), false, 1500); err != nil {
		t.Errorf("another submitter's: %v", err)
	}
}
