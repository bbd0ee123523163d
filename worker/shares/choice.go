package shares

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
)

// Choice is whose work a donor runs. The zero value is anybody's.
type Choice struct {
	Followed     map[jobs.NodeID]uint32 // by weight, from 1 to MaxWeight
	OnlyFollowed bool
	Peers        map[jobs.NodeID]bool // whose jobs are not run
	Programs     map[jobs.Digest]bool // that are not run, whoever submits them
}

// What a choice may say at most.
const (
	MaxWeight  = 1000
	MaxEntries = 256 // followed, and blocked
)

// Refuses says why a job is not run, or "" where it may be.
func (c *Choice) Refuses(h *jobs.Head) string {
	_, followed := c.Followed[h.Submitter]
	switch {
	case c.Peers[h.Submitter]:
		return "its submitter " + h.Submitter.Short() + " is blocked here"
	case c.Programs[h.Program.Digest]:
		return "its program is blocked here"
	case c.OnlyFollowed && !followed:
		return "its submitter " + h.Submitter.Short() + " is not followed here"
	}
	return ""
}

// ParseFollowed reads a submitter with its weight: a peer ID, or a peer ID, * and a number.
func ParseFollowed(text string) (id jobs.NodeID, weight uint32, err error) {
	peer, times, weighted := strings.Cut(text, "*")
	if id, err = jobs.ParseNodeID(strings.TrimSpace(peer)); err != nil {
		return id, 0, fmt.Errorf("%.80q is not a peer ID", peer)
	}
	if !weighted {
		return id, 1, nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(times), 10, 32)
	if err != nil || n < 1 || n > MaxWeight {
		return id, 0, fmt.Errorf("weight %.40q is not a number from 1 to %d", times, MaxWeight)
	}
	return id, uint32(n), nil
}

// FollowedText is what ParseFollowed reads.
func FollowedText(peer string, weight int) string {
	if weight <= 1 {
		return peer
	}
	return fmt.Sprintf("%s*%d", peer, weight)
}

// Block adds what must not run here: a peer ID, or the digest of a program.
func (c *Choice) Block(text string) error {
	if id, err := jobs.ParseNodeID(text); err == nil {
		if c.Peers == nil {
			c.Peers = map[jobs.NodeID]bool{}
		}
		c.Peers[id] = true
		return nil
	}
	d, err := jobs.ParseDigest(text)
	if err != nil {
		return fmt.Errorf("%.80q is neither a peer ID nor the digest of a program", text)
	}
	if c.Programs == nil {
		c.Programs = map[jobs.Digest]bool{}
	}
	c.Programs[d] = true
	return nil
}
