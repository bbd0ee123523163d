package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
)

// maxPeers is how many peers a page shows.
const maxPeers = 200

// ring is the grid as it is: every node at the place of its key, and none in the middle.
type ring struct {
	Width, Height float64
	X, Y, R       float64 // of the circle
	Dots          []dot
}

// dot is a node on the ring.
type dot struct {
	X, Y, R       float64
	TX, TY        float64 // of its label
	Anchor        string  // of the label
	Label         string
	Peer, Name    string
	Self          bool
	Donor, Keeper bool
}

const (
	ringWidth  = 440 // room for labels at both sides
	ringHeight = 290
	ringRadius = 118
	labelRoom  = 14
	maxLabels  = 12 // more of them would cover each other
)

func newRing(self string, peers []api.Peer) ring {
	r := ring{Width: ringWidth, Height: ringHeight, X: ringWidth / 2, Y: ringHeight / 2, R: ringRadius}
	r.Dots = append(r.Dots, r.place(self))
	r.Dots[0].Self, r.Dots[0].Label, r.Dots[0].R = true, "this node", 7
	for i := range peers[:min(len(peers), maxPeers)] {
		d := r.place(peers[i].Peer)
		d.Donor = slices.Contains(peers[i].Roles, api.RoleDonor)
		d.Keeper = slices.Contains(peers[i].Roles, api.RoleKeeper)
		d.Name = peers[i].Name
		if len(peers) < maxLabels {
			d.Label = first(12, clean(cmp.Or(d.Name, shortPeer(peers[i].Peer))))
		}
		r.Dots = append(r.Dots, d)
	}
	r.part()
	slices.SortStableFunc(r.Dots, func(a, b dot) int { return cmp.Compare(turn(a.Peer), turn(b.Peer)) })
	return r
}

// place puts a node where its key is, 0 being at the top.
func (r ring) place(peer string) dot {
	angle := 2 * math.Pi * turn(peer)
	x, y := math.Sin(angle), -math.Cos(angle)
	d := dot{Peer: peer, R: 5, X: r.X + r.R*x, Y: r.Y + r.R*y, TX: r.X + (r.R+labelRoom)*x, TY: r.Y + (r.R+labelRoom)*y + 4, Anchor: "middle"}
	switch {
	case x > 0.3:
		d.Anchor = "start"
	case x < -0.3:
		d.Anchor = "end"
	}
	return d
}

// part moves labels that would cover each other apart: those of nodes that are close together come
// below each other. The own node's comes first, where it belongs.
func (r ring) part() {
	const height, width = 13, 84
	for i := range r.Dots {
		d := &r.Dots[i]
		for at := 0; d.Label != "" && at < i; at++ {
			o := &r.Dots[at]
			if o.Label != "" && math.Abs(o.TX-d.TX) < width && math.Abs(o.TY-d.TY) < height-0.5 {
				d.TY = o.TY + height
				at = -1 // it may cover an earlier one now; each move is downwards, so this ends
			}
		}
	}
}

// turn is where in the key space a node is, from 0 to 1: keys are hashes of peer IDs, as the DHT
// has them.
func turn(peer string) float64 {
	id, err := jobs.ParseNodeID(peer)
	if err != nil { // a made-up name still has its place
		copy(id[:], peer)
	}
	h := sha256.Sum256(id[:])
	return float64(binary.BigEndian.Uint64(h[:])>>11) / (1 << 53)
}
