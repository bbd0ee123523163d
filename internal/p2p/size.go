package p2p

import (
	"encoding/binary"
	"sync"

	"github.com/shoalgrid/shoal/jobs"
)

// size estimates how many nodes there are from how near the nearest are to keys: of n nodes at random
// places the r-th is r/(n+1) of the way around. It costs nothing, as lookups are made anyway.
type size struct {
	mu      sync.Mutex
	lookups uint64
	nodes   uint64 // that they counted
	covered uint64 // of the way, in parts of 2^-wayBits
}

const (
	wayBits   = 48
	sizeAfter = 8   // lookups
	sizeKept  = 256 // lookups, at which those before count half
)

// note takes in what a lookup found, the nearest first. Fewer than were sought say nothing: they are
// all that there are.
func (s *size) note(key [32]byte, found []jobs.NodeID, sought int) {
	if len(found) < max(sought, 2) {
		return
	}
	far := Distance(key, found[len(found)-1])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookups++
	s.nodes += uint64(len(found) - 1) // with the last one, whose place ends the way, it would be too many
	s.covered += binary.BigEndian.Uint64(far[:])>>(64-wayBits) + 1
	if s.lookups >= sizeKept {
		s.lookups, s.nodes, s.covered = s.lookups/2, s.nodes/2, s.covered/2
	}
}

// estimate is about how many nodes there are; 0 after too few lookups.
func (s *size) estimate() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lookups < sizeAfter {
		return 0
	}
	return int(s.nodes << wayBits / s.covered)
}

// Size is about how many nodes that others reach there are: those that it is connected with, or where
// these are as many as it keeps connections with, an estimate. It cannot count those that only dial.
func (h *Host) Size() int {
	near := len(h.connectedServers())
	if near < lowConns/2 {
		return near
	}
	return max(near, h.size.estimate())
}
