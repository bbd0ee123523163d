package p2p

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

// After two dozen lookups of five the estimate is within a third of the truth in each of these grids.
func TestSize(t *testing.T) {
	for _, n := range []int{200, 2_000, 10_000} {
		nodes := make([]jobs.NodeID, n)
		for i := range nodes {
			nodes[i] = jobs.NodeID(jobs.Sum([]byte("node"), binary.BigEndian.AppendUint64(nil, uint64(i))))
		}
		var s size
		for i := range 24 {
			if got := s.estimate(); i < sizeAfter && got != 0 {
				t.Errorf("%d nodes: %d after %d lookups, that is too early to say", n, got, i)
			}
			key := [32]byte(jobs.Sum([]byte{byte(i)}))
			type at struct {
				d [32]byte
				n jobs.NodeID
			}
			var all []at
			for _, id := range nodes {
				all = append(all, at{Distance(key, id), id})
			}
			slices.SortFunc(all, func(a, b at) int { return bytes.Compare(a.d[:], b.d[:]) })
			var found []jobs.NodeID
			for _, a := range all[:5] {
				found = append(found, a.n)
			}
			s.note(key, found, 5)
			s.note(key, found[:4], 5) // cut short, or all there are: says nothing
		}
		if got := s.estimate(); got < n*2/3 || got > n*4/3 {
			t.Errorf("%d nodes are taken for %d", n, got)
		}
	}
}

// Many lookups overflow nothing, and the last ones count most.
func TestSizeFollows(t *testing.T) {
	var s size
	far, near := jobs.NodeID{1}, jobs.NodeID{2}
	key := [32]byte{1}
	for range 10 * sizeKept {
		s.note(key, []jobs.NodeID{near, far}, 2)
	}
	before := s.estimate()
	for range 10 * sizeKept {
		s.note(key, []jobs.NodeID{far, near}, 2)
	}
	if a, b := Distance(key, far), Distance(key, near); (bytes.Compare(a[:], b[:]) > 0) != (s.estimate() > before) || s.estimate() == before {
		t.Errorf("%d before, %d after", before, s.estimate())
	}
}
