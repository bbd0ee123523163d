package node_test

import (
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/scheduler"
)

// A submitter has as many open jobs on a donor's board as one may, and then more: those that have
// ended make room, and are still known to whoever asks.
func TestEndedJobsMakeRoomOnTheBoard(t *testing.T) {
	donor := opened(t, newDesk(), true, map[string]string{"cores": "2"})
	id, err := donor.ID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	submitter := opened(t, newDesk(), false, map[string]string{"bootstrap": id.Addrs[0]})
	until(t, "they meet", func() bool {
		peers, err := submitter.Peers(t.Context())
		return err == nil && len(peers) > 0 && len(peers[0].Roles) > 0
	})
	program := spinner(t, 1<<10)
	var all []string
	for _, more := range []int{scheduler.MaxPerSubmitter, 2} {
		for range more {
			s, err := submitter.Submit(t.Context(), api.Submission{
				Program: program, Range: &[2]int64{1, 1}, PerUnit: 1, New: true, Level: "trusted", Trust: []string{id.Peer},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s.Job)
		}
		for _, job := range all {
			until(t, "a job ends", func() bool {
				j, err := submitter.Job(t.Context(), job)
				return err == nil && j.Final
			})
		}
	}
	for _, job := range all {
		if j, err := donor.Job(t.Context(), job[:10]); err != nil || j.Job != job {
			t.Errorf("the donor does not know %s any more: %v", job[:10], err)
		}
	}
}
